//! Where to look for a tuple: the slots of entries that may have it.
//!
//! Chains are walked as the kernel walks them where it matters in which order nodes lie; a look-up that only wants to find goes
//! here instead. It waits for memory twice at most, here and at the entry, however long the chain is.

use plimsoll_hints::fetch_at;

use super::key::answering;
use super::room::filled;

/// Slots by tag, in one array: each lies at its tag's place, or behind it, up to the next place that is free (linear probing;
/// Knuth, TAOCP volume 3, 6.4).
#[derive(Debug)]
pub(super) struct Index {
    places: Vec<Place>,
    taken: usize,
}

/// What tuples have in common that may be one flow's: the same for a tuple and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(8))]
struct Place {
    tag: Tag,
    slot: u32,
}

impl Tag {
    /// Of a tuple with this hash, and of its answer.
    #[inline]
    pub(super) const fn of(hash: u32) -> Self {
        const ODD: u32 = 0x9e37_79b1;
        let answering = answering(hash);
        // The lower of two is low more often than not: it is spread again.
        Self((if hash < answering { hash } else { answering }).wrapping_mul(ODD))
    }
}

impl Place {
    const FREE: Self = Self { tag: Tag(0), slot: u32::MAX };

    const fn is_free(self) -> bool {
        self.slot == Self::FREE.slot
    }
}

impl Index {
    const LEAST: usize = 16;

    /// With room for so many, if they are not very many; more is made as it is needed.
    pub(super) fn for_about(slots: u32) -> Self {
        const MOST: usize = 1 << 20;
        Self { places: free(grown((slots as usize).min(MOST))), taken: 0 }
    }

    /// Asks for the memory that a look for a tag will take.
    #[inline]
    pub(super) fn ask_for(&self, tag: Tag) {
        /// Half of a cache line on: few looks go further.
        const MOSTLY: usize = 4;
        let home = self.home(tag);
        fetch_at(&self.places, home);
        fetch_at(&self.places, home + MOSTLY);
    }

    /// The slots that were put under a tag.
    #[inline]
    pub(super) fn with(&self, tag: Tag) -> impl Iterator<Item = u32> {
        let mut at = self.home(tag);
        std::iter::from_fn(move || {
            loop {
                let place = self.places[at];
                if place.is_free() {
                    return None;
                }
                at = self.behind(at);
                if place.tag == tag {
                    return Some(place.slot);
                }
            }
        })
    }

    pub(super) fn put(&mut self, tag: Tag, slot: u32) {
        // A quarter is kept free: runs become long where it is less.
        if self.taken * 4 >= self.places.len() * 3 {
            self.grow();
        }
        self.taken += 1;
        self.settle(Place { tag, slot });
    }

    fn settle(&mut self, place: Place) {
        let mut at = self.home(place.tag);
        while !self.places[at].is_free() {
            at = self.behind(at);
        }
        self.places[at] = place;
    }

    /// Takes a slot out that was put under a tag, once if it was put there twice.
    pub(super) fn remove(&mut self, tag: Tag, slot: u32) {
        let mut hole = self.home(tag);
        while self.places[hole] != (Place { tag, slot }) {
            if self.places[hole].is_free() {
                return;
            }
            hole = self.behind(hole);
        }
        self.taken -= 1;
        // What lies behind comes nearer to its own place: else looks for it would end at the hole.
        let mut at = hole;
        loop {
            at = self.behind(at);
            let place = self.places[at];
            if place.is_free() {
                break;
            }
            let home = self.home(place.tag);
            if self.steps(home, at) >= self.steps(hole, at) {
                self.places[hole] = place;
                hole = at;
            }
        }
        self.places[hole] = Place::FREE;
    }

    /// In the order in which they lie: so they are written in the order in which they will lie, but for what runs over the end.
    fn grow(&mut self) {
        let old = std::mem::replace(&mut self.places, Vec::new());
        self.places = free(grown(old.len()));
        for place in old.into_iter().filter(|place| !place.is_free()) {
            self.settle(place);
        }
    }

    /// A tag's own place.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "below their number")]
    fn home(&self, Tag(tag): Tag) -> usize {
        ((u64::from(tag) * self.places.len() as u64) >> 32) as usize
    }

    /// The place behind one. A look that goes on ends: some are free.
    #[inline]
    const fn behind(&self, at: usize) -> usize {
        if at + 1 == self.places.len() { 0 } else { at + 1 }
    }

    /// How far a place lies behind another.
    fn steps(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.places.len() - from }
    }
}

fn grown(places: usize) -> usize {
    (places + places / 2).max(Index::LEAST)
}

fn free(places: usize) -> Vec<Place> {
    filled(places, Place::FREE)
}

#[cfg(test)]
mod tests {
    use plimsoll_draw::Draw;

    use super::*;

    #[test]
    fn a_tuple_and_its_answer_have_one_tag() {
        assert_eq!(Tag::of(0x1234_abcd), Tag::of(0xabcd_1234));
        assert_ne!(Tag::of(0x1234_abcd), Tag::of(0x1234_abce));
    }

    /// Against a list, with tags that lie together and run over the end.
    #[test]
    fn what_was_put_is_found_until_it_is_removed() {
        let mut draw = Draw::new(1);
        let mut index = Index::for_about(0);
        let mut list: Vec<(Tag, u32)> = Vec::new();
        for turn in 0..20_000 {
            let tag = Tag(u32::MAX - (draw.below(40) << 24) * draw.below(2) - draw.below(3));
            if draw.below(2) == 0 && !list.is_empty() {
                let at = draw.below(u32::try_from(list.len()).unwrap()) as usize;
                let (tag, slot) = list.swap_remove(at);
                index.remove(tag, slot);
            } else if list.len() < 300 {
                index.put(tag, turn % 500);
                list.push((tag, turn % 500));
            }
            index.remove(tag, 1000);
            let mut found: Vec<u32> = index.with(tag).collect();
            let mut put: Vec<u32> = list.iter().filter(|(other, _)| *other == tag).map(|(_, slot)| *slot).collect();
            found.sort_unstable();
            put.sort_unstable();
            assert_eq!(found, put, "turn {turn}");
            assert_eq!(index.taken, list.len());
        }
    }
}
