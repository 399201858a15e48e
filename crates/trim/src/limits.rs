//! When an act ends before all stale entries are gone.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use plimsoll_host::monotonic_now;
use plimsoll_model::Occupancy;
use serde::Serialize;

/// When to end before all stale entries are gone.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// Once no more entries than this are there, or will be when those that were given little time have expired.
    pub until: Option<Occupancy>,
    /// Entries changed in a second, at most.
    pub entries_per_sec: Option<NonZeroU32>,
    /// At a time on the monotonic clock ([`monotonic_now`]).
    pub deadline: Option<Duration>,
    /// When this is raised.
    pub stop: &'a AtomicBool,
}

impl<'a> Limits<'a> {
    /// As soon and as far as can be, unless the flag is raised.
    pub const fn none(stop: &'a AtomicBool) -> Self {
        Self { until: None, entries_per_sec: None, deadline: None, stop }
    }

    /// Why to end now, if so.
    pub(crate) fn ended(&self) -> Option<Ended> {
        if self.stop.load(Ordering::Relaxed) {
            return Some(Ended::Stopped);
        }
        self.deadline.filter(|deadline| monotonic_now() >= *deadline).map(|_| Ended::Deadline)
    }
}

/// Why the act ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The whole table was gone through.
    Complete,
    /// Few enough entries are left.
    FewEnough,
    /// The time was up.
    Deadline,
    /// It was told to stop.
    Stopped,
}
