//! What is planned, in the order of time: a wheel of short slots for what comes soon, and a heap for what comes later.
//!
//! A schedule's time goes by here: nearly everything that is planned comes within milliseconds, and goes into a slot without being
//! compared with the rest. A slot is put in order when its time has come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// A slot is 2^16 ns long: 65 µs.
const SLOT_BITS: u32 = 16;
/// Slots of the wheel, which is a quarter of a second long.
const SLOTS: u64 = 4096;
/// A bit a slot.
const WORDS: usize = 64;
const WORD_BITS: usize = 64;

/// Items by time; of those at one time, those that were planned first.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    /// What is due next, the latest first.
    current: Vec<Planned<T>>,
    /// The slot that `current` was taken from. What is planned up to its end goes there, too.
    slot: u64,
    /// Those behind it, each at its number's remainder.
    wheel: Vec<Vec<Planned<T>>>,
    /// Which of them hold something.
    is_taken: [u64; WORDS],
    /// What lies beyond the wheel.
    later: BinaryHeap<Reverse<Planned<T>>>,
    planned: u64,
}

/// An item with its time since the begin, and how many were planned before it. No two are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Planned<T> {
    nanos: u64,
    number: u64,
    item: T,
}

impl<T: Copy + Ord> Agenda<T> {
    pub(crate) fn new() -> Self {
        Self {
            current: Vec::new(),
            slot: 0,
            wheel: (0..SLOTS).map(|_| Vec::new()).collect(),
            is_taken: [0; WORDS],
            later: BinaryHeap::new(),
            planned: 0,
        }
    }

    /// Plans an item: not before one that was taken already.
    pub(crate) fn plan(&mut self, at: Duration, item: T) {
        // Ten years are the most that a scenario speaks of, and 584 would fit.
        let nanos = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        self.planned += 1;
        self.put(Planned { nanos, number: self.planned, item });
    }

    /// Takes the next item.
    pub(crate) fn next(&mut self) -> Option<(Duration, T)> {
        while self.current.is_empty() {
            self.turn()?;
        }
        self.current.pop().map(|planned| (Duration::from_nanos(planned.nanos), planned.item))
    }

    /// Forgets all that is planned.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    fn put(&mut self, planned: Planned<T>) {
        let slot = planned.nanos >> SLOT_BITS;
        if slot <= self.slot {
            let behind = self.current.partition_point(|other| *other > planned);
            self.current.insert(behind, planned);
        } else if slot - self.slot < SLOTS {
            let place = place_of(slot);
            self.is_taken[place / WORD_BITS] |= 1 << (place % WORD_BITS);
            if let Some(place) = self.wheel.get_mut(place) {
                place.push(planned);
            }
        } else {
            self.later.push(Reverse(planned));
        }
    }

    /// Goes on to the next slot that holds something; `None` if there is none.
    fn turn(&mut self) -> Option<()> {
        let first_later = self.later.peek().map(|Reverse(planned)| planned.nanos >> SLOT_BITS);
        let next = self.next_taken().into_iter().chain(first_later).min()?;
        self.slot = next;
        let place = place_of(next);
        self.is_taken[place / WORD_BITS] &= !(1 << (place % WORD_BITS));
        if let Some(taken) = self.wheel.get_mut(place) {
            std::mem::swap(&mut self.current, taken);
        }
        self.current.sort_unstable_by(|one, other| other.cmp(one));
        while let Some(Reverse(planned)) = self.later.peek().copied()
            && (planned.nanos >> SLOT_BITS) < next + SLOTS
        {
            self.later.pop();
            self.put(planned);
        }
        Some(())
    }

    /// The first slot of the wheel behind the current one that holds something.
    fn next_taken(&self) -> Option<u64> {
        let from = place_of(self.slot + 1);
        let (first, bit) = (from / WORD_BITS, from % WORD_BITS);
        // The word in which it begins is looked at twice: first from its bit on, at last up to it.
        (0..=WORDS).find_map(|step| {
            let word = (first + step) % WORDS;
            let bits = self.is_taken[word] & if step == 0 { u64::MAX << bit } else { u64::MAX };
            (bits != 0).then(|| {
                let place = (word * WORD_BITS) as u64 + u64::from(bits.trailing_zeros());
                self.slot + 1 + (place + SLOTS - from as u64) % SLOTS
            })
        })
    }
}

/// Where in the wheel a slot is.
const fn place_of(slot: u64) -> usize {
    (slot % SLOTS) as usize
}

#[cfg(test)]
mod tests {
    use plimsoll_draw::Draw;

    use super::*;

    /// Held against a heap: items at once, soon, and long after; many at one time.
    #[test]
    fn items_come_in_the_order_of_time_and_then_of_planning() {
        for seed in 0..50 {
            let mut draw = Draw::new(seed);
            let mut agenda = Agenda::new();
            let mut heap = BinaryHeap::new();
            let mut now = Duration::ZERO;
            let mut planned = 0_u64;
            for _ in 0..5_000 {
                if draw.below(2) == 0 {
                    let reach = [0, 1, 100_000, 30_000_000, 400_000_000, 4_000_000_000][draw.below(6) as usize];
                    let at = now + Duration::from_nanos(draw.below(reach).into());
                    agenda.plan(at, planned);
                    heap.push(Reverse((at, planned)));
                    planned += 1;
                } else {
                    let expected = heap.pop().map(|Reverse(next)| next);
                    assert_eq!(agenda.next(), expected, "seed {seed}");
                    now = expected.map_or(now, |(at, _)| at);
                }
            }
            while let Some(Reverse(expected)) = heap.pop() {
                assert_eq!(agenda.next(), Some(expected), "seed {seed}");
            }
            assert_eq!(agenda.next(), None);
        }
    }
}
