//! Settings beside the table's own that decide what becomes of it.

use serde::Serialize;

use crate::{Sysctl, Untrusted};

/// What a namespace's own network settings say; `None` where one could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NetworkSettings {
    /// `net.ipv4.tcp_syncookies`: 0 off, 1 when a listener's backlog overflows, 2 always.
    pub syncookies: Option<u32>,
    /// `net.ipv4.tcp_keepalive_time`: seconds of silence before the first probe of a socket that asked for keepalive.
    pub keepalive_time_secs: Option<u32>,
    /// `net.ipv4.tcp_keepalive_intvl`: seconds between probes.
    pub keepalive_interval_secs: Option<u32>,
    /// `net.ipv4.tcp_keepalive_probes`: probes without an answer before the socket gives up.
    pub keepalive_probes: Option<u32>,
    /// `net.ipv4.ip_local_port_range`: ports that sockets here get when they open a connection, both included.
    pub local_ports: Option<(u16, u16)>,
    /// `net.netfilter.nf_conntrack_tcp_loose`: connections may be picked up in the middle.
    pub tcp_loose: Option<bool>,
    /// `net.netfilter.nf_conntrack_tcp_be_liberal`: packets outside the window are not invalid.
    pub tcp_be_liberal: Option<bool>,
    /// `net.netfilter.nf_conntrack_helper`: helpers are assigned by port alone. Gone in 6.1.
    pub helper: Option<bool>,
}

impl NetworkSettings {
    /// How long a connection of this namespace's own that asked for keepalive may be silent: the first probe comes after
    /// `tcp_keepalive_time`, and if that is lost the next one an interval later. An entry that does not live so long is gone
    /// when the probe comes. `None` where the time was not read.
    pub fn keepalive_needs_secs(&self) -> Option<u32> {
        Some(self.keepalive_time_secs?.saturating_add(self.keepalive_interval_secs.unwrap_or(0)))
    }
}

/// The file of sysctl.d(5) in which Plimsoll makes values last.
pub const OWN_SYSCTL_FILE: &str = "/etc/sysctl.d/90-plimsoll.conf";

/// What the next boot will set of conntrack, as far as files tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lasting {
    /// What files of sysctl settings (sysctl.d(5)) set below `net.netfilter.`, of `net.nf_conntrack_max`, and of
    /// `net.ipv4.tcp_syncookies` (by its name; not by a pattern), in the order in which they take effect: the last one of a
    /// name wins.
    pub sysctl: Vec<SettingInFile>,
    /// `hashsize` for the module, from modprobe.d(5) or, where it is built in, from the kernel's command line.
    pub hashsize: Option<SettingInFile>,
    /// A file of modules-load.d(5) that loads `nf_conntrack` before sysctl settings are made.
    pub loaded_by: Option<Untrusted>,
}

impl Lasting {
    /// The setting of a sysctl that takes effect last, by whichever of its names.
    pub fn last(&self, sysctl: Sysctl) -> Option<&SettingInFile> {
        self.sysctl.iter().rev().find(|setting| setting.name.as_str().parse() == Ok(sysctl))
    }
}

/// A setting that a file makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingInFile {
    /// The sysctl's name with dots, or `hashsize`.
    pub name: Untrusted,
    /// The value as written.
    pub value: Untrusted,
    /// The file, or `/proc/cmdline`.
    pub file: Untrusted,
}
