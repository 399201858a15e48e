//! Items in the order of time: a wheel of short slots for what comes soon, and a heap for what comes later.
//!
//! Nearly everything that is put in comes within milliseconds, and goes into a slot without being compared with the rest. A slot is put
//! in order when its time has come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A slot is 2^16 ns long: 65 µs.
const SLOT_BITS: u32 = 16;
/// Slots of the wheel, which is a quarter of a second long.
const SLOTS: u64 = 4096;
/// A bit a slot.
const WORDS: usize = 64;
const WORD_BITS: usize = 64;

/// An item with its time since the begin, and how many were planned before it. No two are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Planned<T> {
    pub(crate) nanos: u64,
    pub(crate) number: u64,
    pub(crate) item: T,
}

impl<T> Planned<T> {
    /// What decides the order.
    pub(crate) fn key(&self) -> u128 {
        u128::from(self.nanos) << u64::BITS | u128::from(self.number)
    }

    fn slot(&self) -> u64 {
        self.nanos >> SLOT_BITS
    }
}

/// Items by their keys.
#[derive(Debug)]
pub(crate) struct Wheel<T> {
    /// What is due next, the latest first.
    current: Vec<Planned<T>>,
    /// The slot that `current` was taken from. What is put in up to its end goes there, too.
    slot: u64,
    /// Those behind it, each at its number's remainder.
    slots: Vec<Vec<Planned<T>>>,
    /// Which of them hold something.
    is_taken: [u64; WORDS],
    /// What lies beyond the wheel.
    later: BinaryHeap<Reverse<Planned<T>>>,
    /// The first slot behind the current one that holds something, there or beyond; no slot has the number that stands for none.
    next: u64,
}

const NO_SLOT: u64 = u64::MAX;

impl<T: Copy + Ord> Wheel<T> {
    pub(crate) fn new() -> Self {
        Self {
            current: Vec::new(),
            slot: 0,
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            is_taken: [0; WORDS],
            later: BinaryHeap::new(),
            next: NO_SLOT,
        }
    }

    /// Puts an item in: not before one that was taken already.
    pub(crate) fn put(&mut self, planned: Planned<T>) {
        let slot = planned.slot();
        if slot <= self.slot {
            let behind = self.current.partition_point(|other| other.key() > planned.key());
            self.current.insert(behind, planned);
            return;
        }
        self.next = self.next.min(slot);
        if slot - self.slot < SLOTS {
            let place = place_of(slot);
            self.is_taken[place / WORD_BITS] |= 1 << (place % WORD_BITS);
            if let Some(place) = self.slots.get_mut(place) {
                place.push(planned);
            }
        } else {
            self.later.push(Reverse(planned));
        }
    }

    /// The key of the first item, if it comes about until then: the wheel does not go further ahead.
    #[inline]
    pub(crate) fn first_until(&mut self, nanos: u64) -> Option<u128> {
        while self.current.is_empty() {
            if self.next == NO_SLOT || self.next > nanos >> SLOT_BITS {
                return None;
            }
            self.turn();
        }
        self.current.last().map(Planned::key)
    }

    /// A time before which nothing comes; the latest there is, where nothing is held.
    pub(crate) fn not_before_nanos(&self) -> u64 {
        match self.current.last() {
            Some(first) => first.nanos,
            None => self.next.saturating_mul(1 << SLOT_BITS),
        }
    }

    /// Takes the item that was told last.
    #[inline]
    pub(crate) fn take_first(&mut self) -> Option<Planned<T>> {
        self.current.pop()
    }

    /// Goes on to the next slot that holds something.
    fn turn(&mut self) {
        self.slot = self.next;
        let place = place_of(self.slot);
        self.is_taken[place / WORD_BITS] &= !(1 << (place % WORD_BITS));
        if let Some(taken) = self.slots.get_mut(place) {
            std::mem::swap(&mut self.current, taken);
        }
        while let Some(Reverse(planned)) = self.later.peek().copied()
            && planned.slot() < self.slot + SLOTS
        {
            self.later.pop();
            if planned.slot() == self.slot {
                self.current.push(planned);
            } else {
                self.put(planned);
            }
        }
        self.current.sort_unstable_by_key(|planned| Reverse(planned.key()));
        let first_later = self.later.peek().map(|Reverse(planned)| planned.slot());
        self.next = self.next_taken().into_iter().chain(first_later).min().unwrap_or(NO_SLOT);
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
