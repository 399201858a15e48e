//! Wilson's interval for a share, at 95 %.

use crate::{Interval, Range};

/// The normal distribution's 97.5 % point.
const Z: f64 = 1.959_963_984_540_054;

/// Entries that were read, and what they stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Entries read.
    pub read: u64,
    /// Live entries in the whole table.
    pub live: Range,
}

impl Sample {
    /// Whether every live entry was read.
    pub fn is_whole(&self) -> bool {
        self.live == Range::exact(self.read)
    }

    /// The share of the live entries that `seen` entries of the sample stand for.
    ///
    /// E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927), with the sample
    /// size enlarged by the finite-population correction: drawn from few, a sample knows more.
    pub fn share(&self, seen: u64) -> Interval {
        if self.read == 0 {
            return if self.is_whole() { Interval::exact(0.0) } else { Interval { low: 0.0, value: 0.0, high: 1.0 } };
        }
        let value = seen as f64 / self.read as f64;
        if self.is_whole() {
            return Interval::exact(value);
        }
        let (read, live) = (self.read as f64, self.live.high as f64);
        let n = read * (live - 1.0).max(1.0) / (live - read).max(1.0);
        let spread = Z * Z / n;
        let centre = (value + spread / 2.0) / (1.0 + spread);
        let half = Z * (value * (1.0 - value) / n + spread / (4.0 * n)).sqrt() / (1.0 + spread);
        // The bounds meet 0 and 1 but for rounding.
        let low = if seen == 0 { 0.0 } else { (centre - half).max(0.0) };
        let high = if seen == self.read { 1.0 } else { (centre + half).min(1.0) };
        Interval { low, value, high }
    }

    /// How many entries of the whole table that share is.
    pub fn entries(&self, seen: u64) -> Range {
        if self.is_whole() {
            return Range::exact(seen);
        }
        let share = self.share(seen);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 2^32, never negative")]
        let scaled = |share: f64, live: u64| (share * live as f64).ceil() as u64;
        Range { low: scaled(share.low, self.live.low).max(seen), high: scaled(share.high, self.live.high).max(seen) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half_of(read: u64, live: u64) -> Interval {
        Sample { read, live: Range { low: read, high: live } }.share(read / 2)
    }

    #[test]
    fn a_half_is_known_to_a_point_after_9600_entries_of_a_million() {
        assert!(half_of(9_600, 1_000_000).half_width() < 0.01);
        assert!(half_of(9_000, 1_000_000).half_width() > 0.01);
    }

    #[test]
    fn of_a_small_table_less_is_enough() {
        assert!(half_of(5_000, 10_000).half_width() < 0.01);
        assert!(half_of(9_999, 10_000).half_width() < 0.001);
    }

    #[test]
    fn nothing_seen_is_not_nothing_there() {
        let sample = Sample { read: 1000, live: Range { low: 1000, high: 1_000_000 } };
        let share = sample.share(0);
        assert!(share.low == 0.0 && share.high > 0.003 && share.high < 0.005, "{share:?}");
        assert!(sample.entries(0).high > 3000);
    }

    #[test]
    fn a_whole_table_has_no_error() {
        let sample = Sample { read: 7, live: Range::exact(7) };
        assert_eq!(sample.share(2), Interval::exact(2.0 / 7.0));
        assert_eq!(sample.entries(2), Range::exact(2));
    }
}
