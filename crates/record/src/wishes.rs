//! What is to be recorded, and how.

use std::time::Duration;

use plimsoll_recording::{Addresses, Sources};

use crate::governor::Bounds;
use crate::table::History;

/// What is to be recorded, and how.
#[derive(Clone, Copy, Debug)]
pub struct Wishes {
    /// For how long; `None` for until it is told to stop.
    pub lasts: Option<Duration>,
    /// From what.
    pub sources: Sources,
    /// Entries that are looked at again and again.
    pub looked_at: usize,
    /// Time from one look to the next.
    pub look_every: LookEvery,
    /// Time from one reading of the table's numbers to the next.
    pub read_every: Duration,
    /// What is known of silences that go on is written down so often: a recorder that is killed loses no more of them.
    pub write_down_every: Duration,
    /// Beyond this only a share of all entries is followed.
    pub bounds: Bounds,
    /// Room for events that have come and were not yet taken.
    pub buffer_bytes: usize,
    /// Whether addresses are hidden.
    pub addresses: Addresses,
    /// What addresses are hidden by.
    pub secret: (u64, u64),
    /// What keys of flows are made by: another one for each recording.
    pub key_secret: (u64, u64),
    /// What is known of the timeouts before.
    pub history: History,
}

/// Time from one look to the next, on the average.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookEvery {
    /// So long, whatever it costs others.
    Exactly(Duration),
    /// So long; and several times as long where a dump walks far without a pause, and holds up packets meanwhile.
    Gently(Duration),
}
