//! How far timeouts are shrunk.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::Rules;

/// The share of themselves that timeouts have, in tenths. Few values are in force one after the other: an entry may have been armed
/// with each, and what armed it must be known to tell how long it has been silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scale(u8);

impl Scale {
    /// Timeouts are what they were.
    pub const WHOLE: Self = Self(10);

    /// What an occupancy asks for, as a share of capacity. Rounded down: never longer timeouts than pf would have.
    pub fn at(utilization: f64, rules: &Rules) -> Self {
        let share = (rules.end - utilization) / (rules.end - rules.start);
        let tenths = (share.clamp(0.0, 1.0) * f64::from(Self::WHOLE.0) + ROUNDING).floor();
        // From 0 to 10; what is no number asks for nothing.
        (0..=Self::WHOLE.0).rev().find(|one| f64::from(*one) <= tenths).map_or(Self::WHOLE, Self)
    }

    /// What becomes of a timeout of so many seconds: never less than its floor, nor than a second, nor more than it was.
    pub fn secs(self, base_secs: u32, floor_secs: u32) -> u32 {
        let scaled = u64::from(base_secs) * u64::from(self.0) / u64::from(Self::WHOLE.0);
        u32::try_from(scaled).unwrap_or(base_secs).max(floor_secs).max(1).min(base_secs)
    }

    /// As a share, from 0 to 1.
    pub fn share(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE.0)
    }
}

/// So that a tenth that is met exactly is not missed by the last bit of a fraction.
const ROUNDING: f64 = 1e-9;

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", u32::from(self.0) * 10)
    }
}

impl Serialize for Scale {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.share())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shrinks_from_start_on_and_is_a_third_where_the_table_is_full() {
        let scale = |utilization| Scale::at(utilization, &Rules::default()).share();
        let expected =
            [(0.0, 1.0), (0.6, 1.0), (0.601, 0.9), (0.66, 0.9), (0.9, 0.5), (1.0, 0.3), (1.2, 0.0), (9.0, 0.0)];
        for (utilization, share) in expected {
            assert!((scale(utilization) - share).abs() < 1e-9, "{utilization}: {}", scale(utilization));
        }
        assert_eq!(Scale::at(f64::NAN, &Rules::default()), Scale::WHOLE);
    }

    #[test]
    fn a_timeout_stays_between_its_floor_and_what_it_was() {
        assert_eq!([0, 3, 9, 10].map(|tenths| Scale(tenths).secs(120, 30)), [30, 36, 108, 120]);
        assert_eq!((Scale(3).secs(10, 60), Scale(0).secs(5, 0)), (10, 1));
        assert_eq!(Scale(9).secs(u32::MAX, 0), 3_865_470_565);
    }
}
