//! Where to look for a tuple: the slots of entries that may have it.
//!
//! Chains are walked as the kernel walks them where it matters in which order nodes lie; a look-up that only wants to find goes
//! here instead. Mostly it waits for memory twice, here and at the entry, however long the chain is.

use plimsoll_hints::fetch_at;

use super::key::answering;
use super::room::filled;

/// Slots by tag.
#[derive(Debug)]
pub(super) struct Index {
    groups: Vec<Group>,
    taken: usize,
}

/// What tuples have in common that may be one flow's: the same for a tuple and its answer. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(u32);

/// What a tag's own group has of it.
pub(super) enum Home {
    /// A slot that was put under it.
    Has(u32),
    /// Nothing, and there may be slots in groups behind.
    PassedBy,
    /// Nothing, and nobody has.
    Lacks,
}

/// A cache line: places for some slots. A slot lies in the group that is its tag's home, or, where that was full, in the first
/// behind it that was not.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Group {
    /// 0 where a place is free. The last has no place: so many can be compared at once.
    tags: [u32; LANES],
    slots: [u32; PLACES],
    /// How many slots are in groups behind this one that would be here, or farther ahead, had there been room.
    passed_by: u32,
}

const LANES: usize = 8;
const PLACES: usize = LANES - 1;
const _: () = assert!(size_of::<Group>() == 64);

/// On the average. Where it is more, many groups are full, and a look for what is not there passes several.
const MOST_IN_TWO_GROUPS: usize = 9;
const _: () = assert!(MOST_IN_TWO_GROUPS < 2 * PLACES);

impl Tag {
    /// Of a tuple with this hash, and of its answer.
    #[inline]
    pub(super) const fn of(hash: u32) -> Self {
        const ODD: u32 = 0x9e37_79b1;
        let answering = answering(hash);
        // The lower of two is low more often than not: it is spread again.
        Self((if hash < answering { hash } else { answering }).wrapping_mul(ODD) | 1)
    }
}

#[cfg(test)]
impl Tag {
    pub(super) const fn number(self) -> u32 {
        self.0
    }
}

/// Places of a group, a bit for each.
struct Set(u32);

impl Iterator for Set {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let first = self.0.trailing_zeros() as usize;
        self.0 &= self.0.wrapping_sub(1);
        (first < PLACES).then_some(first)
    }
}

impl Group {
    const EMPTY: Self = Self { tags: [0; LANES], slots: [u32::MAX; PLACES], passed_by: 0 };

    /// Where a tag is.
    #[inline]
    fn places_of(&self, tag: u32) -> Set {
        const ALL: u32 = (1 << PLACES) - 1;
        let mut places = 0;
        for (lane, other) in self.tags.iter().enumerate() {
            places |= u32::from(*other == tag) << lane;
        }
        Set(places & ALL)
    }
}

impl Index {
    /// With room for so many, if they are not very many; more is made as it is needed.
    pub(super) fn for_about(slots: u32) -> Self {
        const MOST: usize = 1 << 20;
        Self { groups: empty((slots as usize).min(MOST) * 2 / MOST_IN_TWO_GROUPS + 1), taken: 0 }
    }

    /// Asks for the memory that a look for a tag takes.
    #[inline]
    pub(super) fn ask_for(&self, tag: Tag) {
        fetch_at(&self.groups, self.home(tag));
    }

    /// What a tag's own group has of it. Where it was passed by, asks for the group behind.
    #[inline]
    pub(super) fn at_home(&self, tag: Tag) -> Home {
        let home = self.home(tag);
        let group = &self.groups[home];
        match group.places_of(tag.0).next() {
            Some(place) => Home::Has(group.slots[place]),
            None if group.passed_by > 0 => {
                fetch_at(&self.groups, self.behind(home));
                Home::PassedBy
            }
            None => Home::Lacks,
        }
    }

    /// Whether no slot was put under a tag, as far as its own group tells.
    #[inline]
    pub(super) fn lacks(&self, tag: Tag) -> bool {
        let group = &self.groups[self.home(tag)];
        group.passed_by == 0 && group.places_of(tag.0).next().is_none()
    }

    /// The slots that were put under a tag.
    #[inline]
    pub(super) fn with(&self, tag: Tag) -> impl Iterator<Item = u32> {
        self.way(tag).flat_map(move |at| {
            let group = &self.groups[at];
            group.places_of(tag.0).map(|place| group.slots[place])
        })
    }

