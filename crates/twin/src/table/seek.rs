//! Going ahead of look-ups, and having what they will meet come near.

use plimsoll_hints::fetch_at;

use super::index::{Home, Tag};
use super::key::answering;
use super::{Asked, Node, Table};
use crate::tick::Tick;

/// For so many buckets what gc needs there is asked for at once.
const AT_ONCE: usize = 16;
/// Of each chain, no more than its first nodes: it may be of any length.
const FEW: usize = 4;

impl Table {
    /// Asks for where the slot of a tuple is found.
    #[inline]
    pub(crate) fn ask_for_slot(&self, asked: &Asked) {
        self.index.ask_for(Tag::of(asked.hash));
    }

    /// Asks for where the slot of a tuple is found, or for the slot's line, if that is known.
    #[inline]
    pub(crate) fn ask_for(&self, asked: &mut Asked) {
        if asked.near == Asked::NOWHERE {
            self.ask_for_slot(asked);
        } else {
            self.ask_for_line(asked.near);
        }
    }

    /// Asks for a slot's line.
    #[inline]
    pub(crate) fn ask_for_line(&self, slot: u32) {
        self.lines.ask_for(slot);
    }

    /// Takes what was asked for, and asks for the entry, if it is where most are; where there is none, for what an entry of the tuple
    /// will take. What is found already is not looked for again.
    #[inline]
    pub(crate) fn ask_for_entry(&self, asked: &mut Asked) {
        if asked.near == Asked::NOWHERE {
            match self.index.at_home(Tag::of(asked.hash)) {
                Home::Has(slot) => {
                    asked.near = slot;
                    self.lines.ask_for(slot);
                }
                Home::PassedBy => {}
                Home::Lacks => self.ask_for_heads(asked),
            }
        }
    }

    /// Asks for an entry that is elsewhere.
    #[inline]
    pub(crate) fn ask_elsewhere(&self, asked: &mut Asked) {
        if asked.near == Asked::NOWHERE {
            self.seek_elsewhere(asked);
        }
    }

    #[inline(never)]
    fn seek_elsewhere(&self, asked: &mut Asked) {
        match self.index.with(Tag::of(asked.hash)).next() {
            Some(slot) => {
                asked.near = slot;
                self.lines.ask_for(slot);
            }
            None => self.ask_for_heads(asked),
        }
    }

    /// Asks for where an entry of a tuple will lie that has none.
    #[inline(never)]
    fn ask_for_heads(&self, asked: &mut Asked) {
        asked.near = Asked::ABSENT;
        for hash in [asked.hash, answering(asked.hash)] {
            fetch_at(&self.heads, self.bucket_of_hash(hash) as usize);
        }
    }

    /// Asks for what gc's walk needs in the next buckets from this one on to which it goes. Those before the bucket that is returned
    /// have been asked for.
    pub(crate) fn ask_for_walk(&self, now: Tick, from: u32, next_from: impl Fn(u32) -> u32) -> u32 {
        let (mut buckets, mut next) = ([0; AT_ONCE], from);
        let mut count = 0;
        while count < AT_ONCE
            && let bucket = next_from(next)
            && bucket < self.buckets()
        {
            fetch_at(&self.heads, bucket as usize);
            buckets[count] = bucket;
            count += 1;
            next = bucket + 1;
        }
        // A step for all of them, then the next: what was asked for comes meanwhile.
        let chains = || buckets[..count].iter().map(|bucket| (*bucket, self.chain(*bucket).take(FEW)));
        for (_, mut chain) in chains() {
            if let Some(Node { slot, .. }) = chain.next() {
                self.lines.ask_for(slot);
                self.links.ask_for(slot);
            }
        }
        for Node { slot, .. } in chains().flat_map(|(_, chain)| chain.skip(1)) {
            self.lines.ask_for(slot);
        }
        for (bucket, chain) in chains() {
            for Node { slot, .. } in chain.filter(|node| self.entry(node.slot).expires.is_over(now)) {
                let [original, reply] = self.hashes_of(slot);
                self.index.ask_for(Tag::of(original));
                let other = if self.bucket_of_hash(original) == bucket { reply } else { original };
                fetch_at(&self.heads, self.bucket_of_hash(other) as usize);
            }
        }
        next
    }

    /// Asks for the slot that the next entry takes.
    #[inline]
    pub(super) fn ask_for_free(&self) {
        let (slot, _) = self.free.place();
        self.lines.ask_for(slot);
        self.links.ask_for(slot);
    }
}

impl Asked {
    /// Nobody has looked yet. No table has so many slots.
    pub(super) const NOWHERE: u32 = u32::MAX;
    /// Somebody has looked, and there was none.
    const ABSENT: u32 = u32::MAX - 1;
}
