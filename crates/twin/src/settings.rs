//! What is set: for the host, and for each network namespace.

use std::time::Duration;

use plimsoll_model::{Buckets, Capacity, Timeouts};

use crate::capabilities::Capabilities;

/// What holds for all namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostSettings {
    /// How the kernel behaves where kernels differ.
    pub capabilities: Capabilities,
    /// Chains of the hash: `net.netfilter.nf_conntrack_buckets`, at least 1.
    pub buckets: Buckets,
    /// `net.netfilter.nf_conntrack_max`: how many entries each namespace may have; 0 for no limit.
    pub capacity: Capacity,
    /// `net.netfilter.nf_conntrack_expect_max`.
    pub expect_max: u32,
    /// When gc first walks the table: nobody can know of a running host's, but that it is within the next minute.
    pub first_collection: Duration,
    /// What the hash's key, chain caps and translated ports are drawn from.
    pub seed: u64,
}

impl HostSettings {
    /// What a kernel since 5.15 sets on a host with more than 4 GiB (`nf_conntrack_init_start`).
    pub const fn stock(capabilities: Capabilities, seed: u64) -> Self {
        const STOCK: u32 = 262_144;
        Self {
            capabilities,
            buckets: Buckets(STOCK),
            capacity: Capacity(STOCK),
            expect_max: 4 * (STOCK / 256),
            first_collection: Duration::from_secs(1),
            seed,
        }
    }
}

/// What holds for one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "sysctls that are switches")]
pub struct Settings {
    /// Timeouts; those that are not there are the compiled ones.
    pub timeouts: Timeouts,
    /// `nf_conntrack_tcp_loose`: flows are picked up in the middle.
    pub tcp_loose: bool,
    /// `nf_conntrack_tcp_be_liberal`: what lies outside the window is valid too.
    pub tcp_be_liberal: bool,
    /// `nf_conntrack_tcp_ignore_invalid_rst`: an RST need not have a recent sequence number.
    pub tcp_ignore_invalid_rst: bool,
    /// `nf_conntrack_tcp_max_retrans`.
    pub tcp_max_retrans: u32,
    /// `nf_conntrack_acct`: entries count packets and bytes.
    pub accounting: bool,
    /// `nf_conntrack_timestamp`: entries note when they began.
    pub timestamps: bool,
    /// `nf_conntrack_events`.
    pub events: Events,
    /// Whether translation is at work in the namespace: then even flows that no rule translates get a reply tuple that no
    /// other has (`nf_nat_alloc_null_binding`).
    pub translates: bool,
}

/// `nf_conntrack_events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// 0: none.
    Off,
    /// 1: always.
    Always,
    /// 2: while somebody listens; and nobody does.
    Unheard,
    /// 2: while somebody listens; and somebody does.
    Heard,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeouts: Timeouts::default(),
            tcp_loose: true,
            tcp_be_liberal: false,
            tcp_ignore_invalid_rst: false,
            tcp_max_retrans: 3,
            accounting: false,
            timestamps: false,
            events: Events::Unheard,
            translates: false,
        }
    }
}