    pub(super) fn put(&mut self, tag: Tag, slot: u32) {
        if self.taken * 2 >= self.groups.len() * MOST_IN_TWO_GROUPS {
            self.grow();
        }
        self.taken += 1;
        self.settle(tag, slot);
    }

    fn settle(&mut self, Tag(tag): Tag, slot: u32) {
        let mut at = self.home(Tag(tag));
        loop {
            let group = &mut self.groups[at];
            if let Some(place) = group.places_of(0).next() {
                group.tags[place] = tag;
                group.slots[place] = slot;
                return;
            }
            group.passed_by += 1;
            at = self.behind(at);
        }
    }

    /// Takes a slot out that was put under a tag, once if it was put there twice.
    pub(super) fn remove(&mut self, tag: Tag, slot: u32) {
        let place_in = |group: &Group| group.places_of(tag.0).find(|place| group.slots[*place] == slot);
        let Some((at, place)) = self.way(tag).find_map(|at| Some((at, place_in(&self.groups[at])?))) else { return };
        self.groups[at].tags[place] = 0;
        self.groups[at].slots[place] = u32::MAX;
        self.taken -= 1;
        let mut passed = self.home(tag);
        while passed != at {
            self.groups[passed].passed_by -= 1;
            passed = self.behind(passed);
        }
    }

    /// Once there is no room.
    fn grow(&mut self) {
        let more = self.groups.len() + self.groups.len() / 2 + 1;
        let old = std::mem::replace(&mut self.groups, empty(more));
        for group in old {
            for (tag, slot) in group.tags.into_iter().zip(group.slots).filter(|(tag, _)| *tag != 0) {
                self.settle(Tag(tag), slot);
            }
        }
    }

    /// A tag's own group.
    #[inline]
    fn home(&self, Tag(tag): Tag) -> usize {
        ((u64::from(tag) * self.groups.len() as u64) >> 32) as usize
    }

    #[inline]
    const fn behind(&self, at: usize) -> usize {
        if at + 1 == self.groups.len() { 0 } else { at + 1 }
    }

    /// The groups in which a tag may be: no more than there are, though each may have been passed by.
    #[inline]
    fn way(&self, tag: Tag) -> impl Iterator<Item = usize> {
        let goes_on = |at: &usize| (self.groups[*at].passed_by > 0).then(|| self.behind(*at));
        std::iter::successors(Some(self.home(tag)), goes_on).take(self.groups.len())
    }
}

fn empty(groups: usize) -> Vec<Group> {
    filled(groups, Group::EMPTY)
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

    /// Slots that were passed on from each group to the next, while what had filled them is gone.
    #[test]
    fn a_look_ends_where_every_group_was_passed_by() {
        let mut index = Index::for_about(14);
        let groups = index.groups.len();
        let of_group = |group: usize| Tag(u32::try_from((group << 32) / groups + 1).unwrap() | 1);
        for group in 0..groups {
            let tag = of_group(group);
            let fill = PLACES - index.groups[group].tags[..PLACES].iter().filter(|tag| **tag != 0).count();
            let slots: Vec<u32> = (0..).map(|slot| 100 * u32::try_from(group).unwrap() + slot).take(fill + 1).collect();
            for slot in &slots {
                index.put(tag, *slot);
            }
            for slot in slots.iter().take(fill) {
                index.remove(tag, *slot);
            }
        }
        assert!(index.groups.len() == groups && index.groups.iter().all(|group| group.passed_by > 0));
        assert_eq!(index.with(Tag(of_group(0).0 + 2)).next(), None);
        assert_eq!(index.with(of_group(1)).collect::<Vec<_>>(), [100 + u32::try_from(PLACES).unwrap() - 1]);
        index.remove(Tag(of_group(0).0 + 2), 7);
    }

    /// Against a list, with tags that lie together and run over the end.
    #[test]
    fn what_was_put_is_found_until_it_is_removed() {
        let mut draw = Draw::new(1);
        let mut index = Index::for_about(0);
        let mut list: Vec<(Tag, u32)> = Vec::new();
        for turn in 0..20_000 {
            let tag = Tag(u32::MAX - (draw.below(40) << 24) * draw.below(2) - draw.below(3) * 2);
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
