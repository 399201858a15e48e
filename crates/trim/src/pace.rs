//! Not too many entries a second.

use std::num::NonZeroU32;
use std::time::Duration;

use plimsoll_host::monotonic_now;

use crate::limits::Limits;

/// How long to sleep at most before looking whether to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// A shorter wait than this is put off until it has added up: a sleep takes longer than it is asked for.
const SHORTEST: Duration = Duration::from_millis(1);

/// When the next entries may be changed.
#[derive(Debug)]
pub(crate) struct Pace {
    per_sec: Option<NonZeroU32>,
    next: Duration,
}

impl Pace {
    pub(crate) fn of(per_sec: Option<NonZeroU32>) -> Self {
        Self { per_sec, next: monotonic_now() }
    }

    /// So many entries are about to be changed.
    pub(crate) fn changes(&mut self, entries: usize) {
        if let Some(per_sec) = self.per_sec {
            // What was not used earlier is not made up for: that would be a burst.
            let takes = Duration::from_secs_f64(entries as f64 / f64::from(per_sec.get()));
            self.next = self.next.max(monotonic_now()) + takes;
        }
    }

    /// Waits until more may be changed, or it is to end.
    pub(crate) fn wait(&self, limits: &Limits<'_>) {
        if self.next > monotonic_now() + SHORTEST {
            sleep_until(self.next, limits);
        }
    }
}

/// Sleeps until a time on the monotonic clock, or until it is to end.
pub(crate) fn sleep_until(moment: Duration, limits: &Limits<'_>) {
    while limits.ended().is_none() {
        let until = limits.deadline.map_or(moment, |deadline| deadline.min(moment));
        match until.checked_sub(monotonic_now()) {
            Some(left) if !left.is_zero() => std::thread::sleep(left.min(PATIENCE)),
            _ => return,
        }
    }
}
