//! What changes from moment to moment.

use std::time::Duration;

use crate::{Capacity, CounterReading, Namespace, Occupancy};

/// How full a namespace's table is at a moment, and what was counted so far: what may be read each second.
#[derive(Clone, Debug)]
pub struct Pulse {
    /// Which namespace.
    pub namespace: Namespace,
    /// When, on the monotonic clock.
    pub at: Duration,
    /// Entries.
    pub occupancy: Option<Occupancy>,
    /// The limit in force.
    pub capacity: Option<Capacity>,
    /// Counters since boot.
    pub counters: Option<CounterReading>,
}
