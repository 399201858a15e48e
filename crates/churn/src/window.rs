//! How far back "now" goes: as far as the rate has been one and the same.

/// So far at most: for a useful interval, and no farther.
const WINDOW_SECS: usize = 5;
/// With few entries in the window a longer one is taken.
pub(crate) const LONGER_WINDOW_SECS: usize = 10;
/// With fewer than this.
const FEW: u64 = 30;

/// Of the last seconds, how many tell of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Nothing shows that the rate was another within so many.
    pub(crate) steady_secs: u32,
    /// Within so many there is not even a hint of that. The ends of an interval must hold what these tell too: a small
    /// change that was long ago looks like chance.
    pub(crate) surely_secs: u32,
}

impl Window {
    /// From the entries that came in each second, the youngest first; `None` without a second.
    pub(crate) fn of(per_second: &[u64]) -> Option<Self> {
        /// Deviations beyond which two rates differ, and below which nothing hints that they do. With these, intervals hold
        /// the truth in 93 % or more whenever the rate changed (`tests/proof.rs`).
        const DIFFERS: f64 = 3.0;
        const HINTS: f64 = 0.8;
        /// Traffic is less even than chance alone: less than this share of the rate is no change.
        const UNEVEN: f64 = 0.2;
        let short = &per_second[..per_second.len().min(WINDOW_SECS)];
        let longest = if short.iter().sum::<u64>() < FEW { per_second } else { short };
        let longest = &longest[..longest.len().min(LONGER_WINDOW_SECS)];
        let steady_secs = constant(longest, DIFFERS, UNEVEN)?;
        Some(Self { steady_secs, surely_secs: constant(longest, HINTS, 0.0)? })
    }
}

/// The youngest seconds of which no part differs from the rest by so many deviations, and by that share of the rate.
fn constant(per_second: &[u64], deviations: f64, share: f64) -> Option<u32> {
    let differs = |secs: usize| {
        (1..secs).any(|split| {
            let (young, old) = (&per_second[..split], &per_second[split..secs]);
            is_change(rate_of(young), rate_of(old), deviations, share)
        })
    };
    let ends = (2..=per_second.len()).find(|secs| differs(*secs)).unwrap_or(per_second.len() + 1);
    u32::try_from(ends - 1).ok().filter(|secs| *secs > 0)
}

/// How many came, and in how many seconds.
fn rate_of(per_second: &[u64]) -> (f64, f64) {
    (per_second.iter().sum::<u64>() as f64, per_second.len() as f64)
}

/// Whether two numbers of events are not of one rate, by the normal approximation to the score test.
fn is_change((young, young_secs): (f64, f64), (old, old_secs): (f64, f64), deviations: f64, share: f64) -> bool {
    let pooled = (young + old) / (young_secs + old_secs);
    let differ = (young / young_secs - old / old_secs).abs();
    let deviation = (pooled * (1.0 / young_secs + 1.0 / old_secs)).sqrt();
    differ > deviations * deviation && differ > share * pooled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady_secs(per_second: &[u64]) -> u32 {
        Window::of(per_second).unwrap().steady_secs
    }

    #[test]
    fn now_reaches_back_to_the_last_change() {
        assert_eq!(steady_secs(&[100, 104, 96, 101, 99, 100]), 5);
        assert_eq!(steady_secs(&[0, 0, 0, 9000, 9000, 9000]), 3, "a burst has ended");
        assert_eq!(steady_secs(&[3000, 3000, 200, 0, 0, 0]), 2, "a storm has just begun");
        assert_eq!(steady_secs(&[0, 0, 0, 0, 0, 0, 900, 900]), 6, "where little came, it goes back farther");
        assert_eq!(steady_secs(&[1, 0, 2, 1, 0, 1, 3, 0, 1, 1, 50]), 10);
        assert_eq!(steady_secs(&[10_000, 9_200, 10_300, 9_000, 10_100]), 5, "uneven, and no change");
        assert_eq!(Window::of(&[]), None);
    }
}
