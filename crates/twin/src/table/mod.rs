//! The hash: buckets, chains, and the two nodes of each entry.
//!
//! All lies in dense arrays and is linked by indices. A slot is a line of its own (`line.rs`), and the links behind its two nodes
//! (`link.rs`). What few entries have lies aside.
//!
//! The table knows at every moment in which buckets something has expired (`expiry.rs`): in all others a look-up passes
//! nodes without a look at their entries.

mod expiry;
mod key;
mod line;
mod link;
mod marks;
mod room;
mod seek;
mod wheel;
mod wide;

use plimsoll_model::Tuple;

use self::key::Addresses;
pub(crate) use self::key::Key;
use self::line::{Ends, Line};
pub(crate) use self::link::{Chain, Node};
use self::link::{Link, Links};
use self::marks::Marks;
use self::room::{Room, filled};
use self::wheel::Wheel;
use self::wide::Wide;
use crate::aside::Aside;
use crate::entry::{Additions, Entry, Kept, Phase};
use crate::tick::Tick;
use crate::tracker::Memory;
use crate::tracker::tcp::Windows;
use crate::{Direction, Place};

/// The hash, and the entries' slots.
#[derive(Debug)]
pub(crate) struct Table {
    heads: Vec<Link>,
    links: Room<Links>,
    lines: Room<Line>,
    /// Reply tuples that do not mirror the original ones.
    replies: Aside<Ends>,
    additions: Aside<Additions>,
    wide: Wide,
    /// To the slot that was last given back. Behind its original node is the one before.
    free: Link,
    wheel: Wheel,
    /// Buckets in which something may have expired by the wheel's moment: in all others nothing has.
    expired: Marks,
    /// Buckets that gc's walk has something to do in: each entry that has come due lies in one of them.
    due: Marks,
    /// By namespace, entries in the table that have expired: they wait for none, or for a moment behind their expiry.
    lapsed: Aside<u32>,
    seed: u64,
}

/// A tuple to look for: in the twin that has made it, for to another it means nothing.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub(crate) key: Key,
    pub(crate) hash: u32,
    /// How far somebody went ahead of the look-up.
    near: Link,
}

impl Asked {
    /// The tuple.
    pub fn tuple(&self) -> Tuple {
        self.key.tuple()
    }

    /// Where it is looked for.
    pub const fn place(&self) -> Place {
        self.key.place()
    }

    /// What nobody asks for.
    pub(crate) const NOTHING: Self = Self { key: Key::NOTHING, hash: 0, near: Link::END };
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

/// A flow, as its tracker sees it.
pub(crate) struct Flow<'a> {
    pub(crate) entry: &'a mut Entry,
    pub(crate) memory: &'a mut Memory,
    pub(crate) windows: &'a mut Windows,
    /// The type of the ICMP query that opened it.
    pub(crate) original_icmp_type: u8,
}

