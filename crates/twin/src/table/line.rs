//! A slot's cache line: all that a look-up meets of an entry, and what nearly every packet changes.

use super::key::{Addresses, Key, Scope};
use super::wheel::Turn;
use crate::Direction;
use crate::entry::Entry;

/// One slot. A chain is walked through lines, and passes each at the cost of one.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Line {
    pub(super) entry: Entry,
    /// By direction.
    pub(super) ends: [Ends; 2],
    /// The nodes behind this slot's, by direction.
    pub(super) next: [u32; 2],
    pub(super) turn: Turn,
}

// Two arrays hold an entry: this, and its tracker's memory.
const _: () = assert!(size_of::<Line>() == 64);

/// A tuple, but for what both directions share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    /// IPv4: source and destination. IPv6: where the addresses lie, and the tuple's hash.
    pub(super) addresses: [u32; 2],
    pub(super) layer4: u32,
}

impl Line {
    pub(super) const fn free() -> Self {
        const NOTHING: Ends = Ends { addresses: [0; 2], layer4: 0 };
        Self { entry: Entry::FREE, ends: [NOTHING; 2], next: [0; 2], turn: Turn::OUT }
    }

    pub(super) const fn scope(&self) -> Scope {
        Scope { namespace: self.entry.namespace, zone: self.entry.zone, protocol: self.entry.protocol }
    }

    /// Whether a node has this tuple.
    pub(super) fn has_narrow(&self, direction: Direction, scope: Scope, ends: Ends) -> bool {
        self.ends[direction as usize] == ends && self.scope() == scope && !self.entry.is_wide(direction)
    }

    /// The tuple of a node that is not wide.
    pub(super) const fn narrow_key(&self, direction: Direction) -> Key {
        let Ends { addresses, layer4 } = self.ends[direction as usize];
        Key { scope: self.scope(), layer4, addresses: Addresses::Narrow(addresses) }
    }
}
