//! The formats by name.

use std::fmt;
use std::str::FromStr;

use crate::change::{Reasoned, Target};
use crate::rendered::Rendered;
use crate::{
    ansible, command_line, daemon_set, iptables, kube_proxy, modprobe_d, modules_load_d, nft, script, sysctl_d, tuned,
    udev,
};

macro_rules! formats {
    ($($(#[$doc:meta])* $format:ident $name:literal $render:path,)*) => {
        /// What a plan may be written as.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Format {
            $($(#[$doc])* $format,)*
        }

        impl Format {
            /// Every format.
            pub const ALL: &[Self] = &[$(Self::$format),*];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$format => $name,)*
                }
            }
        }

        /// Writes changes in a format.
        pub fn render(format: Format, changes: &[Reasoned], target: &Target) -> Rendered {
            match format {
                $(Format::$format => $render(changes, target),)*
            }
        }
    };
}

formats! {
    /// A shell script that makes the changes, and undoes them.
    Script "script" script::render,
    /// A file of sysctl settings for every boot.
    SysctlD "sysctl.d" sysctl_d::render,
    /// Options of the module.
    ModprobeD "modprobe.d" modprobe_d::render,
    /// Words on the kernel's command line, for GRUB and for systemd-boot.
    CommandLine "cmdline" command_line::render,
    /// A file that loads the module before sysctl settings are made.
    ModulesLoadD "modules-load.d" modules_load_d::render,
    /// A rule that makes sysctl settings again when the module comes late.
    Udev "udev" udev::render,
    /// Rules for nft.
    Nft "nft" nft::render,
    /// Rules for iptables, and the policies that they name.
    Iptables "iptables" iptables::render,
    /// Tasks for Ansible.
    Ansible "ansible" ansible::render,
    /// kube-proxy's configuration, where it owns the setting.
    KubeProxy "kube-proxy" kube_proxy::render,
    /// A Kubernetes daemon set that sets sysctls on every node.
    DaemonSet "daemonset" daemon_set::render,
    /// A profile of tuned's, where it owns the setting.
    Tuned "tuned" tuned::render,
}

/// What sees to it that files of sysctl.d are read when the names exist, however late the module comes; nothing where it is built in.
pub fn in_time(target: &Target) -> Rendered {
    modules_load_d::render(&[], target).and(udev::render(&[], target))
}

/// Every file that makes the sysctls last on a host that systemd boots: their values, and what sees to it that they are read
/// when their names exist.
pub fn lasting(changes: &[Reasoned], target: &Target) -> Rendered {
    let helpers = in_time(target);
    let mut all = sysctl_d::render(changes, target);
    // Where nothing needs to be loaded that is no loss.
    if !all.files.is_empty() {
        all.files.extend(helpers.files);
    }
    all
}

/// Not the name of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchFormat;

impl fmt::Display for NoSuchFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Format::ALL.iter().map(|format| format.as_str()).collect();
        write!(f, "no such format; there are {}", names.join(", "))
    }
}

impl std::error::Error for NoSuchFormat {}

impl FromStr for Format {
    type Err = NoSuchFormat;

    fn from_str(text: &str) -> Result<Self, NoSuchFormat> {
        Self::ALL.iter().copied().find(|format| format.as_str() == text).ok_or(NoSuchFormat)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
