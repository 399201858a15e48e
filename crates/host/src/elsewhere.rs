//! Trackers of flows beside the kernel's own table.

use std::ops::Range;

use plimsoll_model::{Elsewhere, Reading, Unseen, Untrusted};

use crate::system_process::{SYSTEM_ACCOUNTS, SystemProcess};
use crate::{Error, HostFs, Subsystem, bpf};

/// The trackers that were found.
#[derive(Debug, Default)]
pub struct OtherTrackers {
    /// Each one.
    pub found: Vec<Elsewhere>,
    /// What could not be looked at.
    pub unseen: Vec<Unseen>,
}

impl HostFs {
    /// Looks for BPF maps that track connections (Cilium's, Calico's), Open vSwitch and VPP. The limits of Open
    /// vSwitch's zones are not read here.
    ///
    /// `ovs-vswitchd` tracks by itself only where the kernel has no datapath for it. A process counts only if it is a
    /// system account's: anybody may call a process so. The BPF maps are those of the running kernel, whatever the root
    /// is.
    pub fn elsewhere(&self) -> OtherTrackers {
        self.elsewhere_trusting(&SYSTEM_ACCOUNTS)
    }

    /// Believes the processes of some users.
    fn elsewhere_trusting(&self, users: &Range<u32>) -> OtherTrackers {
        let mut trackers = OtherTrackers::default();
        trackers.add_maps();
        let open_vswitch = self.is_present(Subsystem::OpenVswitch);
        if matches!(open_vswitch, Ok(true)) {
            trackers.found.push(Elsewhere::OpenVswitchZones { limits: None });
        }
        let processes = self.system_processes(&COMMANDS, users);
        trackers.unseen.extend(processes.errors.iter().map(|error| error.unseen(Reading::OtherTrackers)));
        for process in processes.read {
            trackers.add_process(process, &open_vswitch);
        }
        trackers
    }
}

/// Commands with a tracker of their own.
const COMMANDS: [&str; 3] = ["vpp_main", "vpp", "ovs-vswitchd"];

/// The beginnings of the maps' names; the kernel keeps 15 bytes of a name.
const MAPS: [&str; 3] = ["cilium_ct", "cali_v4_ct", "cali_v6_ct"];

impl OtherTrackers {
    fn add_maps(&mut self) {
        match bpf::maps_named(&MAPS) {
            Ok(maps) => self.found.extend(maps.into_iter().map(|map| Elsewhere::BpfMap {
                id: map.id,
                name: Untrusted::from_bytes(&map.name),
                max_entries: map.max_entries,
            })),
            Err(error) if error.is_not_permitted() => {
                let needs = "CAP_SYS_ADMIN".to_owned();
                self.unseen.push(Unseen { needs, ..error.unseen(Reading::OtherTrackers) });
            }
            Err(error) => self.unseen.push(error.unseen(Reading::OtherTrackers)),
        }
    }

    fn add_process(&mut self, process: SystemProcess, open_vswitch: &Result<bool, Error>) {
        let SystemProcess { pid, command } = process;
        match (command.as_str(), open_vswitch) {
            ("vpp_main" | "vpp", _) | ("ovs-vswitchd", Ok(false)) => {
                self.found.push(Elsewhere::Process { pid, command });
            }
            // Where its flows are tracked hangs on whether the datapath is built into the kernel.
            ("ovs-vswitchd", Err(error)) => self.unseen.push(error.unseen(Reading::OtherTrackers)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, fixture};

    /// What was found besides BPF maps, which are the running kernel's.
    fn without_maps(host: &HostFs) -> (Vec<Elsewhere>, Vec<Unseen>) {
        let me = rustix::process::getuid().as_raw();
        trackers_of(host, me..me + 1)
    }

    /// The same, where only some users are believed.
    fn trackers_of(host: &HostFs, users: Range<u32>) -> (Vec<Elsewhere>, Vec<Unseen>) {
        let OtherTrackers { mut found, unseen } = host.elsewhere_trusting(&users);
        found.retain(|tracker| !matches!(tracker, Elsewhere::BpfMap { .. }));
        (found, unseen)
    }

    fn process(pid: u32, command: &str) -> Elsewhere {
        Elsewhere::Process { pid, command: Untrusted::from(command) }
    }

    #[test]
    fn user_space_trackers_are_found_by_their_processes() {
        let tree = Tree::new();
        tree.write("proc/12/comm", "vpp_main\n");
        tree.write("proc/13/comm", "vpp_mainly\n");
        tree.write("proc/14/comm", b"\xff\x1b\n");
        assert_eq!(without_maps(&tree.host()).0, [process(12, "vpp_main")]);
    }

    #[test]
    fn what_another_user_calls_so_is_none() {
        let tree = Tree::new();
        tree.write("proc/12/comm", "vpp_main\n");
        tree.write("proc/13/comm", "ovs-vswitchd\n");
        let me = rustix::process::getuid().as_raw();
        assert_eq!(trackers_of(&tree.host(), me + 1..me + 2), (vec![], vec![]));
    }

    #[test]
    fn open_vswitch_tracks_by_itself_only_without_a_datapath_in_the_kernel() {
        let tree = Tree::new();
        tree.write("proc/12/comm", "ovs-vswitchd\n");
        let (found, unseen) = without_maps(&tree.host());
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(unseen.len(), 1, "whether it is built in cannot be told: {unseen:?}");

        tree.write("proc/sys/kernel/osrelease", "5.4\n");
        tree.write("lib/modules/5.4/modules.builtin", "kernel/net/nothing.ko\n");
        assert_eq!(without_maps(&tree.host()), (vec![process(12, "ovs-vswitchd")], vec![]));

        tree.write("lib/modules/5.4/modules.builtin", "kernel/net/openvswitch/openvswitch.ko\n");
        assert_eq!(without_maps(&tree.host()), (vec![Elsewhere::OpenVswitchZones { limits: None }], vec![]));
    }

    #[test]
    fn a_host_with_neither_has_nothing_elsewhere() {
        assert_eq!(without_maps(&fixture("kernel-5.4")), (vec![], vec![]));
    }
}
