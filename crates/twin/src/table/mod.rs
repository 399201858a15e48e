//! The hash: buckets, chains, and the two nodes of each entry.
//!
//! All lies in dense arrays and is linked by indices. A slot is a line of its own (`line.rs`), and the links behind its two nodes
//! (`link.rs`). What few entries have lies aside.
//!
//! The table knows at every moment in which buckets something has expired (`expiry.rs`): there a look-up walks the chain as the
//! kernel does, and in all others it goes by an index (`index.rs`).

mod expiry;
mod index;
mod key;
mod lengths;
mod line;
mod link;
mod marks;
mod room;
mod seek;
mod wheel;
mod wide;

use plimsoll_model::Tuple;

use self::index::{Index, Tag};
pub(crate) use self::key::Key;
use self::key::{Addresses, Words, answering};
pub use self::lengths::ChainLengths;
use self::line::{Ends, Line};
use self::link::{Bucket, Link, Links};
pub(crate) use self::link::{Chain, Node};
use self::marks::Marks;
use self::room::{Room, filled};
use self::wheel::{Turn, Wheel};
use self::wide::Wide;
use crate::aside::Aside;
use crate::entry::{Additions, Entry, Kept, Phase};
use crate::tick::Tick;
use crate::tracker::Memory;
use crate::tracker::tcp::Windows;
use crate::{Direction, EntryId, Place};

/// The hash, and the entries' slots.
#[derive(Debug)]
pub(crate) struct Table {
    heads: Vec<Bucket>,
    lengths: ChainLengths,
    links: Room<Links>,
    lines: Room<Line>,
    /// The slots of all whose tuples lie in a chain.
    index: Index,
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
    /// Where to look first: the slot that somebody has found who went ahead of the look-up, or where an entry of the tuple was before;
    /// none that there is, if nothing was found.
    near: u32,
}

impl Asked {
    /// For a table with this seed.
    #[inline]
    pub(crate) fn new(key: Key, seed: u64) -> Self {
        Self { hash: key.hash(seed), key, near: Self::NOWHERE }
    }

    /// The tuple.
    pub fn tuple(&self) -> Tuple {
        self.key.tuple()
    }

    /// Where it is looked for.
    pub const fn place(&self) -> Place {
        self.key.place()
    }

    /// Has its entry be looked for first where it was found.
    #[inline]
    pub const fn found(&mut self, entry: EntryId) {
        self.near = entry.slot;
    }

    /// What nobody asks for.
    pub(crate) const NOTHING: Self = Self { key: Key::NOTHING, hash: 0, near: Self::NOWHERE };
}

