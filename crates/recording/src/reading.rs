//! The table at a moment.

use plimsoll_model::{Buckets, Capacity, Counter, Occupancy};

use crate::time::UnixMicros;

/// The table, and the recorder, at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct TableReading {
    /// When.
    pub at: UnixMicros,
    /// Entries that the kernel counts; `None` where it could not be read.
    pub occupancy: Option<Occupancy>,
    /// The limit in force.
    pub capacity: Option<Capacity>,
    /// Chains of the hash.
    pub buckets: Option<Buckets>,
    /// Each counter's total over all CPUs since boot, in the order of [`Counter::ALL`]; 32 bits a CPU that wrap.
    pub counters: [Option<u64>; Counter::ALL.len()],
    /// Events received since the recording began.
    pub events: u64,
    /// How often the kernel said that events were lost.
    pub losses: u64,
    /// Events that the kernel dropped, where it tells.
    pub dropped_events: Option<u64>,
    /// The share of entries whose events are received.
    pub share: f64,
    /// Flows that are followed by their events.
    pub followed: u64,
    /// Entries that are looked at.
    pub looked_at: u64,
}
