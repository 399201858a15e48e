//! Sets of numbers: addresses, ports, names of interfaces, all as what nftables makes of them, a range each.

/// A set of numbers, as ranges in order that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Numbers(Vec<Span>);

/// A range with both its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first number.
    pub first: u128,
    /// The last one.
    pub last: u128,
}

impl Numbers {
    /// No number.
    pub const NONE: Self = Self(Vec::new());

    /// One number.
    pub fn one(number: u128) -> Self {
        Self(vec![Span { first: number, last: number }])
    }

    /// From one number to another; none where the first is the greater.
    pub fn range(first: u128, last: u128) -> Self {
        Self(if first <= last { vec![Span { first, last }] } else { Vec::new() })
    }

    /// A prefix of so many bits, of numbers that have `width` bits.
    pub fn prefix(address: u128, bits: u32, width: u32) -> Self {
        let host = width.saturating_sub(bits);
        let mask = 1u128.checked_shl(host).map_or(u128::MAX, |past| past - 1);
        Self::range(address & !mask, address | mask)
    }

    /// What is in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut both = Vec::new();
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            let (first, last) = (a.first.max(b.first), a.last.min(b.last));
            if first <= last {
                both.push(Span { first, last });
            }
            if a.last < b.last {
                left.next()
            } else {
                right.next()
            };
        }
        Self(both)
    }

    /// What is in this one alone.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.and(&other.others())
    }

    /// What is in either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        self.0.iter().chain(&other.0).copied().collect()
    }

    /// Whether nothing is in it.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a number is in it.
    pub fn has(&self, number: u128) -> bool {
        self.0.iter().any(|span| (span.first..=span.last).contains(&number))
    }

    /// The number, where there is one alone.
    pub fn single(&self) -> Option<u128> {
        match self.0.as_slice() {
            [Span { first, last }] if first == last => Some(*first),
            _ => None,
        }
    }

    /// Its ranges, in order.
    pub fn spans(&self) -> &[Span] {
        &self.0
    }

    /// All numbers that are not in it.
    fn others(&self) -> Self {
        let mut others = Vec::with_capacity(self.0.len() + 1);
        let mut from = Some(0);
        for span in &self.0 {
            if let Some(first) = from.filter(|first| *first < span.first) {
                others.push(Span { first, last: span.first - 1 });
            }
            from = span.last.checked_add(1);
        }
        others.extend(from.map(|first| Span { first, last: u128::MAX }));
        Self(others)
    }
}

impl FromIterator<Span> for Numbers {
    fn from_iter<I: IntoIterator<Item = Span>>(spans: I) -> Self {
        let mut sorted: Vec<_> = spans.into_iter().filter(|span| span.first <= span.last).collect();
        sorted.sort_unstable();
        let mut merged: Vec<Span> = Vec::with_capacity(sorted.len());
        for span in sorted {
            match merged.last_mut() {
                Some(before) if before.last.checked_add(1).is_none_or(|next| span.first <= next) => {
                    before.last = before.last.max(span.last);
                }
                _ => merged.push(span),
            }
        }
        Self(merged)
    }
}

impl FromIterator<Self> for Numbers {
    fn from_iter<I: IntoIterator<Item = Self>>(sets: I) -> Self {
        sets.into_iter().flat_map(|set| set.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn small() -> impl Strategy<Value = Numbers> {
        proptest::collection::vec((0..40u128, 0..40u128), 0..5)
            .prop_map(|spans| spans.into_iter().map(|(first, last)| Span { first, last }).collect())
    }

    proptest! {
        #[test]
        fn sets_are_what_their_numbers_are(a in small(), b in small()) {
            for number in (0..45).chain([u128::MAX]) {
                prop_assert_eq!(a.and(&b).has(number), a.has(number) && b.has(number));
                prop_assert_eq!(a.minus(&b).has(number), a.has(number) && !b.has(number));
                prop_assert_eq!(a.or(&b).has(number), a.has(number) || b.has(number));
            }
            prop_assert_eq!(a.minus(&b).or(&a.and(&b)), a);
        }
    }

    #[test]
    fn prefixes_reach_to_both_ends() {
        assert_eq!(Numbers::prefix(0x0a01_0203, 24, 32), Numbers::range(0x0a01_0200, 0x0a01_02ff));
        assert_eq!(Numbers::prefix(7, 0, 128), Numbers::range(0, u128::MAX));
        assert_eq!(Numbers::prefix(7, 32, 32), Numbers::one(7));
    }
}
