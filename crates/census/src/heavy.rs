//! Heavy hitters in bounded memory.

use std::hash::Hash;

use datasketches::frequencies::{ErrorType, FrequentItemsSketch};
use plimsoll_model::{HeavyHitter, HeavyHitters, Interval, Range};

use crate::interval::Sample;

/// Counters of a sketch, three quarters of which it uses: with up to 6,144 distinct values the counts are exact, beyond
/// that no value with more than 1/1,755 of the entries is missed.
const SKETCH_SIZE: usize = 8192;

/// Values that are reported.
const TOP: usize = 10;

/// Counts the values of one feature.
#[derive(Debug)]
pub(crate) struct Heavy<K> {
    sketch: FrequentItemsSketch<K>,
}

impl<K: Copy + Eq + Hash + Ord> Heavy<K> {
    pub(crate) fn new() -> Self {
        match FrequentItemsSketch::new(SKETCH_SIZE) {
            Ok(sketch) => Self { sketch },
            Err(_) => unreachable!("the size is a power of two"),
        }
    }

    #[inline]
    pub(crate) fn add(&mut self, key: K) {
        self.sketch.update(key);
    }

    /// The most frequent values, and how sure their shares are.
    pub(crate) fn finish(&self, sample: &Sample) -> HeavyHitters<K> {
        let mut top: Vec<_> = self
            .sketch
            .frequent_items(ErrorType::NoFalseNegatives)
            .into_iter()
            .map(|row| {
                let seen = Range { low: row.lower_bound(), high: row.upper_bound() };
                HeavyHitter { key: *row.item(), seen, share: share(sample, seen) }
            })
            .collect();
        // Ties in the order of the values, so that the same entries always give the same answer.
        top.sort_unstable_by(|a, b| (b.seen.high, b.seen.low, &a.key).cmp(&(a.seen.high, a.seen.low, &b.key)));
        top.truncate(TOP);
        HeavyHitters { top, distinct: self.distinct() }
    }

    fn distinct(&self) -> Range {
        let kept = self.sketch.num_active_items() as u64;
        if self.sketch.maximum_error() == 0 {
            Range::exact(kept)
        } else {
            Range { low: kept, high: self.sketch.total_weight() }
        }
    }
}

fn share(sample: &Sample, seen: Range) -> Interval {
    let (low, high) = (sample.share(seen.low), sample.share(seen.high));
    Interval { low: low.low, value: f64::midpoint(low.value, high.value), high: high.high }
}
