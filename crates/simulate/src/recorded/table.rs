//! The numbers of the flows of one IP version, by their keys.
//!
//! A hash as others are, but for that memory can be sought for ahead of a look-up.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use plimsoll_hints::{fetch, fetch_at, prefer_huge_pages};

use super::key::{Address, Key, Seeds};

/// Places at first.
const AT_FIRST: usize = 1 << 12;

/// Flows by their keys, each with its number.
#[derive(Debug)]
pub(super) struct Table<A> {
    /// As many signs as a power of two, at most every second with a place: a flow's is where its hash says, or behind, with none between
    /// that has no place.
    signs: Vec<Sign>,
    /// One after the other, as they came.
    places: Vec<Place<A>>,
    /// Drawn anew in each process: no file can be made to unbalance it.
    seeds: Seeds,
}

/// Where a flow's place is. Never in two cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(align(8))]
struct Sign {
    /// The flow's: whose hashes differ is not looked at.
    hash: u32,
    place: u32,
}

impl Sign {
    /// Of nobody.
    const NONE: Self = Self { hash: 0, place: u32::MAX };

    #[inline]
    const fn is_nobodys(self) -> bool {
        self.place == Self::NONE.place
    }
}

/// Two in a cache line, for IPv4.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Place<A> {
    key: Key<A>,
    number: u32,
}

/// A key to look for, with its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sought<A> {
    key: Key<A>,
    hash: u32,
}

impl<A: Address + Eq> Table<A> {
    pub(super) fn new() -> Self {
        let drawn = DefaultHashBuilder::default();
        Self {
            signs: no_signs(2 * AT_FIRST),
            places: Vec::new(),
            seeds: [0, 1, 2, 3].map(|seed: u64| drawn.hash_one(seed) | 1),
        }
    }

    /// Begins a look-up.
    #[expect(clippy::inline_always, reason = "as its caller")]
    #[inline(always)]
    pub(super) fn ask(&self, key: Key<A>) -> Sought<A> {
        let sought = Sought { hash: key.hash(&self.seeds), key };
        fetch(&self.signs[self.first_sign(sought.hash)]);
        sought
    }

    /// Takes what was sought for, and asks for what is probably the flow.
    #[inline]
    pub(super) fn ask_on(&self, sought: &Sought<A>) {
        let mut at = self.first_sign(sought.hash);
        while !self.signs[at].is_nobodys() {
            if self.signs[at].hash == sought.hash {
                fetch_at(&self.places, self.signs[at].place as usize);
                return;
            }
            at = self.behind(at);
        }
    }

    /// A flow's number, if it has one.
    #[inline]
    pub(super) fn get(&self, sought: &Sought<A>) -> Option<u32> {
        let mut at = self.first_sign(sought.hash);
        loop {
            let sign = self.signs[at];
            if sign.is_nobodys() {
                return None;
            }
            if sign.hash == sought.hash
                && let Place { key, number } = &self.places[sign.place as usize]
                && *key == sought.key
            {
                return Some(*number);
            }
            at = self.behind(at);
        }
    }

    /// Gives a number to a flow that has none.
    #[inline(never)]
    pub(super) fn insert(&mut self, sought: &Sought<A>, number: u32) {
        if 2 * self.places.len() >= self.signs.len() {
            self.double_signs();
        }
        self.post(Sign { hash: sought.hash, place: of_place(self.places.len()) });
        push(&mut self.places, Place { key: sought.key, number });
    }

    /// Gives each flow another number, or forgets it where there is none.
    pub(super) fn renumber(&mut self, number_of: impl Fn(u32) -> Option<u32>) {
        self.places.retain_mut(|place| match number_of(place.number) {
            Some(number) => {
                place.number = number;
                true
            }
            None => false,
        });
        self.signs.fill(Sign::NONE);
        for at in 0..self.places.len() {
            self.post(Sign { hash: self.places[at].key.hash(&self.seeds), place: of_place(at) });
        }
    }

