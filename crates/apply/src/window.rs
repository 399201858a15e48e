//! What was counted between two readings.

use plimsoll_host::TcpCounts;
use plimsoll_model::{Counter, CounterReading};
use serde::{Deserialize, Serialize};

use std::time::Duration;

/// Counters of a namespace at one moment. What could not be read is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// When, by `CLOCK_BOOTTIME`.
    pub at: Duration,
    /// What tracking counts.
    pub counters: Option<CounterReading>,
    /// What TCP counts.
    pub tcp: Option<TcpCounts>,
    /// Packets that IP has handled.
    pub packets: Option<u64>,
    /// Memory that can be had, in bytes (`MemAvailable`).
    pub available_bytes: Option<u64>,
    /// All memory, in bytes.
    pub ram_bytes: Option<u64>,
}

/// What was counted in a span of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// How long it was.
    pub secs: f64,
    /// Packets dropped because an entry could not be had.
    pub drop: Option<u64>,
    /// Entries that could not be inserted.
    pub insert_failed: Option<u64>,
    /// Entries killed to make room.
    pub early_drop: Option<u64>,
    /// Packets that could not be tracked.
    pub invalid: Option<u64>,
    /// Packets that IP handled.
    pub packets: Option<u64>,
    /// TCP segments sent by this namespace's sockets.
    pub sent_segments: Option<u64>,
    /// Those of them that were sent again.
    pub retransmitted_segments: Option<u64>,
    /// Retransmission timers that ran out.
    pub tcp_timeouts: Option<u64>,
    /// TCP connections reset while they were open.
    pub resets: Option<u64>,
    /// Memory that could be had at its end, in bytes.
    pub available_bytes: Option<u64>,
    /// All memory, in bytes.
    pub ram_bytes: Option<u64>,
    /// Runs of the user's own check.
    pub probes: u64,
    /// Those of them that failed.
    pub failed_probes: u64,
}

impl Window {
    /// From one reading to a later one.
    pub fn between(earlier: &Reading, later: &Reading) -> Self {
        let counters =
            earlier.counters.as_ref().zip(later.counters.as_ref()).map(|(before, after)| after.since(before));
        let counted = |counter| counters.as_ref().and_then(|change| change.get(counter));
        let tcp = |of: fn(&TcpCounts) -> u64| {
            let (before, after) = earlier.tcp.as_ref().zip(later.tcp.as_ref())?;
            of(after).checked_sub(of(before))
        };
        Self {
            secs: later.at.saturating_sub(earlier.at).as_secs_f64(),
            drop: counted(Counter::Drop),
            insert_failed: counted(Counter::InsertFailed),
            early_drop: counted(Counter::EarlyDrop),
            invalid: counted(Counter::Invalid),
            packets: earlier.packets.zip(later.packets).and_then(|(before, after)| after.checked_sub(before)),
            sent_segments: tcp(|tcp| tcp.sent_segments),
            retransmitted_segments: tcp(|tcp| tcp.retransmitted_segments),
            tcp_timeouts: tcp(|tcp| tcp.timeouts),
            resets: tcp(|tcp| tcp.resets),
            available_bytes: later.available_bytes,
            ram_bytes: later.ram_bytes,
            probes: 0,
            failed_probes: 0,
        }
    }
}
