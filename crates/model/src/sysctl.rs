//! The sysctls that decide what tracking does, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Buckets, Timeout};

/// A sysctl that decides what tracking does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sysctl {
    folder: Folder,
    name: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Folder {
    Netfilter,
    Ipv4,
}

/// How far a sysctl reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All network namespaces: there is one value, which child namespaces show and may not set (EACCES).
    Host,
    /// One network namespace, which begins with the value that is compiled in.
    Namespace,
}

impl Sysctl {
    /// Entries that each network namespace may hold.
    pub const CAPACITY: Self = Self::netfilter("nf_conntrack_max");
    /// Chains of the hash.
    pub const BUCKETS: Self = Self::netfilter("nf_conntrack_buckets");
    /// Expectations that may wait in each network namespace.
    pub const EXPECT_MAX: Self = Self::netfilter("nf_conntrack_expect_max");
    /// Whether connections may be picked up in the middle.
    pub const TCP_LOOSE: Self = Self::netfilter("nf_conntrack_tcp_loose");
    /// Whether packets outside the window are accepted.
    pub const TCP_BE_LIBERAL: Self = Self::netfilter("nf_conntrack_tcp_be_liberal");
    /// Whether a reset whose sequence number is out of the window is no more than ignored.
    pub const TCP_IGNORE_INVALID_RST: Self = Self::netfilter("nf_conntrack_tcp_ignore_invalid_rst");
    /// Identical segments that count as retransmissions.
    pub const TCP_MAX_RETRANS: Self = Self::netfilter("nf_conntrack_tcp_max_retrans");
    /// Whether packets and bytes are counted.
    pub const ACCOUNTING: Self = Self::netfilter("nf_conntrack_acct");
    /// Whether the time at which an entry was made is kept.
    pub const TIMESTAMP: Self = Self::netfilter("nf_conntrack_timestamp");
    /// Whether events are made.
    pub const EVENTS: Self = Self::netfilter("nf_conntrack_events");
    /// Whether helpers are assigned by port (up to 5.15; gone in 6.1).
    pub const HELPER: Self = Self::netfilter("nf_conntrack_helper");
    /// Whether a listener whose backlog overflows answers with cookies.
    pub const SYNCOOKIES: Self = Self { folder: Folder::Ipv4, name: "tcp_syncookies" };

    const OTHERS: [Self; 12] = [
        Self::CAPACITY,
        Self::BUCKETS,
        Self::EXPECT_MAX,
        Self::TCP_LOOSE,
        Self::TCP_BE_LIBERAL,
        Self::TCP_IGNORE_INVALID_RST,
        Self::TCP_MAX_RETRANS,
        Self::ACCOUNTING,
        Self::TIMESTAMP,
        Self::EVENTS,
        Self::HELPER,
        Self::SYNCOOKIES,
    ];

    const fn netfilter(name: &'static str) -> Self {
        Self { folder: Folder::Netfilter, name }
    }

    /// A timeout's; `None` for one that cannot be set.
    pub fn of_timeout(timeout: Timeout) -> Option<Self> {
        timeout.sysctl().map(Self::netfilter)
    }

    /// All that Plimsoll knows.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::OTHERS.into_iter().chain(Timeout::all_with_sysctl().filter_map(Self::of_timeout))
    }

    /// The timeout that it sets, if it sets one.
    pub fn timeout(self) -> Option<Timeout> {
        Timeout::all_with_sysctl().find(|timeout| Self::of_timeout(*timeout) == Some(self))
    }

    /// What it reads as once a value is written: the kernel rounds buckets up to whole pages (`nf_conntrack_hash_resize`).
    pub fn as_read(self, written: u32) -> u32 {
        match Buckets::in_whole_pages(written) {
            Some(buckets) if self == Self::BUCKETS => buckets.0,
            _ => written,
        }
    }

    /// How far it reaches.
    pub fn reach(self) -> Reach {
        match self {
            Self::CAPACITY | Self::BUCKETS | Self::EXPECT_MAX => Reach::Host,
            _ => Reach::Namespace,
        }
    }

    /// The name without its folder: `nf_conntrack_max`.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The file below `/proc/sys/`.
    pub fn path(self) -> String {
        format!("{}/{}", self.folder.path(), self.name)
    }
}

impl Folder {
    const fn path(self) -> &'static str {
        match self {
            Self::Netfilter => "net/netfilter",
            Self::Ipv4 => "net/ipv4",
        }
    }
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.path().replace('/', "."))
    }
}

/// Not the name of a sysctl that decides what tracking does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchSysctl;

impl fmt::Display for NoSuchSysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no sysctl of this name decides what tracking does")
    }
}

impl std::error::Error for NoSuchSysctl {}

impl FromStr for Sysctl {
    type Err = NoSuchSysctl;

    /// The full name (`net.netfilter.nf_conntrack_max`, or with slashes), or it without `net.netfilter.`; and the limit's older
    /// name `net.nf_conntrack_max`.
    fn from_str(text: &str) -> Result<Self, NoSuchSysctl> {
        let dotted = text.replace('/', ".");
        if dotted == "net.nf_conntrack_max" {
            return Ok(Self::CAPACITY);
        }
        Self::all().find(|known| dotted == known.name || dotted == known.to_string()).ok_or(NoSuchSysctl)
    }
}

impl Serialize for Sysctl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sysctl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| serde::de::Error::custom(format!("\"{}\": {error}", text.escape_default())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_and_has_a_file() {
        for sysctl in Sysctl::all() {
            assert_eq!(sysctl.to_string().parse(), Ok(sysctl));
            assert_eq!(sysctl.path().parse(), Ok(sysctl));
            assert_eq!(sysctl.name().parse(), Ok(sysctl));
            assert_eq!(sysctl.timeout().and_then(Sysctl::of_timeout), sysctl.timeout().map(|_| sysctl));
        }
        assert_eq!((Sysctl::BUCKETS.as_read(1000), Sysctl::CAPACITY.as_read(1000)), (1024, 1000));
        assert_eq!("net.nf_conntrack_max".parse(), Ok(Sysctl::CAPACITY));
        assert_eq!(Sysctl::SYNCOOKIES.path(), "net/ipv4/tcp_syncookies");
        for wrong in [
            "",
            "net.netfilter.nf_conntrack_count",
            "nf_conntrack_",
            "../nf_conntrack_max",
            "net.ipv4.nf_conntrack_max",
        ] {
            assert_eq!(wrong.parse::<Sysctl>(), Err(NoSuchSysctl), "{wrong}");
        }
    }
}
