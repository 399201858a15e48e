//! How much a table holds and may hold.

use std::fmt;

use serde::Serialize;

/// `nf_conntrack_max` in force: how many entries each network namespace may hold. One value for the whole host, applied
/// to each namespace's own count (`net/netfilter/nf_conntrack_core.c`, `__nf_conntrack_alloc`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Capacity(pub u32);

impl Capacity {
    /// The limit as a number, or `None` where 0 switches it off (kernels before 7.0 take 0 as "no limit").
    pub const fn limit(self) -> Option<u32> {
        match self.0 {
            0 => None,
            limit => Some(limit),
        }
    }
}

/// Entries that the kernel counts in one namespace now, the expired ones that it has not freed yet among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Occupancy(pub u32);

impl Occupancy {
    /// Occupancy over capacity, from 0 to a little over 1; `None` without a limit.
    pub fn utilization(self, capacity: Capacity) -> Option<f64> {
        capacity.limit().map(|limit| f64::from(self.0) / f64::from(limit))
    }
}

/// `nf_conntrack_buckets`: chains of the one hash table that all namespaces share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Buckets(pub u32);

impl Buckets {
    /// Buckets that a page holds: pointers of eight bytes.
    pub const A_PAGE: u32 = 512;

    /// What the kernel makes of a number that is set: it rounds up to whole pages (`nf_ct_alloc_hashtable`). `None` where
    /// that does not fit.
    pub fn in_whole_pages(set: u32) -> Option<Self> {
        set.checked_next_multiple_of(Self::A_PAGE).map(Self)
    }
}

/// The host's limits. All are global: a child namespace shows them but cannot set them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// `net.netfilter.nf_conntrack_max`.
    pub capacity: Option<Capacity>,
    /// `net.netfilter.nf_conntrack_buckets`.
    pub buckets: Option<Buckets>,
    /// `net.netfilter.nf_conntrack_expect_max`.
    pub expect_max: Option<u32>,
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Occupancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
