//! The table over time.

use std::time::Duration;

/// The table at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Simulated time since the begin.
    pub at: Duration,
    /// Entries that the kernel counts: expired ones that nobody has freed are among them.
    pub occupancy: u32,
    /// Entries that have not expired.
    pub live: u32,
    /// Packets so far.
    pub packets: u64,
    /// Packets dropped so far.
    pub dropped: u64,
    /// False kills so far.
    pub false_kills: u64,
}
