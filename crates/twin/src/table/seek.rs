//! Going ahead of look-ups, and having what they will meet come near.

use plimsoll_hints::fetch;

use super::{Asked, END, Key, Table, place_of};
use crate::tuple::inverted;

/// How far somebody went ahead of a look-up. All that it decides is what to ask memory for: the look-up itself goes the whole
/// way, later, whatever has become of the table meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor(u32);

impl Cursor {
    /// At the end of a chain: nobody has the tuple.
    pub(crate) const NOBODY: Self = Self(END);
    /// At the entry.
    const THERE: Self = Self(END - 1);
}

impl Table {
    /// Asks for the bucket of a tuple.
    #[inline]
    pub(crate) fn ask_for_bucket(&self, hash: u32) {
        fetch(&self.heads[self.bucket_of_hash(hash) as usize]);
    }

    /// Takes what was asked for, and asks for the first entry of the chain.
    #[inline]
    pub(crate) fn ask_for_first(&self, hash: u32) -> Cursor {
        self.ask_for(self.heads[self.bucket_of_hash(hash) as usize])
    }

    /// Takes what was asked for: if it is the entry, asks for its memory, else for the next of the chain.
    #[inline]
    pub(crate) fn ask_on(&self, cursor: Cursor, key: &Key) -> Cursor {
        if cursor.0 >= Cursor::THERE.0 {
            return cursor;
        }
        let (slot, direction) = place_of(cursor.0);
        if self.has(slot, direction, key) {
            fetch(&self.memories[slot]);
            Cursor::THERE
        } else {
            self.ask_for(self.lines[slot].next[direction as usize])
        }
    }

    /// The hash of what answers to a tuple; the tuple's own where nothing does.
    pub(crate) fn answers(&self, asked: &Asked) -> u32 {
        inverted(&asked.key.tuple()).map_or(asked.hash, |answer| self.hash(&asked.key.with(&answer)))
    }

    #[inline]
    fn ask_for(&self, node: u32) -> Cursor {
        if node != END {
            fetch(&self.lines[place_of(node).0]);
        }
        Cursor(node)
    }
}
