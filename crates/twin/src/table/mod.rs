//! The hash: buckets, chains, and the two nodes of each entry.
//!
//! All lies in dense arrays and is linked by indices. A slot is a cache line of its own (`line.rs`) and its tracker's memory;
//! slot `s` has the nodes `2s` (original) and `2s + 1` (reply).

mod key;
mod line;
mod room;
mod seek;
mod wheel;
mod wide;

use plimsoll_hints::fetch;
use plimsoll_model::Tuple;

use self::key::Addresses;
pub(crate) use self::key::Key;
use self::line::{Ends, Line};
use self::room::{Room, filled};
pub(crate) use self::seek::Cursor;
use self::wheel::{Turn, Wheel};
use self::wide::Wide;
use crate::Direction;
use crate::entry::{Entry, Phase};
use crate::tick::Tick;
use crate::tracker::Memory;

/// No node.
const END: u32 = u32::MAX;

/// The hash, and the entries' slots.
#[derive(Debug)]
pub(crate) struct Table {
    heads: Vec<u32>,
    lines: Room<Line>,
    memories: Room<Memory>,
    wide: Wide,
    /// The slot that was last given back; each line of a free one has the one before in place of a node.
    free: u32,
    wheel: Wheel,
    seed: u64,
}

/// A tuple to look for, with its hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) key: Key,
    pub(crate) hash: u32,
}

impl Asked {
    /// What nobody asks for.
    pub(crate) const NOTHING: Self = Self { key: Key::NOTHING, hash: 0 };
}

/// What a look-up comes upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// What it looks for.
    Node(u32, Direction),
    /// Before that, an entry that has expired.
    Expired(u32),
    /// The end of the chain.
    Nothing,
}

impl Table {
    /// An empty one, in which so many entries may be expected.
    pub(crate) fn new(buckets: u32, entries: u32, seed: u64) -> Self {
        Self {
            heads: no_chains(buckets),
            lines: Room::for_about(entries),
            memories: Room::for_about(entries),
            wide: Wide::new(),
            free: END,
            wheel: Wheel::new(Tick::default()),
            seed,
        }
    }

    pub(crate) fn buckets(&self) -> u32 {
        u32::try_from(self.heads.len()).unwrap_or(u32::MAX)
    }

    /// Slots that were ever taken at one time.
    pub(crate) fn slots(&self) -> u32 {
        self.lines.len()
    }

