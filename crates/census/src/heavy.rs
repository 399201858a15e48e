//! Heavy hitters in bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi 2005), cut into small sets.
//!
//! Every entry is counted under six features, and a whole dump must cost little more than receiving it; so the eight
//! counters that a value may be in lie together.

use plimsoll_model::{HeavyHitter, HeavyHitters, Interval, Range, Sample};

use crate::key::Key;

/// Sets of a table. With 8 counters each, up to about 1,000 distinct values are counted exactly, and no value with more
/// than a thousandth of the entries is missed.
const SETS: usize = 256;
const COUNTERS_IN_SET: usize = 8;

/// Values that are reported.
const TOP: usize = 10;

/// Counts the values of one feature.
#[derive(Debug)]
pub(crate) struct Heavy<K> {
    sets: Box<[Set<K>]>,
    /// Where the last value was counted: neighbours in a dump often share a destination.
    last: Option<(K, usize, usize)>,
    /// Whether a value had to make room for another, so that counts are ranges from then on.
    has_replaced: bool,
    added: u64,
}

/// A few counters. A value that has none takes over the smallest, and with it its count as possible error.
#[derive(Clone, Debug)]
struct Set<K> {
    hashes: [u32; COUNTERS_IN_SET],
    counts: [u32; COUNTERS_IN_SET],
    errors: [u32; COUNTERS_IN_SET],
    values: [Option<K>; COUNTERS_IN_SET],
}

impl<K: Key> Heavy<K> {
    pub(crate) fn new() -> Self {
        let empty = Set {
            hashes: [0; COUNTERS_IN_SET],
            counts: [0; COUNTERS_IN_SET],
            errors: [0; COUNTERS_IN_SET],
            values: [None; COUNTERS_IN_SET],
        };
        Self { sets: vec![empty; SETS].into_boxed_slice(), last: None, has_replaced: false, added: 0 }
    }

    #[inline]
    pub(crate) fn add(&mut self, value: K) {
        self.added += 1;
        if let Some((last, set, counter)) = self.last
            && last == value
        {
            self.sets[set].counts[counter] += 1;
            return;
        }
        let hash = value.hash();
        // The upper half chooses the set, the lower half tells its members apart.
        #[expect(clippy::cast_possible_truncation, reason = "halves of a hash")]
        let (index, tag) = ((hash >> 32) as usize % SETS, hash as u32);
        let set = &mut self.sets[index];
        let counter = set.position(tag, value).unwrap_or_else(|| {
            let counter = set.smallest();
            self.has_replaced |= set.counts[counter] > 0;
            set.errors[counter] = set.counts[counter];
            set.hashes[counter] = tag;
            set.values[counter] = Some(value);
            counter
        });
        set.counts[counter] += 1;
        self.last = Some((value, index, counter));
    }

    /// The most frequent values, and how sure their shares are.
    pub(crate) fn finish(&self, sample: &Sample) -> HeavyHitters<K> {
        let counters = self.sets.iter().flat_map(|set| (0..COUNTERS_IN_SET).map(move |counter| (set, counter)));
        let mut top: Vec<_> = counters
            .filter_map(|(set, counter)| {
                let (count, error) = (u64::from(set.counts[counter]), u64::from(set.errors[counter]));
                let seen = Range { low: count - error, high: count };
                Some(HeavyHitter { key: set.values[counter]?, seen, share: share(sample, seen) })
            })
            .collect();
        let kept = top.len() as u64;
        // Ties in the order of the values, so that the same entries always give the same answer.
        top.sort_unstable_by(|a, b| (b.seen.low, b.seen.high, &a.key).cmp(&(a.seen.low, a.seen.high, &b.key)));
        top.truncate(TOP);
        let distinct = if self.has_replaced { Range { low: kept, high: self.added } } else { Range::exact(kept) };
        HeavyHitters { top, distinct }
    }
}

impl<K: Key> Set<K> {
    #[inline]
    fn position(&self, tag: u32, value: K) -> Option<usize> {
        (0..COUNTERS_IN_SET).find(|counter| self.hashes[*counter] == tag && self.values[*counter] == Some(value))
    }

    #[inline]
    fn smallest(&self) -> usize {
        let mut smallest = 0;
        for counter in 1..COUNTERS_IN_SET {
            if self.counts[counter] < self.counts[smallest] {
                smallest = counter;
            }
        }
        smallest
    }
}

fn share(sample: &Sample, seen: Range) -> Interval {
    let (low, high) = (sample.share(seen.low), sample.share(seen.high));
    Interval { low: low.low, value: f64::midpoint(low.value, high.value), high: high.high }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    /// The n-th of a fixed sequence of numbers without pattern (`SplitMix64`, its upper half).
    fn random(n: u32) -> u32 {
        let mut z = u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((z ^ (z >> 31)) >> 32).unwrap()
    }

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    fn whole(read: u64) -> Sample {
        Sample { read, live: Range::exact(read) }
    }

    #[test]
    fn few_values_are_counted_exactly() {
        let mut heavy = Heavy::new();
        for n in 0..50_000 {
            heavy.add(address(random(n) % 100));
        }
        let mut truth = HashMap::<IpAddr, u64>::new();
        (0..50_000).for_each(|n| *truth.entry(address(random(n) % 100)).or_default() += 1);
        let found = heavy.finish(&whole(50_000));
        assert_eq!(found.distinct, Range::exact(100));
        assert!(found.top.iter().all(|hitter| hitter.seen == Range::exact(truth[&hitter.key])), "{found:?}");
        assert_eq!(found.top[0].seen.high, *truth.values().max().unwrap());
    }

    #[test]
    fn among_a_hundred_thousand_strangers_the_frequent_are_found_within_their_ranges() {
        let mut heavy = Heavy::new();
        let mut truth = HashMap::<u32, u64>::new();
        for n in 0..200_000 {
            // Five sources with 1 to 5 % each, the rest each once or twice.
            let source = match random(n) % 100 {
                0 => 1,
                1..=2 => 2,
                3..=5 => 3,
                6..=9 => 4,
                10..=14 => 5,
                _ => 1_000_000 + random(n) % 1_000_000_000,
            };
            *truth.entry(source).or_default() += 1;
            heavy.add(address(source));
        }
        let found = heavy.finish(&whole(200_000));
        for source in 1..=5 {
            let count = truth[&source];
            let hitter = found.top.iter().find(|hitter| hitter.key == address(source)).unwrap();
            assert!(hitter.seen.low <= count && count <= hitter.seen.high, "{source}: {count} in {:?}", hitter.seen);
            assert!(hitter.share.half_width() < 0.001, "{hitter:?}");
        }
        assert!(!found.distinct.is_exact() && found.distinct.high >= 100_000);
    }
}
