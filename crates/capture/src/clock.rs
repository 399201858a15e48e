//! From the numbers in a file to times.

use std::time::Duration;

/// How an interface counts time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    tick: Tick,
    offset_secs: i64,
}

/// How long the unit of a timestamp is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tick {
    /// There are so many in a second, and each is so many nanoseconds.
    Nanos { per_sec: u64, each: u64 },
    /// There are so many in a second, and so many in a nanosecond.
    Finer { per_sec: u64, per_nano: u64 },
    /// Ten to the power of −20 or less: all of 64 bits are less than a second, and so many ticks are a nanosecond.
    FinestDecimal { per_nano: Option<u64> },
    /// Two to the power of minus so much.
    Binary { exponent: u32 },
}

impl Default for Clock {
    /// Microseconds: what an interface has that says nothing.
    fn default() -> Self {
        Self { tick: Tick::of(6), offset_secs: 0 }
    }
}

impl Clock {
    /// With ticks as the option `if_tsresol` says: a negative power of 10, or of 2 if the highest bit is set
    /// (draft-ietf-opsawg-pcapng, "Interface Description Block").
    pub(crate) fn with_resolution(self, resolution: u8) -> Self {
        Self { tick: Tick::of(resolution), ..self }
    }

    /// With seconds to be added, as the option `if_tsoffset` says.
    pub(crate) fn with_offset_secs(self, offset_secs: i64) -> Self {
        Self { offset_secs, ..self }
    }

    /// The time since 1970 that a number of ticks means; `None` before 1970.
    #[inline]
    pub(crate) fn time(self, ticks: u64) -> Option<Duration> {
        let (secs, nanos) = self.tick.split(ticks);
        Some(Duration::new(secs.checked_add_signed(self.offset_secs)?, nanos))
    }
}

impl Tick {
    fn of(resolution: u8) -> Self {
        let exponent = u32::from(resolution & 0x7f);
        if resolution & 0x80 != 0 {
            return Self::Binary { exponent };
        }
        match (10_u64.checked_pow(exponent), exponent.checked_sub(9)) {
            (Some(per_sec), Some(finer)) => Self::Finer { per_sec, per_nano: 10_u64.pow(finer) },
            (Some(per_sec), None) => Self::Nanos { per_sec, each: 10_u64.pow(9 - exponent) },
            (None, finer) => Self::FinestDecimal { per_nano: finer.and_then(|finer| 10_u64.checked_pow(finer)) },
        }
    }

    /// Whole seconds and nanoseconds.
    #[inline]
    fn split(self, ticks: u64) -> (u64, u32) {
        let (secs, nanos) = match self {
            Self::Nanos { per_sec, each } => (ticks / per_sec, ticks % per_sec * each),
            Self::Finer { per_sec, per_nano } => (ticks / per_sec, ticks % per_sec / per_nano),
            Self::FinestDecimal { per_nano } => (0, per_nano.map_or(0, |per_nano| ticks / per_nano)),
            Self::Binary { exponent } => {
                let secs = ticks.checked_shr(exponent).unwrap_or(0);
                let rest = u128::from(ticks) - (u128::from(secs) << exponent.min(64));
                (secs, u64::try_from((rest * 1_000_000_000) >> exponent).unwrap_or(0))
            }
        };
        // Less than a second in each case, so that it fits.
        (secs, u32::try_from(nanos).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_times() {
        for (resolution, ticks, secs, nanos) in [
            (6, 1_700_000_000_123_456, 1_700_000_000, 123_456_000),
            (9, 1_700_000_000_123_456_789, 1_700_000_000, 123_456_789),
            (0, 1_700_000_000, 1_700_000_000, 0),
            (0, u64::MAX, u64::MAX, 0),
            (3, 1_500, 1, 500_000_000),
            (12, 1_000_000_001_999, 1, 1),
            (19, 15_000_000_000_000_000_000, 1, 500_000_000),
            (20, u64::MAX, 0, 184_467_440),
            (127, u64::MAX, 0, 0),
            (0x80, 7, 7, 0),
            (0x80 | 1, 3, 1, 500_000_000),
            (0x80 | 32, (5 << 32) | (1 << 30), 5, 250_000_000),
            (0x80 | 63, (1 << 63) | (1 << 62), 1, 500_000_000),
            (0x80 | 64, 1 << 63, 0, 500_000_000),
            (0x80 | 127, u64::MAX, 0, 0),
        ] {
            let clock = Clock::default().with_resolution(resolution);
            assert_eq!(clock.time(ticks), Some(Duration::new(secs, nanos)), "{resolution} {ticks}");
        }
    }

    #[test]
    fn every_resolution_gives_less_than_a_second_of_nanoseconds() {
        for resolution in 0..=255 {
            for ticks in [0, 1, 999_999, 1 << 32, u64::MAX - 1, u64::MAX] {
                let (_, nanos) = Tick::of(resolution).split(ticks);
                assert!(nanos < 1_000_000_000, "{resolution} {ticks}");
            }
        }
    }

    #[test]
    fn an_offset_is_added_and_nothing_is_before_1970() {
        let clock = Clock::default();
        assert_eq!(clock.with_offset_secs(100).time(1_000_000), Some(Duration::from_secs(101)));
        assert_eq!(clock.with_offset_secs(-1).time(1_000_000), Some(Duration::ZERO));
        assert_eq!(clock.with_offset_secs(-2).time(1_000_000), None);
    }
}