/// What a look-up comes upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// What it looks for.
    Node(Node),
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
            lengths: ChainLengths::of_empty(buckets.max(1)),
            links: Room::for_about(entries),
            lines: Room::for_about(entries),
            index: Index::for_about(entries),
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
        if additions.policy.is_some() || additions.helper.is_some() {
            self.entry_mut(slot).set_ruled();
        }
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

    #[inline]
    fn keep(&mut self, key: &Key) -> (Ends, Kept) {
        let (addresses, kept) = match key.addresses {
            Addresses::Narrow(addresses) => (addresses, Kept::Narrow),
            Addresses::Wide(addresses) => (self.keep_wide(key, addresses), Kept::Wide),
        };
        (Ends { addresses, layer4: key.layer4 }, kept)
    }

    #[inline(never)]
    fn keep_wide(&mut self, key: &Key, addresses: [Words; 2]) -> [u32; 2] {
        [self.wide.keep(addresses), self.hash(key)]
    }

    /// Takes a slot for an entry that is not in the hash yet, by its original tuple, which the reply tuple mirrors.
    #[inline]
    pub(crate) fn take(&mut self, mut entry: Entry, original: &Key) -> u32 {
        let (ends, kept) = self.keep(original);
        entry.set_original(kept);
        let new = Line { entry, ends, memory: Memory::Nothing, windows: Windows::NONE, turn: Turn::OUT };
        if self.free.is_end() {
            self.links.push(Links::NONE);
            return self.lines.push(new);
        }
        let (slot, _) = self.free.place();
        self.free = self.links[slot].behind(Direction::Original);
        self.ask_for_free();
        let line = &mut self.lines[slot];
        // On the wheel it stays where it is.
        let generation = line.entry.generation;
        *line = Line { turn: line.turn, ..new };
        line.entry.generation = generation;
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
        let before = std::mem::replace(&mut self.free, Link::to(slot, Direction::Original));
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
        Asked::new(key, self.seed)
    }

    /// What hashes are drawn by.
    pub(crate) const fn seed(&self) -> u64 {
        self.seed
    }

    /// The bucket of a hash (`reciprocal_scale`).
    pub(crate) fn bucket_of_hash(&self, hash: u32) -> u32 {
        ((u64::from(hash) * self.heads.len() as u64) >> 32) as u32
    }

    /// The hash of an entry's tuple.
    pub(crate) fn hash_of(&self, slot: u32, direction: Direction) -> u32 {
        let line = &self.lines[slot];
        match (direction, line.entry.original(), line.entry.own_reply()) {
            (Direction::Original, Kept::Narrow, _) => self.hash(&self.key(slot, Direction::Original)),
            (Direction::Original, Kept::Wide, _) => line.ends.addresses[1],
            (Direction::Reply, _, None) => answering(self.hash_of(slot, Direction::Original)),
            (Direction::Reply, _, Some(Kept::Narrow)) => self.hash(&self.key(slot, Direction::Reply)),
            (Direction::Reply, _, Some(Kept::Wide)) => self.replies.get(slot).addresses[1],
        }
    }

    /// The hashes of an entry's tuples, by direction.
    #[inline]
    pub(crate) fn hashes_of(&self, slot: u32) -> [u32; 2] {
        self.hashes(slot, self.hash_of(slot, Direction::Original))
    }

    /// The hashes of an entry's tuples, by direction, where that of the original one is known.
    #[inline]
    pub(crate) fn hashes(&self, slot: u32, original: u32) -> [u32; 2] {
        let is_mirrored = self.entry(slot).own_reply().is_none();
        [original, if is_mirrored { answering(original) } else { self.hash_of(slot, Direction::Reply) }]
    }

    /// How many nodes a bucket's chain has.
    #[inline]
    pub(crate) fn nodes(&self, bucket: u32) -> u32 {
        self.heads[bucket as usize].nodes
    }

    /// How long all chains are.
    pub(crate) const fn chain_lengths(&self) -> &ChainLengths {
        &self.lengths
    }

    /// The nodes of a bucket's chain, from its head on.
    #[inline]
    pub(crate) fn chain(&self, bucket: u32) -> Chain<'_> {
        Chain { links: &self.links, next: &self.heads[bucket as usize].first }
    }

    /// Whether a tuple lies at a node.
    #[inline(never)]
    pub(crate) fn is_at(&self, node: Node, key: &Key) -> bool {
        self.key(node.slot, node.direction) == *key
    }

    /// The node at which a tuple lies, if whoever went ahead has found it, and a look-up would meet nothing that has expired.
    #[inline]
    pub(crate) fn near(&self, asked: &Asked, now: Tick) -> Option<Node> {
        if self.may_have_expired(self.bucket_of_hash(asked.hash), now) { None } else { self.node_of(asked.near, asked) }
    }

    /// Whether something in a bucket may have expired.
    #[inline]
    fn may_have_expired(&self, bucket: u32, now: Tick) -> bool {
        self.expired.has(bucket) || now.since(self.wheel.now()) > 0
    }

    /// Looks for a tuple.
    #[inline]
    pub(crate) fn search(&mut self, asked: &Asked, now: Tick) -> Met {
        let bucket = self.bucket_of_hash(asked.hash);
        if self.may_have_expired(bucket, now) {
            return self.search_among_expired(asked, bucket, now);
        }
        match self.look_up(asked) {
            Some(node) => Met::Node(node),
            None => Met::Nothing,
        }
    }

    /// The node at which a tuple lies, whether or not its entry has expired.
    #[inline]
    pub(crate) fn look_up(&self, asked: &Asked) -> Option<Node> {
        if self.index.lacks(Tag::of(asked.hash)) { None } else { self.look_among_some(asked) }
    }

    #[inline(never)]
    fn look_among_some(&self, asked: &Asked) -> Option<Node> {
        self.index.with(Tag::of(asked.hash)).find_map(|slot| self.node_of(slot, asked))
    }

    /// Whether nobody has one of an entry's tuples, as far as that is seen at once; they have these hashes.
    #[inline]
    pub(crate) fn are_free(&self, slot: u32, [original, reply]: [u32; 2]) -> bool {
        self.index.lacks(Tag::of(original))
            && (self.entry(slot).own_reply().is_none() || self.index.lacks(Tag::of(reply)))
    }

    /// The node at which a tuple of an entry lies that is not in the hash itself: another's.
    pub(crate) fn holder(&self, slot: u32, direction: Direction, hash: u32) -> Option<Node> {
        self.look_up(&Asked { key: self.key(slot, direction), hash, near: Asked::NOWHERE })
    }

    /// The node of a slot at which a tuple lies, if that is one of its own.
    #[inline]
    fn node_of(&self, slot: u32, asked: &Asked) -> Option<Node> {
        let line = self.lines.get(slot)?;
        match asked.key.plain() {
            Some(ends) if line.entry.is_plainly_in_table() => {
                let (asks, answers) = (line.ends.is(ends), line.ends.is(ends.mirrored()));
                // One that answers itself has two nodes of this tuple.
                if asks && answers {
                    return self.node_among_both(slot, asked);
                }
                let direction = if answers { Direction::Reply } else { Direction::Original };
                ((asks | answers) && line.scope() == asked.key.scope).then_some(Node { slot, direction })
            }
            _ => self.node_among_both(slot, asked),
        }
    }

    #[inline(never)]
    fn node_among_both(&self, slot: u32, asked: &Asked) -> Option<Node> {
        let entry = self.entry(slot);
        let has = |direction| entry.is_linked(direction) && self.key(slot, direction) == asked.key;
        match [Direction::Original, Direction::Reply].map(has) {
            [true, false] => Some(Node { slot, direction: Direction::Original }),
            [false, true] => Some(Node { slot, direction: Direction::Reply }),
            [false, false] => None,
            // The one that lies nearer to the head.
            [true, true] => self.chain(self.bucket_of_hash(asked.hash)).find(|node| node.slot == slot),
        }
    }

    /// Walks the chain, and looks at the entries too. Where nothing has expired any more, later look-ups need not.
    #[cold]
    fn search_among_expired(&mut self, asked: &Asked, bucket: u32, now: Tick) -> Met {
        let mut met = Met::Nothing;
        for node in self.chain(bucket) {
            let is_over = self.entry(node.slot).expires.is_over(now);
            match met {
                Met::Nothing if is_over => return Met::Expired(node.slot),
                Met::Nothing if self.is_at(node, &asked.key) => met = Met::Node(node),
                _ if is_over => return met,
                _ => {}
            }
        }
        if now == self.wheel.now() {
            self.expired.clear(bucket);
        }
        met
    }

    /// Puts the nodes of an entry of the table at the heads of their chains, and has it be found. Its tuples have these hashes.
    pub(crate) fn link(&mut self, slot: u32, hashes: [u32; 2]) {
        let entry = *self.entry(slot);
        if entry.is_linked(Direction::Original) {
            self.put_at_head(slot, Direction::Original, hashes[0]);
        }
        self.put_at_head(slot, Direction::Reply, hashes[1]);
        let (tag, another) = tags(entry, hashes);
        self.index.put(tag, slot);
        if let Some(another) = another {
            self.index.put(another, slot);
        }
    }

    /// Takes the nodes of an entry of the table out of their chains, and has nobody find it.
    pub(crate) fn unlink(&mut self, slot: u32) {
        let entry = *self.entry(slot);
        let hashes = self.hashes_of(slot);
        if entry.is_linked(Direction::Original) {
            self.take_out(slot, Direction::Original, hashes[0]);
        }
        self.take_out(slot, Direction::Reply, hashes[1]);
        let (tag, another) = tags(entry, hashes);
        self.index.remove(tag, slot);
        if let Some(another) = another {
            self.index.remove(another, slot);
        }
    }

    fn put_at_head(&mut self, slot: u32, direction: Direction, hash: u32) {
        let bucket = self.bucket_of_hash(hash) as usize;
        let Bucket { first, nodes } = &mut self.heads[bucket];
        *nodes += 1;
        self.lengths.grown(*nodes);
        let behind = std::mem::replace(first, Link::to(slot, direction));
        *self.links[slot].behind_mut(direction) = behind;
    }

    fn take_out(&mut self, slot: u32, direction: Direction, hash: u32) {
        let behind = self.links[slot].behind(direction);
        let bucket = self.bucket_of_hash(hash);
        let Bucket { first, nodes } = &mut self.heads[bucket as usize];
        let mut link = first;
        while !link.leads_to(slot, direction) {
            if link.is_end() {
                return;
            }
            let (slot, direction) = link.place();
            link = self.links[slot].behind_mut(direction);
        }
        *link = behind;
        self.lengths.shrunk(*nodes);
        *nodes -= 1;
    }

    /// Another number of buckets: each chain's nodes go over in their order (`nf_conntrack_hash_resize`). gc's walk goes on from a bucket.
    pub(crate) fn resize(&mut self, buckets: u32, walk: u32) {
        let old = std::mem::replace(&mut self.heads, no_chains(buckets));
        self.lengths = ChainLengths::of_empty(self.buckets());
        for Bucket { first: mut link, .. } in old {
            while !link.is_end() {
                let (slot, direction) = link.place();
                let behind = self.links[slot].behind(direction);
                self.put_at_head(slot, direction, self.hash_of(slot, direction));
                link = behind;
            }
        }
        self.mark_anew(walk);
    }
}

/// The tags under which an entry of the table is found: where its tuples mirror each other, they have one.
#[inline]
fn tags(entry: Entry, [original, reply]: [u32; 2]) -> (Tag, Option<Tag>) {
    if entry.is_linked(Direction::Original) {
        (Tag::of(original), entry.own_reply().map(|_| Tag::of(reply)))
    } else {
        (Tag::of(reply), None)
    }
}

fn no_chains(buckets: u32) -> Vec<Bucket> {
    filled(buckets.max(1) as usize, Bucket::EMPTY)
}
