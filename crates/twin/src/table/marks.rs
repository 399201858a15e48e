//! A bit for each bucket.

const BITS: u32 = u64::BITS;

/// Buckets that are marked.
#[derive(Debug)]
pub(super) struct Marks(Vec<u64>);

impl Marks {
    /// None of so many is marked.
    pub(super) fn new(buckets: u32) -> Self {
        Self(vec![0; buckets.div_ceil(BITS) as usize])
    }

    pub(super) fn set(&mut self, bucket: u32) {
        self.0[(bucket / BITS) as usize] |= 1 << (bucket % BITS);
    }

    pub(super) fn clear(&mut self, bucket: u32) {
        self.0[(bucket / BITS) as usize] &= !(1 << (bucket % BITS));
    }

    #[inline]
    pub(super) fn has(&self, bucket: u32) -> bool {
        self.0[(bucket / BITS) as usize] >> (bucket % BITS) & 1 == 1
    }

    /// The first that is marked, from this one on.
    pub(super) fn first_from(&self, bucket: u32) -> Option<u32> {
        let first = bucket / BITS;
        let words = self.0.get(first as usize..)?;
        let own = words.first()? & (u64::MAX << (bucket % BITS));
        let words = std::iter::once(own).chain(words.iter().skip(1).copied());
        (first..).zip(words).find(|(_, word)| *word != 0).map(|(at, word)| at * BITS + word.trailing_zeros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_in_order() {
        let mut marks = Marks::new(200);
        for bucket in [0, 63, 64, 130, 199] {
            marks.set(bucket);
        }
        marks.clear(130);
        assert!(marks.has(63) && marks.has(199) && !marks.has(130) && !marks.has(62));
        let from = |bucket| marks.first_from(bucket);
        assert_eq!([from(0), from(1), from(64), from(65), from(199)], [0, 63, 64, 199, 199].map(Some));
        assert_eq!((from(200), from(1000), Marks::new(0).first_from(0)), (None, None, None));
    }
}
