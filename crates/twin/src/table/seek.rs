//! Going ahead of look-ups, and having what they will meet come near.

use plimsoll_hints::fetch_at;

use super::index::Tag;
use super::key::answering;
use super::{Asked, Table};

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

    /// Takes what was asked for, and asks for the entry, if it is where most are. What is found already is not looked for again.
    #[inline]
    pub(crate) fn ask_for_entry(&self, asked: &mut Asked) {
        if asked.near == Asked::NOWHERE
            && let Some(slot) = self.index.at_home(Tag::of(asked.hash))
        {
            asked.near = slot;
            self.lines.ask_for(slot);
        }
    }

    /// Asks for an entry that is elsewhere; where there is none, for what an entry of the tuple will take.
    #[inline]
    pub(crate) fn ask_elsewhere(&self, asked: &mut Asked) {
        if asked.near == Asked::NOWHERE {
            self.seek_elsewhere(asked);
        }
    }

    #[inline(never)]
    fn seek_elsewhere(&self, asked: &mut Asked) {
        let tag = Tag::of(asked.hash);
        if !self.index.lacks(tag)
            && let Some(slot) = self.index.with(tag).next()
        {
            asked.near = slot;
            self.lines.ask_for(slot);
            return;
        }
        for hash in [asked.hash, answering(asked.hash)] {
            fetch_at(&self.heads, self.bucket_of_hash(hash) as usize);
        }
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
    /// No table has so many slots.
    pub(super) const NOWHERE: u32 = u32::MAX;
}
