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

/// The most readings that a series has, but for the one at its end: as many as a picture has columns.
const MOST: usize = 256;
/// The interval begins with this, and doubles when the series is full.
const LEAST_INTERVAL: Duration = Duration::from_millis(125);

/// Readings at an interval that grows with time.
#[derive(Debug)]
pub(crate) struct Series {
    readings: Vec<Reading>,
    interval: Duration,
    due: Duration,
}

impl Series {
    /// For a workload that lasts so long, if that is known.
    pub(crate) fn new(lasts: Option<Duration>) -> Self {
        let mut interval = LEAST_INTERVAL;
        while lasts.is_some_and(|lasts| lasts.as_nanos() > interval.as_nanos() * MOST as u128) {
            interval *= 2;
        }
        Self { readings: Vec::new(), interval, due: Duration::ZERO }
    }

    /// When the next reading is due.
    pub(crate) const fn due(&self) -> Duration {
        self.due
    }

    /// Takes the reading that was due.
    pub(crate) fn push(&mut self, reading: Reading) {
        self.readings.push(reading);
        if self.readings.len() > MOST {
            let mut number = 0_usize;
            self.readings.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.interval *= 2;
        }
        self.due = self.readings.last().map_or(Duration::ZERO, |last| last.at + self.interval);
    }

    /// All of them, with the one at the end.
    pub(crate) fn finish(mut self, last: Reading) -> Vec<Reading> {
        if self.readings.last().is_none_or(|before| before.at < last.at) {
            self.readings.push(last);
        }
        self.readings
    }
}