impl Table {
    /// An empty one, in which so many entries may be expected.
    pub(crate) fn new(buckets: u32, entries: u32, seed: u64) -> Self {
        Self {
            heads: no_chains(buckets),
            links: Room::for_about(entries),
            lines: Room::for_about(entries),
            replies: Aside::default(),
            additions: Aside::default(),
            wide: Wide::new(),
            free: Link::END,
            wheel: Wheel::new(Tick::default()),
            expired: Marks::new(buckets.max(1)),
            due: Marks::new(buckets.max(1)),
            lapsed: Aside::default(),
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

    #[inline]
    pub(crate) fn entry(&self, slot: u32) -> &Entry {
        &self.lines[slot].entry
    }

    #[inline]
    pub(crate) fn entry_mut(&mut self, slot: u32) -> &mut Entry {
        &mut self.lines[slot].entry
    }

    pub(crate) fn memory(&self, slot: u32) -> &Memory {
        &self.lines[slot].memory
    }

    pub(crate) fn windows(&self, slot: u32) -> &Windows {
        &self.lines[slot].windows
    }

    /// An entry, and what its tracker keeps.
    #[inline]
    pub(crate) fn flow_mut(&mut self, slot: u32) -> (&mut Entry, &mut Memory) {
        let Line { entry, memory, .. } = &mut self.lines[slot];
        (entry, memory)
    }

    /// Has a tracker change a flow, and arms it for the moment that comes of it.
    #[inline]
    pub(crate) fn change<T>(&mut self, slot: u32, change: impl FnOnce(Flow<'_>) -> (T, Tick)) -> T {
        let line = &mut self.lines[slot];
        let original_icmp_type = line.icmp_type();
        let Line { entry, memory, windows, .. } = line;
        let (result, expires) = change(Flow { entry, memory, windows, original_icmp_type });
        if line.is_armed_by(expires) {
            self.await_expiry(slot, expires);
        }
        result
    }

    /// What was added to an entry.
    #[inline]
    pub(crate) fn additions(&self, slot: u32) -> Additions {
        self.additions.get(slot)
    }

    pub(crate) fn set_additions(&mut self, slot: u32, additions: Additions) {
        self.additions.put(slot, additions);
    }

    #[inline]
    pub(crate) fn key(&self, slot: u32, direction: Direction) -> Key {
        let line = &self.lines[slot];
        let original = self.kept_key(line, line.ends, line.entry.original());
        match (direction, line.entry.own_reply()) {
            (Direction::Original, _) => original,
            (Direction::Reply, None) => original.answer().unwrap_or(original),
            (Direction::Reply, Some(kept)) => self.kept_key(line, self.replies.get(slot), kept),
        }
    }

    /// An entry's tuples, by direction.
    pub(crate) fn keys(&self, slot: u32) -> [Key; 2] {
        [Direction::Original, Direction::Reply].map(|direction| self.key(slot, direction))
    }

    #[inline]
    fn kept_key(&self, line: &Line, ends: Ends, kept: Kept) -> Key {
        let addresses = match kept {
            Kept::Narrow => Addresses::Narrow(ends.addresses),
            Kept::Wide => Addresses::Wide(self.wide.at(ends.addresses[0])),
        };
        Key { scope: line.scope(), layer4: ends.layer4, addresses }
    }

    pub(crate) fn tuple(&self, slot: u32, direction: Direction) -> Tuple {
        self.key(slot, direction).tuple()
    }

    /// Gives another reply tuple to an entry that is not in the hash yet.
    pub(crate) fn set_reply(&mut self, slot: u32, key: &Key) {
        self.forget_reply(slot);
        if self.key(slot, Direction::Original).answer() == Some(*key) {
            return;
        }
        let (ends, kept) = self.keep(key);
        self.replies.put(slot, ends);
        self.entry_mut(slot).set_own_reply(Some(kept));
    }

    fn keep(&mut self, key: &Key) -> (Ends, Kept) {
        let (addresses, kept) = match key.addresses {
            Addresses::Narrow(addresses) => (addresses, Kept::Narrow),
            Addresses::Wide(addresses) => ([self.wide.keep(addresses), self.hash(key)], Kept::Wide),
        };
        (Ends { addresses, layer4: key.layer4 }, kept)
    }

    /// Takes a slot for an entry that is not in the hash yet, by its original tuple, which the reply tuple mirrors.
    pub(crate) fn take(&mut self, entry: Entry, original: &Key) -> u32 {
        let slot = if self.free.is_end() {
            self.links.push(Links::NONE);
            self.lines.push(Line::free())
        } else {
            let (slot, _) = self.free.place();
            self.free = self.links[slot].behind(Direction::Original);
            self.ask_for_free();
            slot
        };
        let (ends, kept) = self.keep(original);
        let line = &mut self.lines[slot];
        let generation = line.entry.generation;
        line.entry = entry;
        line.entry.generation = generation;
        line.entry.set_original(kept);
        line.ends = ends;
        line.memory = Memory::Nothing;
        line.windows = Windows::NONE;
        slot
    }

    /// Gives a slot back that is not in the hash. On the wheel it stays: it may be taken again before it comes due.
    pub(crate) fn give_back(&mut self, slot: u32) {
        self.forget_reply(slot);
        self.additions.forget(slot);
        let line = &mut self.lines[slot];
        if line.entry.original() == Kept::Wide {
            self.wide.give_back(line.ends.addresses[0]);
        }
        line.entry.set_original(Kept::Narrow);
        line.entry.set_phase(Phase::Free);
        line.entry.generation = line.entry.generation.wrapping_add(1);
        let before = std::mem::replace(&mut self.free, Link::to(slot, Direction::Original, 0));
        *self.links[slot].behind_mut(Direction::Original) = before;
    }

    fn forget_reply(&mut self, slot: u32) {
        if self.entry(slot).own_reply() == Some(Kept::Wide) {
            self.wide.give_back(self.replies.get(slot).addresses[0]);
        }
        self.entry_mut(slot).set_own_reply(None);
    }

    /// The hash of a tuple.
    #[inline]
    pub(crate) fn hash(&self, key: &Key) -> u32 {
        key.hash(self.seed)
    }

    /// A tuple to look for.
    #[inline]
    pub(crate) fn asked(&self, key: Key) -> Asked {
        Asked { hash: self.hash(&key), key, near: Link::END }
    }

    /// The bucket of a hash (`reciprocal_scale`).
    pub(crate) fn bucket_of_hash(&self, hash: u32) -> u32 {
        ((u64::from(hash) * self.heads.len() as u64) >> 32) as u32
    }

    /// The hash of an entry's tuple.
    pub(crate) fn hash_of(&self, slot: u32, direction: Direction) -> u32 {
        let line = &self.lines[slot];
        match (direction, line.entry.original(), line.entry.own_reply()) {
            (Direction::Original, Kept::Wide, _) => line.ends.addresses[1],
            (Direction::Reply, _, Some(Kept::Wide)) => self.replies.get(slot).addresses[1],
            _ => self.hash(&self.key(slot, direction)),
        }
    }

    /// The bucket of an entry's tuple.
    pub(crate) fn bucket_of(&self, slot: u32, direction: Direction) -> u32 {
        self.bucket_of_hash(self.hash_of(slot, direction))
    }

    /// Whether a bucket has no chain.
    pub(crate) fn is_empty(&self, bucket: u32) -> bool {
        self.heads[bucket as usize].is_end()
    }

    /// The nodes of a bucket's chain, from its head on.
    #[inline]
    pub(crate) fn chain(&self, bucket: u32) -> Chain<'_> {
        Chain { links: &self.links, next: &self.heads[bucket as usize] }
    }

    /// Whether a tuple lies at a node.
    #[inline]
    pub(crate) fn is_at(&self, node: Node, asked: &Asked) -> bool {
        node.hash == asked.hash && self.has(node.slot, node.direction, &asked.key)
    }

    /// Whether the tuple that lies at a node is an entry's too.
    pub(crate) fn is_same(&self, node: Node, slot: u32, direction: Direction) -> bool {
        self.key(node.slot, node.direction) == self.key(slot, direction)
    }

    /// Whether an entry has this tuple.
    #[inline]
    fn has(&self, slot: u32, direction: Direction, key: &Key) -> bool {
        let line = &self.lines[slot];
        match key.original(direction) {
            Some(ends) if line.entry.is_plain() => line.ends == ends && line.scope() == key.scope,
            _ => self.has_aside(slot, direction, key),
        }
    }

    /// Whether both nodes of an entry have this tuple, which one has.
    #[inline]
    fn answers_itself(&self, slot: u32, direction: Direction, key: &Key) -> bool {
        match self.entry(slot).own_reply() {
            None => key.is_to_itself(),
            Some(_) => self.has_aside(slot, direction.other(), key),
        }
    }

    #[inline(never)]
    fn has_aside(&self, slot: u32, direction: Direction, key: &Key) -> bool {
        self.key(slot, direction) == *key
    }

    /// Looks for a tuple along the chain of its bucket.
    #[inline]
    pub(crate) fn search(&mut self, asked: &Asked, now: Tick) -> Met {
        let bucket = self.bucket_of_hash(asked.hash);
        if self.expired.has(bucket) || now.since(self.wheel.now()) > 0 {
            return self.search_among_expired(asked, bucket, now);
        }
        // No two nodes have the same tuple, but for an entry that answers itself: who has come to it need not walk.
        if let Some((slot, direction)) = asked.met().map(Link::place)
            && self.entry(slot).is_linked(direction)
            && self.has(slot, direction, &asked.key)
            && !self.answers_itself(slot, direction, &asked.key)
        {
            return Met::Node(slot, direction);
        }
        self.walk(asked, bucket)
    }

    #[inline(never)]
    fn walk(&self, asked: &Asked, bucket: u32) -> Met {
        self.chain(bucket)
            .find(|node| self.is_at(*node, asked))
            .map_or(Met::Nothing, |node| Met::Node(node.slot, node.direction))
    }

    /// Looks at the entries too. Where nothing has expired any more, later look-ups need not.
    #[cold]
    fn search_among_expired(&mut self, asked: &Asked, bucket: u32, now: Tick) -> Met {
        let mut met = Met::Nothing;
        for node in self.chain(bucket) {
            let is_over = self.entry(node.slot).expires.is_over(now);
            match met {
                Met::Nothing if is_over => return Met::Expired(node.slot),
                Met::Nothing if self.is_at(node, asked) => met = Met::Node(node.slot, node.direction),
                _ if is_over => return met,
                _ => {}
            }
        }
        if now == self.wheel.now() {
            self.expired.clear(bucket);
        }
        met
    }

    /// Puts an entry's node at the head of its chain.
    pub(crate) fn link(&mut self, slot: u32, direction: Direction, hash: u32) {
        let bucket = self.bucket_of_hash(hash) as usize;
        let behind = std::mem::replace(&mut self.heads[bucket], Link::to(slot, direction, hash));
        *self.links[slot].behind_mut(direction) = behind;
    }

    /// Takes a node out of its chain.
    pub(crate) fn unlink(&mut self, slot: u32, direction: Direction) {
        let behind = self.links[slot].behind(direction);
        let bucket = self.bucket_of(slot, direction) as usize;
        let mut link = &mut self.heads[bucket];
        while !link.leads_to(slot, direction) {
            if link.is_end() {
                return;
            }
            let (slot, direction) = link.place();
            link = self.links[slot].behind_mut(direction);
        }
        *link = behind;
    }

    /// Another number of buckets: each chain's nodes go over in their order (`nf_conntrack_hash_resize`). gc's walk goes on from a bucket.
    pub(crate) fn resize(&mut self, buckets: u32, walk: u32) {
        let old = std::mem::replace(&mut self.heads, no_chains(buckets));
        for mut link in old {
            while !link.is_end() {
                let (slot, direction) = link.place();
                let behind = self.links[slot].behind(direction);
                self.link(slot, direction, link.hash);
                link = behind;
            }
        }
        self.mark_anew(walk);
    }
}

fn no_chains(buckets: u32) -> Vec<Link> {
    filled(buckets.max(1) as usize, Link::END)
}
