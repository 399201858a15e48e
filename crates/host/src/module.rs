//! Whether the kernel has connection tracking, and whether a question to a subsystem would load a module.

use plimsoll_model::{Answer, ModuleState};

use crate::text::Text;
use crate::{Error, HostFs};

/// A part of the kernel that loads itself when it is asked something by netlink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subsystem {
    /// Netlink for all of netfilter.
    Nfnetlink,
    /// The tracking table by netlink.
    ConntrackNetlink,
    /// `ct timeout` objects by netlink.
    TimeoutNetlink,
    /// The list of hooks by netlink.
    HookNetlink,
    /// nftables.
    NfTables,
    /// Open vSwitch's kernel datapath.
    OpenVswitch,
}

impl Subsystem {
    /// The module's name.
    pub const fn module(self) -> &'static str {
        match self {
            Self::Nfnetlink => "nfnetlink",
            Self::ConntrackNetlink => "nf_conntrack_netlink",
            Self::TimeoutNetlink => "nfnetlink_cttimeout",
            Self::HookNetlink => "nfnetlink_hook",
            Self::NfTables => "nf_tables",
            Self::OpenVswitch => "openvswitch",
        }
    }
}

impl HostFs {
    /// How the kernel comes by `nf_conntrack`. Only loadable modules have an `initstate` (`kernel/module/sysfs.c`).
    ///
    /// Older kernels hide the table's sysctls in a namespace that belongs to another user namespace than the first
    /// (`nf_conntrack_standalone_init_sysctl`), so the module's directory counts too: `nf_conntrack` has
    /// parameters, and shows them built in as well.
    pub fn module_state(&self) -> Result<ModuleState, Error> {
        // Without /proc everything would seem to be absent.
        self.metadata("/proc/sys/net")?;
        if self.exists("/sys/module/nf_conntrack/initstate")? {
            return Ok(ModuleState::Loaded);
        }
        for sign in
            ["/proc/sys/net/netfilter/nf_conntrack_max", "/proc/sys/net/nf_conntrack_max", "/sys/module/nf_conntrack"]
        {
            if self.exists(sign)? {
                return Ok(ModuleState::BuiltIn);
            }
        }
        Ok(ModuleState::Absent)
    }

    /// Whether a netlink request to a subsystem would leave the kernel as it is. The kernel asks modprobe(8) for what
    /// is not there (`request_module` in `net/netfilter/nfnetlink.c`, `net/netlink/af_netlink.c` and `genetlink.c`).
    ///
    /// `Yes`: the subsystem is there, or this kernel loads no modules (then the request may still fail). `No`: it would
    /// have to be loaded. `Inconclusive`: it is not loaded as a module, and whether it is built in cannot be told; then
    /// it is better not to ask.
    pub fn asking_loads_nothing(&self, subsystem: Subsystem) -> Answer {
        let because = |error: Error| Answer::Inconclusive { because: error.to_string() };
        match self.modules_can_be_loaded() {
            Ok(false) => return Answer::Yes,
            Ok(true) => {}
            Err(error) => return because(error),
        }
        match self.is_present(subsystem) {
            Ok(true) => Answer::Yes,
            Ok(false) => Answer::No { needs: format!("the module {}, which is not loaded", subsystem.module()) },
            Err(error) => because(error),
        }
    }

    /// Whether a subsystem is in the kernel, loaded or built in; an error where that cannot be told.
    pub(crate) fn is_present(&self, subsystem: Subsystem) -> Result<bool, Error> {
        let module = subsystem.module();
        if self.exists(&format!("/sys/module/{module}"))? {
            return Ok(true);
        }
        // What is built in and has no parameters has no directory in /sys/module.
        if subsystem == Subsystem::Nfnetlink && self.has_netlink_protocol(NETLINK_NETFILTER)? {
            return Ok(true);
        }
        self.is_built_in(module)
    }