    /// Each goes where it was, or as far behind as there were signs: no places are looked at.
    fn double_signs(&mut self) {
        let doubled = no_signs(2 * self.signs.len());
        for sign in std::mem::replace(&mut self.signs, doubled) {
            if !sign.is_nobodys() {
                self.post(sign);
            }
        }
    }

    fn post(&mut self, sign: Sign) {
        let mut at = self.first_sign(sign.hash);
        while !self.signs[at].is_nobodys() {
            at = self.behind(at);
        }
        self.signs[at] = sign;
    }

    #[inline]
    const fn first_sign(&self, hash: u32) -> usize {
        hash as usize & (self.signs.len() - 1)
    }

    #[inline]
    const fn behind(&self, at: usize) -> usize {
        (at + 1) & (self.signs.len() - 1)
    }
}

/// Puts one more behind others that may become very many.
pub(super) fn push<T>(others: &mut Vec<T>, one: T) {
    if others.len() == others.capacity() {
        others.reserve_exact(others.len().max(AT_FIRST));
        prefer_huge_pages(others.spare_capacity_mut());
    }
    others.push(one);
}

/// There are less than four billion flows.
fn of_place(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(Sign::NONE.place)
}

fn no_signs(count: usize) -> Vec<Sign> {
    let mut signs = Vec::with_capacity(count);
    prefer_huge_pages(signs.spare_capacity_mut());
    signs.resize(count, Sign::NONE);
    signs
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::collections::hash_map::Entry;

    use plimsoll_draw::Draw;
    use plimsoll_model::{Layer4, Protocol, Tuple};

    use super::super::key::Narrow;
    use super::*;

    fn key(number: u32) -> Key<Narrow> {
        let tuple = Tuple {
            source: number.to_be_bytes().into(),
            destination: [10, 0, 0, 1].into(),
            protocol: Protocol::UDP,
            layer4: Layer4::Ports { source: 1, destination: 2 },
        };
        Key::of(&tuple, [number, 0x0a00_0001]).unwrap().0
    }

    /// Held against another map: numbered, looked for, numbered anew, and forgotten.
    #[test]
    fn flows_are_found_until_they_are_forgotten() {
        let mut draw = Draw::new(11);
        let mut flows = Table::new();
        let mut others = HashMap::new();
        for turn in 0..200_000_u32 {
            let flow = draw.below(30_000);
            let sought = flows.ask(key(flow));
            flows.ask_on(&sought);
            assert_eq!(flows.get(&sought), others.get(&flow).copied());
            if let Entry::Vacant(vacant) = others.entry(flow) {
                flows.insert(&sought, turn);
                vacant.insert(turn);
            }
            if turn % 50_000 == 49_999 {
                let renumbered = |number: u32| (!number.is_multiple_of(3)).then_some(number / 3);
                flows.renumber(renumbered);
                others = others.into_iter().filter_map(|(flow, number)| Some((flow, renumbered(number)?))).collect();
            }
            assert_eq!(flows.places.len(), others.len());
        }
        assert!(others.len() > 2 * AT_FIRST);
    }

    /// At half of the signs taken, 1.5 are looked at on the average to find a flow by a good hash (Knuth, The Art of Computer
    /// Programming, volume 3, section 6.4).
    #[test]
    fn flows_that_differ_little_are_spread_as_chance_spreads_them() {
        let mut flows = Table::new();
        for number in 0..u32::try_from(AT_FIRST).unwrap() {
            let sought = flows.ask(key(0x0a01_0000 + number));
            flows.insert(&sought, number);
        }
        let passed = |place: &Place<Narrow>| {
            let sought = flows.ask(place.key);
            let mut at = flows.first_sign(sought.hash);
            let mut passed = 1;
            while flows.signs[at].hash != sought.hash {
                at = flows.behind(at);
                passed += 1;
            }
            passed
        };
        let mean = f64::from(flows.places.iter().map(passed).sum::<u32>()) / AT_FIRST as f64;
        assert!((1.3..1.75).contains(&mean), "{mean}");
    }
}
