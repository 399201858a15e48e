//! Looking at an entry twice: whether a packet came in between. Pure.

use std::time::Duration;

/// Time between the two looks: packets of a flow that is in use come within it.
pub const SECOND_LOOK_AFTER: Duration = Duration::from_secs(3);

/// What the kernel's clock and ours may differ by: it counts ticks, of at most 10 ms (HZ = 100).
const TICK: Duration = Duration::from_millis(10);

/// Between which times, on the monotonic clock, something was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Not before.
    pub from: Duration,
    /// Not after.
    pub to: Duration,
}

/// When an entry is going to expire, as it was seen: between two times on the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    earliest: Duration,
    latest: Duration,
}

impl Sighting {
    /// Of an entry that had so many whole seconds left, rounded down, when it was read.
    pub fn of(remaining_secs: u32, read: Window) -> Self {
        let remaining = Duration::from_secs(remaining_secs.into());
        Self {
            earliest: (read.from + remaining).saturating_sub(TICK),
            latest: read.to + remaining + Duration::from_secs(1) + TICK,
        }
    }

    /// Whether both may be of one arming: then no packet came between them. One that came armed the entry anew, from its own
    /// time on.
    pub fn is_same_arming(self, other: Self) -> bool {
        self.earliest <= other.latest && other.earliest <= self.latest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(remaining_secs: u32, from_millis: u64, to_millis: u64) -> Sighting {
        let read = Window { from: Duration::from_millis(from_millis), to: Duration::from_millis(to_millis) };
        Sighting::of(remaining_secs, read)
    }

    #[test]
    fn time_that_only_passed_is_the_same_arming() {
        let first = seen(300, 10_000, 10_050);
        for (remaining, at, same) in
            [(297, 13_000, true), (296, 13_000, true), (300, 13_000, false), (290, 13_000, false)]
        {
            assert_eq!(first.is_same_arming(seen(remaining, at, at + 50)), same, "{remaining} left");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// An entry that is left alone agrees with itself, whenever it is read and however long reading takes.
        #[test]
        fn an_untouched_entry_agrees_with_itself(
            expires in 10_000_000_u64..20_000_000, first in 0_u64..1_000_000, later in 0_u64..5_000_000,
            early in 0_u64..5_000, late in 0_u64..5_000,
        ) {
            let look = |at: u64| {
                let remaining = u32::try_from((expires - at) / 1000).unwrap();
                seen(remaining, at.saturating_sub(early), at + late)
            };
            prop_assert!(look(first).is_same_arming(look(first + later)));
        }

        /// A packet shows, if it changes the expiry by more than what reading and rounding leave open.
        #[test]
        fn a_packet_in_between_shows(
            armed in 20_u32..400_000, left in 10_u32..400_000, packet in 0_u64..2_000, took in 0_u64..200,
        ) {
            let second_at = 3_000;
            let remaining = u32::try_from((u64::from(armed) * 1000 - (second_at - packet)) / 1000).unwrap();
            let first = seen(left, 0, took);
            let second = seen(remaining, second_at, second_at + took);
            let moved = (i64::from(armed) * 1000 + i64::try_from(packet).unwrap() - i64::from(left) * 1000).abs();
            prop_assume!(moved > 2_500 + i64::try_from(took).unwrap());
            prop_assert!(!first.is_same_arming(second));
        }
    }
}
