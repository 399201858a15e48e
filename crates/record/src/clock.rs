//! The recording's clock.

use std::time::{Duration, SystemTime};

use plimsoll_host::monotonic_now;
use plimsoll_recording::UnixMicros;

/// The wall clock has been set if it is so far from where it was.
const STEP: Duration = Duration::from_secs(1);

/// Wall-clock time at its making, and from there on what the monotonic clock counts: as the kernel's own ticks, it neither
/// steps nor counts the time that a host is suspended.
#[derive(Debug)]
pub(crate) struct Clock {
    began: UnixMicros,
    began_monotonic: Duration,
    /// How far the wall clock was ahead of this one when that was last looked at.
    ahead_micros: i64,
}

impl Clock {
    pub(crate) fn begin() -> Self {
        Self { began: wall(), began_monotonic: monotonic_now(), ahead_micros: 0 }
    }

    pub(crate) fn now(&self) -> UnixMicros {
        self.began.plus(monotonic_now().saturating_sub(self.began_monotonic))
    }

    /// By how many microseconds the wall clock has been set since this was last asked, if it was.
    pub(crate) fn step_micros(&mut self) -> Option<i64> {
        self.step_from(wall().0.saturating_sub(self.now().0))
    }

    fn step_from(&mut self, ahead_micros: i64) -> Option<i64> {
        let step = ahead_micros.saturating_sub(self.ahead_micros);
        self.ahead_micros = ahead_micros;
        (u128::from(step.unsigned_abs()) > STEP.as_micros()).then_some(step)
    }
}

fn wall() -> UnixMicros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMicros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_once_and_drift_is_none() {
        let mut clock = Clock::begin();
        assert_eq!(clock.step_micros(), None);
        assert_eq!(clock.step_from(500), None);
        assert_eq!(clock.step_from(-3_600_000_000), Some(-3_600_000_500));
        assert_eq!(clock.step_from(-3_600_000_000), None);
    }
}
