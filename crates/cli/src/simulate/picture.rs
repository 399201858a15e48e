//! What both pictures show: how far their axes reach, and which limits lie within.

use std::time::Duration;

use plimsoll_simulate::Outcome;

/// The axes of a picture of entries over time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Picture {
    /// The number of entries at the top.
    pub(super) top: u64,
    /// How long the longest run lasted.
    pub(super) lasted: Duration,
    /// Limits that are reached or nearly so, each once.
    pub(super) limits: Vec<u32>,
    /// The lowest limit that lies above the picture, if none lies within.
    pub(super) above: Option<u32>,
}

/// Parts into which the axis of entries is divided.
pub(super) const PARTS: u32 = 4;

/// A limit so many times as high as the highest count would leave the curves too low to be seen.
const FAR: u64 = 3;

impl Picture {
    pub(super) fn of<'a>(outcomes: impl Iterator<Item = &'a Outcome> + Clone) -> Self {
        let peak = outcomes.clone().map(|outcome| u64::from(outcome.peak.occupancy)).max().unwrap_or(0);
        let mut limits: Vec<_> = outcomes.clone().filter_map(|outcome| outcome.capacity.limit()).collect();
        limits.sort_unstable();
        limits.dedup();
        let (within, above): (Vec<u32>, Vec<u32>) =
            limits.into_iter().partition(|limit| u64::from(*limit) <= peak.saturating_mul(FAR));
        let highest = within.last().map_or(peak, |limit| peak.max(u64::from(*limit)));
        Self {
            top: nice(highest),
            lasted: outcomes.map(|outcome| outcome.lasted).max().unwrap_or_default(),
            above: above.first().copied().filter(|_| within.is_empty()),
            limits: within,
        }
    }

    /// The numbers along the axis of entries, from 0.
    pub(super) fn marks(&self) -> impl Iterator<Item = u64> + use<> {
        let top = self.top;
        (0..=PARTS).map(move |part| top / u64::from(PARTS) * u64::from(part))
    }
}

/// The least number that is not below this one and divides into round parts.
fn nice(number: u64) -> u64 {
    const WHOLE: [u64; 7] = [1, 2, 3, 4, 5, 6, 8];
    const TENTHS: [u64; 10] = [10, 15, 20, 25, 30, 40, 50, 60, 75, 80];
    let tens = (0..18).map(|power| 10_u64.pow(power)).flat_map(|unit| TENTHS.map(|factor| factor * unit));
    let tops = WHOLE.into_iter().chain(tens).map(|part| part.saturating_mul(PARTS.into()));
    tops.into_iter().find(|top| *top >= number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_ends_at_a_round_number() {
        assert_eq!(
            [0, 4, 5, 9, 33, 262_144, 524_288, 1_200_000].map(nice),
            [4, 4, 8, 12, 40, 300_000, 600_000, 1_200_000]
        );
    }
}