    /// Every slot's entry, whether or not it is taken.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.lines.iter().map(|line| &line.entry)
    }

    pub(crate) fn entry(&self, slot: u32) -> &Entry {
        &self.lines[slot].entry
    }

    pub(crate) fn entry_mut(&mut self, slot: u32) -> &mut Entry {
        &mut self.lines[slot].entry
    }

    pub(crate) fn memory(&self, slot: u32) -> &Memory {
        &self.memories[slot]
    }

    /// An entry, and what its tracker keeps.
    pub(crate) fn flow_mut(&mut self, slot: u32) -> (&mut Entry, &mut Memory) {
        (&mut self.lines[slot].entry, &mut self.memories[slot])
    }

    pub(crate) fn key(&self, slot: u32, direction: Direction) -> Key {
        let line = &self.lines[slot];
        let key = line.narrow_key(direction);
        match key.addresses {
            Addresses::Narrow([at, _]) if line.entry.is_wide(direction) => {
                Key { addresses: Addresses::Wide(self.wide.at(at)), ..key }
            }
            _ => key,
        }
    }

    pub(crate) fn tuple(&self, slot: u32, direction: Direction) -> Tuple {
        self.key(slot, direction).tuple()
    }

    /// The type of the ICMP query that opened a flow.
    pub(crate) fn icmp_type(&self, slot: u32) -> u8 {
        let [.., kind, _] = self.lines[slot].ends[Direction::Original as usize].layer4.to_be_bytes();
        kind
    }

    /// Gives a tuple to an entry that is not in the hash yet.
    pub(crate) fn set_key(&mut self, slot: u32, direction: Direction, key: &Key) {
        self.forget_key(slot, direction);
        let addresses = match key.addresses {
            Addresses::Narrow(addresses) => addresses,
            Addresses::Wide(addresses) => [self.wide.keep(addresses), self.hash(key)],
        };
        let line = &mut self.lines[slot];
        if matches!(key.addresses, Addresses::Wide(_)) {
            line.entry.set_wide(direction);
        }
        line.ends[direction as usize] = Ends { addresses, layer4: key.layer4 };
    }

    /// Takes a slot for an entry that is not in the hash yet.
    pub(crate) fn take(&mut self, entry: Entry, keys: [&Key; 2]) -> u32 {
        let slot = match self.free {
            END => {
                self.memories.push(Memory::Nothing);
                self.lines.push(Line::free())
            }
            slot => {
                self.free = self.lines[slot].next[0];
                // The next entry's.
                if self.free != END {
                    fetch(&self.lines[self.free]);
                    fetch(&self.memories[self.free]);
                }
                self.memories[slot] = Memory::Nothing;
                slot
            }
        };
        let place = self.entry_mut(slot);
        let generation = place.generation;
        *place = entry;
        place.generation = generation;
        self.set_key(slot, Direction::Original, keys[0]);
        self.set_key(slot, Direction::Reply, keys[1]);
        slot
    }

    /// Gives a slot back that is not in the hash. On the wheel it stays: it may be taken again before it comes due.
    pub(crate) fn give_back(&mut self, slot: u32) {
        self.forget_key(slot, Direction::Original);
        self.forget_key(slot, Direction::Reply);
        let line = &mut self.lines[slot];
        line.entry.set_phase(Phase::Free);
        line.entry.generation = line.entry.generation.wrapping_add(1);
        line.next[0] = std::mem::replace(&mut self.free, slot);
    }

    fn forget_key(&mut self, slot: u32, direction: Direction) {
        let line = &mut self.lines[slot];
        if line.entry.is_wide(direction) {
            line.entry.set_narrow(direction);
            self.wide.give_back(line.ends[direction as usize].addresses[0]);
        }
    }

    /// The hash of a tuple.
    pub(crate) fn hash(&self, key: &Key) -> u32 {
        key.hash(self.seed)
    }

    /// A tuple to look for.
    pub(crate) fn asked(&self, key: Key) -> Asked {
        Asked { hash: self.hash(&key), key }
    }

    /// The bucket of a hash (`reciprocal_scale`).
    pub(crate) fn bucket_of_hash(&self, hash: u32) -> u32 {
        ((u64::from(hash) * self.heads.len() as u64) >> 32) as u32
    }

    /// The bucket of a tuple.
    pub(crate) fn bucket(&self, key: &Key) -> u32 {
        self.bucket_of_hash(self.hash(key))
    }

    /// The bucket of an entry's tuple.
    pub(crate) fn bucket_of(&self, slot: u32, direction: Direction) -> u32 {
        let line = &self.lines[slot];
        let hash = if line.entry.is_wide(direction) {
            line.ends[direction as usize].addresses[1]
        } else {
            self.hash(&line.narrow_key(direction))
        };
        self.bucket_of_hash(hash)
    }

    /// Whether a bucket has no chain.
    pub(crate) fn is_empty(&self, bucket: u32) -> bool {
        self.heads[bucket as usize] == END
    }

    /// The entries in a bucket's chain, by the tuple that lies there, from its head on.
    pub(crate) fn chain(&self, bucket: u32) -> Chain<'_> {
        Chain { table: self, next: self.heads[bucket as usize] }
    }

    /// Whether an entry has this tuple.
    pub(crate) fn has(&self, slot: u32, direction: Direction, key: &Key) -> bool {
        let line = &self.lines[slot];
        match key.addresses {
            Addresses::Narrow(addresses) => {
                line.has_narrow(direction, key.scope, Ends { addresses, layer4: key.layer4 })
            }
            Addresses::Wide(_) => line.entry.is_wide(direction) && self.key(slot, direction) == *key,
        }
    }

    /// Looks for a tuple along the chain of its bucket.
    pub(crate) fn search(&self, key: &Key, bucket: u32, now: Tick) -> Met {
        for (slot, direction) in self.chain(bucket) {
            if self.entry(slot).expires.is_over(now) {
                return Met::Expired(slot);
            }
            if self.has(slot, direction, key) {
                return Met::Node(slot, direction);
            }
        }
        Met::Nothing
    }

    /// Puts an entry's node at the head of its chain.
    pub(crate) fn link(&mut self, slot: u32, direction: Direction) {
        let bucket = self.bucket_of(slot, direction) as usize;
        let behind = std::mem::replace(&mut self.heads[bucket], node_of(slot, direction));
        self.lines[slot].next[direction as usize] = behind;
    }

    /// Takes a node out of its chain.
    pub(crate) fn unlink(&mut self, slot: u32, direction: Direction) {
        let node = node_of(slot, direction);
        let behind = self.lines[slot].next[direction as usize];
        let bucket = self.bucket_of(slot, direction) as usize;
        let mut at = self.heads[bucket];
        if at == node {
            self.heads[bucket] = behind;
            return;
        }
        while at != END {
            let (slot, direction) = place_of(at);
            let next = &mut self.lines[slot].next[direction as usize];
            if *next == node {
                *next = behind;
                return;
            }
            at = *next;
        }
    }

    /// Another number of buckets: each chain's nodes go over in their order (`nf_conntrack_hash_resize`).
    pub(crate) fn resize(&mut self, buckets: u32) {
        let old = std::mem::replace(&mut self.heads, no_chains(buckets));
        for head in old {
            let mut node = head;
            while node != END {
                let (slot, direction) = place_of(node);
                node = self.lines[slot].next[direction as usize];
                self.link(slot, direction);
            }
        }
    }

    /// Sets when an entry expires. Of one that is in the table, the wheel will know in time; before, it is a span.
    pub(crate) fn arm(&mut self, slot: u32, expires: Tick) {
        let line = &mut self.lines[slot];
        line.entry.expires = expires;
        if line.entry.phase().is_in_table() && !line.turn.is_by(expires) {
            self.wheel.put(&mut self.lines, slot, expires);
        }
    }

    /// The next slot that may hold what has expired by now: it is told once. What has not, is to be armed again.
    pub(crate) fn next_due(&mut self, now: Tick) -> Option<u32> {
        self.wheel.pop(&mut self.lines, now)
    }

    /// Whether a slot waits to come due.
    pub(crate) fn is_waiting(&self, slot: u32) -> bool {
        !self.lines[slot].turn.is_out()
    }

    /// Has the wheel begin anew at a moment from which on others are told: what is in the table waits for its expiry.
    pub(crate) fn begin_anew(&mut self, now: Tick) {
        self.wheel = Wheel::new(now);
        for slot in 0..self.slots() {
            self.lines[slot].turn = Turn::OUT;
        }
        for slot in 0..self.slots() {
            self.arm(slot, self.entry(slot).expires);
        }
    }
}

/// Walks a chain.
pub(crate) struct Chain<'a> {
    table: &'a Table,
    next: u32,
}

impl Iterator for Chain<'_> {
    type Item = (u32, Direction);

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == END {
            return None;
        }
        let (slot, direction) = place_of(self.next);
        self.next = self.table.lines[slot].next[direction as usize];
        Some((slot, direction))
    }
}

fn no_chains(buckets: u32) -> Vec<u32> {
    filled(buckets.max(1) as usize, END)
}

const fn node_of(slot: u32, direction: Direction) -> u32 {
    slot * 2 + direction as u32
}

const fn place_of(node: u32) -> (u32, Direction) {
    (node / 2, if node.is_multiple_of(2) { Direction::Original } else { Direction::Reply })
}
