//! Time as the table keeps it.

use std::time::Duration;

/// A moment in jiffies, 32 bits that wrap, as `nfct_time_stamp` is (`nf_conntrack.h`): moments are compared by the sign of
/// their difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tick(u32);

impl Tick {
    /// This many jiffies later.
    pub(crate) const fn plus(self, jiffies: u32) -> Self {
        Self(self.0.wrapping_add(jiffies))
    }

    /// Jiffies from another moment to this one, below 0 where this one came first.
    pub(crate) const fn since(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }

    /// Whether an expiry at this moment lies behind.
    pub(crate) const fn is_over(self, now: Self) -> bool {
        self.since(now) <= 0
    }

    /// The number itself: before an entry is confirmed its expiry is a span, not a moment.
    pub(crate) const fn as_span(self) -> u32 {
        self.0
    }

    /// A span in place of a moment.
    pub(crate) const fn from_span(jiffies: u32) -> Self {
        Self(jiffies)
    }
}

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// How many jiffies a second has (`CONFIG_HZ`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hz(u32);

impl Hz {
    /// Debian's, Ubuntu's, and most others'.
    pub const COMMON: Self = Self(250);

    /// So many jiffies a second, if a kernel can be built so: 100, 250, 300 or 1000.
    pub const fn new(hz: u32) -> Option<Self> {
        match hz {
            100 | 250 | 300 | 1000 => Some(Self(hz)),
            _ => None,
        }
    }

    /// Jiffies a second.
    pub const fn get(self) -> u32 {
        self.0
    }

    #[expect(clippy::cast_possible_truncation, reason = "moments wrap")]
    pub(crate) const fn tick(self, at: Duration) -> Tick {
        let whole = at.as_secs().wrapping_mul(self.0 as u64);
        Tick((whole as u32).wrapping_add((at.subsec_nanos() as u64 * self.0 as u64 / NANOS_PER_SEC) as u32))
    }

    /// When the tick of a moment ends, in nanoseconds of its second: each second has whole ticks.
    #[expect(clippy::cast_possible_truncation, reason = "no more than a second's")]
    pub(crate) const fn end_of_tick(self, at: Duration) -> u32 {
        let ticks = at.subsec_nanos() as u64 * self.0 as u64 / NANOS_PER_SEC;
        // The first that is of the next one.
        ((ticks + 1) * NANOS_PER_SEC).div_ceil(self.0 as u64) as u32
    }

    /// Seconds in jiffies; the kernel takes no more than fit a signed number (`proc_dointvec_jiffies`).
    pub(crate) const fn jiffies(self, secs: u32) -> u32 {
        const MOST: u32 = i32::MAX.cast_unsigned();
        match secs.checked_mul(self.0) {
            Some(jiffies) if jiffies <= MOST => jiffies,
            _ => MOST,
        }
    }

    /// Jiffies as time.
    pub(crate) fn duration(self, jiffies: u32) -> Duration {
        Duration::from_nanos(u64::from(jiffies) * NANOS_PER_SEC / u64::from(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_wrap_and_are_still_in_order() {
        let late = Hz::COMMON.tick(Duration::from_secs(u64::from(u32::MAX / 250)));
        let later = late.plus(Hz::COMMON.jiffies(432_000));
        assert_eq!(later.since(late), 432_000 * 250);
        assert!(!later.is_over(late) && late.is_over(late) && late.is_over(later));
    }

    #[test]
    fn a_tick_ends_where_the_next_one_begins() {
        for hz in [100, 250, 300, 1000].map(|hz| Hz::new(hz).unwrap()) {
            for at in [0, 1, 3_333_333, 3_333_334, 999_999_999, 1_000_000_000, 7_123_456_789].map(Duration::from_nanos)
            {
                let ends = Duration::from_secs(at.as_secs()) + Duration::from_nanos(hz.end_of_tick(at).into());
                let before = ends.checked_sub(Duration::from_nanos(1)).unwrap();
                assert!(before >= at, "{hz:?} {at:?}");
                assert_eq!((hz.tick(before), hz.tick(ends)), (hz.tick(at), hz.tick(at).plus(1)), "{hz:?} {at:?}");
            }
        }
    }

    #[test]
    fn a_second_has_its_jiffies() {
        let hz = Hz::new(1000).unwrap();
        assert_eq!(hz.tick(Duration::from_millis(1_500)).since(hz.tick(Duration::ZERO)), 1_500);
        assert_eq!(Hz::COMMON.tick(Duration::from_micros(3_999)).since(Tick::default()), 0);
        assert_eq!(Hz::COMMON.jiffies(u32::MAX), i32::MAX.cast_unsigned());
        assert_eq!(Hz::new(999), None);
    }
}
