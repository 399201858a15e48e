//! Going ahead of look-ups, and having what they will meet come near.

use plimsoll_hints::fetch_at;

use super::link::Link;
use super::{Asked, Table};

impl Table {
    /// Asks for the bucket of a tuple.
    #[inline]
    pub(crate) fn ask_for_bucket(&self, hash: u32) {
        fetch_at(&self.heads, self.bucket_of_hash(hash) as usize);
    }

    /// Takes what was asked for, and asks for the first node of the chain.
    #[inline]
    pub(crate) fn ask_for_first(&self, asked: &mut Asked) {
        asked.near = self.heads[self.bucket_of_hash(asked.hash) as usize];
        self.ask_for_near(asked);
    }

    /// Takes what was asked for, and asks for the next node of the chain.
    ///
    /// Who has come to the tuple, or to the end of the chain, takes a step too, and stays: how long chains are is chance, and a branch by
    /// it is as often foreseen wrongly.
    #[inline]
    pub(crate) fn ask_on(&self, asked: &mut Asked) {
        let stays = asked.has_come() | asked.near.is_end();
        let (slot, direction) = asked.near.place();
        if let Some(links) = self.links.get(if stays { 0 } else { slot }) {
            let next = links.behind(direction);
            asked.near = if stays { asked.near } else { next };
        }
        self.ask_for_near(asked);
    }

    /// Asks for the entry, if its tuple may lie there; else for what leads on.
    #[inline]
    fn ask_for_near(&self, asked: &Asked) {
        let (slot, _) = asked.near.place();
        if asked.has_come() {
            self.lines.ask_for(slot);
        } else {
            self.links.ask_for(slot);
        }
    }

    /// The hash of what answers to a tuple; the tuple's own where nothing does.
    pub(crate) fn answers(&self, asked: &Asked) -> u32 {
        asked.key.answer().map_or(asked.hash, |answer| self.hash(&answer))
    }

    /// Asks for the first node of a chain.
    #[inline]
    pub(crate) fn ask_for_chain(&self, hash: u32) {
        let (slot, _) = self.heads[self.bucket_of_hash(hash) as usize].place();
        self.links.ask_for(slot);
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
    /// Whether whoever went ahead has come to a node with the tuple's hash.
    #[inline]
    const fn has_come(&self) -> bool {
        self.near.hash == self.hash && !self.near.is_end()
    }

    /// Whether there is no such node.
    pub(crate) const fn is_nobodys(&self) -> bool {
        self.near.is_end()
    }

    /// Where somebody who went ahead has met the tuple's hash. Whatever has become of the table since is to be looked at.
    #[inline]
    pub(super) const fn met(&self) -> Option<Link> {
        if self.has_come() { Some(self.near) } else { None }
    }
}