    /// `/proc/modules` is there on every kernel with `CONFIG_MODULES`; `modules_disabled`, once 1, stays so until boot.
    fn modules_can_be_loaded(&self) -> Result<bool, Error> {
        // A /proc that shows processes only (subset=pid) has no modules file either, and no /proc/sys.
        self.metadata("/proc/sys/kernel/osrelease")?;
        if !self.exists("/proc/modules")? {
            return Ok(false);
        }
        match self.read("/proc/sys/kernel/modules_disabled") {
            Ok(text) => Ok(text.number::<u32>()? == 0),
            Err(error) if error.is_absent() => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn is_built_in(&self, module: &str) -> Result<bool, Error> {
        let release = self.read("/proc/sys/kernel/osrelease")?;
        let name = std::str::from_utf8(release.bytes()).map_err(|_| release.error("is not UTF-8"))?;
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(release.error("is no name of a directory"));
        }
        let list = self.read(&format!("/lib/modules/{name}/modules.builtin"))?;
        Ok(lists_module(&list, module))
    }

    /// Whether any socket speaks a netlink protocol; the kernel's own does as soon as the protocol is there.
    fn has_netlink_protocol(&self, protocol: u64) -> Result<bool, Error> {
        let text = self.read("/proc/thread-self/net/netlink")?;
        let mut lines = text.lines();
        let header = lines.next().ok_or_else(|| text.error("has no header"))?;
        let columns = crate::columns::Columns::new(header.words());
        for line in lines {
            if columns.row(line)?.number("Eth")? == protocol {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// `include/uapi/linux/netlink.h`.
const NETLINK_NETFILTER: u64 = 12;

/// A line names a module's file: `kernel/net/netfilter/nf_conntrack.ko`. In file names, `-` and `_` are one.
fn lists_module(list: &Text, module: &str) -> bool {
    let same = |(a, b): (&u8, u8)| *a == b || (*a == b'-' && b == b'_');
    list.lines().any(|line| {
        let file = line.bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let stem = file.strip_suffix(b".ko").unwrap_or(file);
        stem.len() == module.len() && stem.iter().zip(module.bytes()).all(same)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, fixture};

    #[test]
    fn the_ways_of_having_conntrack_are_told_apart() {
        assert_eq!(fixture("kernel-6.18").module_state().unwrap(), ModuleState::BuiltIn);
        assert_eq!(fixture("kernel-5.4").module_state().unwrap(), ModuleState::Loaded);

        let tree = Tree::new();
        assert!(tree.host().module_state().unwrap_err().is_absent(), "no /proc is no answer");
        tree.write("proc/sys/net/core/somaxconn", "128\n");
        assert_eq!(tree.host().module_state().unwrap(), ModuleState::Absent);
        tree.write("sys/module/nf_conntrack/parameters/hashsize", "1024\n");
        assert_eq!(tree.host().module_state().unwrap(), ModuleState::BuiltIn, "though its sysctls are hidden");
    }

    #[test]
    fn a_kernel_without_modules_may_be_asked_anything() {
        assert_eq!(fixture("kernel-6.18").asking_loads_nothing(Subsystem::HookNetlink), Answer::Yes);
    }

    #[test]
    fn what_would_have_to_be_loaded_is_not_asked() {
        let host = fixture("kernel-5.4");
        assert_eq!(host.asking_loads_nothing(Subsystem::ConntrackNetlink), Answer::Yes, "loaded");
        assert_eq!(host.asking_loads_nothing(Subsystem::Nfnetlink), Answer::Yes, "built in, has a socket");
        assert_eq!(host.asking_loads_nothing(Subsystem::TimeoutNetlink), Answer::Yes, "listed with a dash as built in");
        for subsystem in [Subsystem::NfTables, Subsystem::HookNetlink, Subsystem::OpenVswitch] {
            assert!(matches!(host.asking_loads_nothing(subsystem), Answer::No { .. }), "{subsystem:?}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_said_so() {
        let tree = Tree::new();
        let ask = |subsystem| tree.host().asking_loads_nothing(subsystem);
        let is_open = |answer: Answer| matches!(answer, Answer::Inconclusive { .. });
        assert!(is_open(ask(Subsystem::NfTables)), "nothing of /proc/sys to be seen");
        tree.write("proc/sys/kernel/osrelease", "5.4.0-1-generic\n");
        tree.write("proc/modules", "");
        assert!(is_open(ask(Subsystem::NfTables)), "no list of what is built in: a container");
        tree.write("proc/sys/kernel/osrelease", "../../..\n");
        assert!(is_open(ask(Subsystem::NfTables)));
        tree.write("proc/sys/kernel/modules_disabled", "1\n");
        assert_eq!(ask(Subsystem::NfTables), Answer::Yes);
        tree.write("proc/sys/kernel/modules_disabled", "maybe\n");
        assert!(is_open(ask(Subsystem::NfTables)));
    }

    #[test]
    fn a_name_that_only_resembles_a_module_is_not_it() {
        let tree = Tree::new();
        tree.write("l", "kernel/net/netfilter/nf_tables_set.ko\nkernel/nf_tables/x.ko\nnf-tables\n/\n\n\u{1}");
        let list = tree.host().read("/l").unwrap();
        assert!(lists_module(&list, "nf_tables"));
        assert!(!lists_module(&list, "nfnetlink") && !lists_module(&list, "nf_tables_"));
    }
}
