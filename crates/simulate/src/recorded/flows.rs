//! What is remembered of flows, by their keys.
//!
//! A hash as others are, but for that memory can be sought for ahead of a look-up.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use plimsoll_hints::{fetch, prefer_huge_pages};

use super::key::Key;

/// No place.
const END: u32 = u32::MAX;
/// Chains at first, and places.
const AT_FIRST: usize = 1 << 12;

/// Flows by their keys, each with what is remembered of it.
#[derive(Debug)]
pub(super) struct Flows<T> {
    /// As many chains as a power of two. There are no more flows than chains.
    heads: Vec<u32>,
    places: Vec<Place<T>>,
    /// The first of those that are free: each has the next in place of its chain's.
    free: u32,
    count: usize,
    /// Drawn anew in each process: no file can be made to unbalance it.
    seeds: [u64; 4],
}

#[derive(Clone, Copy, Debug)]
struct Place<T> {
    key: Key,
    known: T,
    hash: u32,
    next: u32,
}

/// A key to look for, with its hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sought {
    pub(super) key: Key,
    hash: u32,
}

impl<T: Copy> Flows<T> {
    pub(super) fn new() -> Self {
        let drawn = DefaultHashBuilder::default();
        Self {
            heads: no_chains(AT_FIRST),
            places: Vec::new(),
            free: END,
            count: 0,
            seeds: [0, 1, 2, 3].map(|seed: u64| drawn.hash_one(seed)),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Begins a look-up.
    #[inline]
    pub(super) fn ask(&self, key: Key) -> Sought {
        let sought = Sought { hash: key.hash(&self.seeds), key };
        fetch(&self.heads[self.chain_of(sought.hash)]);
        sought
    }

    /// Takes what was sought for, and asks for what is probably the flow.
    pub(super) fn ask_on(&self, sought: &Sought) {
        if let Some(place) = self.places.get(self.heads[self.chain_of(sought.hash)] as usize) {
            fetch(place);
        }
    }

    /// A flow, if it is there.
    pub(super) fn get_mut(&mut self, sought: &Sought) -> Option<&mut T> {
        let mut at = self.heads[self.chain_of(sought.hash)];
        while at != END {
            let place = &self.places[at as usize];
            if place.hash == sought.hash && place.key == sought.key {
                return self.places.get_mut(at as usize).map(|place| &mut place.known);
            }
            at = place.next;
        }
        None
    }

    /// Puts a flow in that is not there.
    pub(super) fn insert(&mut self, sought: &Sought, known: T) {
        if self.count == self.heads.len() {
            self.double();
        }
        let place = Place { key: sought.key, known, hash: sought.hash, next: END };
        let at = match self.free {
            END => {
                if self.places.len() == self.places.capacity() {
                    self.places.reserve_exact(self.places.len().max(AT_FIRST));
                    prefer_huge_pages(self.places.spare_capacity_mut());
                }
                self.places.push(place);
                u32::try_from(self.places.len() - 1).unwrap_or(END)
            }
            free => {
                let taken = &mut self.places[free as usize];
                self.free = taken.next;
                *taken = place;
                free
            }
        };
        self.link(at);
        self.count += 1;
    }

    /// Forgets those that are not to be kept.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Key, &T) -> bool) {
        for head in 0..self.heads.len() {
            let mut at = std::mem::replace(&mut self.heads[head], END);
            while at != END {
                let place = &mut self.places[at as usize];
                let next = place.next;
                let behind = if keep(&place.key, &place.known) {
                    &mut self.heads[head]
                } else {
                    self.count -= 1;
                    &mut self.free
                };
                place.next = std::mem::replace(behind, at);
                at = next;
            }
        }
    }

    fn double(&mut self) {
        let old = std::mem::take(&mut self.heads);
        self.heads = no_chains(old.len() * 2);
        for head in old {
            let mut at = head;
            while at != END {
                let next = self.places[at as usize].next;
                self.link(at);
                at = next;
            }
        }
    }

    fn link(&mut self, at: u32) {
        let chain = self.chain_of(self.places[at as usize].hash);
        self.places[at as usize].next = std::mem::replace(&mut self.heads[chain], at);
    }

    const fn chain_of(&self, hash: u32) -> usize {
        hash as usize & (self.heads.len() - 1)
    }
}

fn no_chains(count: usize) -> Vec<u32> {
    let mut heads = Vec::with_capacity(count);
    prefer_huge_pages(heads.spare_capacity_mut());
    heads.resize(count, END);
    heads
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use plimsoll_draw::Draw;
    use plimsoll_model::{Layer4, Protocol, Tuple};

    use super::*;

    fn key(number: u32) -> Key {
        let tuple = Tuple {
            source: number.to_be_bytes().into(),
            destination: [10, 0, 0, 1].into(),
            protocol: Protocol::UDP,
            layer4: Layer4::Ports { source: 1, destination: 2 },
        };
        Key::of(&tuple).unwrap().0
    }

    /// Held against another map: put in, looked for, changed, and forgotten.
    #[test]
    fn flows_are_found_until_they_are_forgotten() {
        let mut draw = Draw::new(11);
        let mut flows = Flows::new();
        let mut others = HashMap::new();
        for turn in 0..200_000_u32 {
            let number = draw.below(30_000);
            let sought = flows.ask(key(number));
            flows.ask_on(&sought);
            assert_eq!(flows.get_mut(&sought).copied(), others.get(&number).copied());
            match flows.get_mut(&sought) {
                Some(known) => *known = turn,
                None => flows.insert(&sought, turn),
            }
            others.insert(number, turn);
            if turn % 50_000 == 49_999 {
                flows.retain(|_, known| known % 3 != 0);
                others.retain(|_, known| *known % 3 != 0);
            }
            assert_eq!(flows.len(), others.len());
        }
        assert!(flows.len() > 2 * AT_FIRST);
    }
}
