//! A slot: all that nearly every packet of an entry looks at and changes.

use super::key::Scope;
use super::wheel::Turn;
use crate::entry::Entry;
use crate::tick::Tick;
use crate::tracker::Memory;
use crate::tracker::tcp::Windows;

/// One slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) entry: Entry,
    /// The original tuple. The reply tuple mirrors it, or lies aside.
    pub(super) ends: Ends,
    pub(super) memory: Memory,
    pub(super) windows: Windows,
    pub(super) turn: Turn,
}

// Wherever one begins, it lies in two cache lines, and they are neighbours.
const _: () = assert!(size_of::<Line>() == 96 && align_of::<Line>() == 32);

/// A tuple, but for what both directions share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    /// IPv4: source and destination. IPv6: where the addresses lie, and the tuple's hash.
    pub(super) addresses: [u32; 2],
    pub(super) layer4: u32,
}

impl Ends {
    /// Whether both are the same. At once: in which direction a packet goes is not foreseen.
    #[inline]
    pub(super) const fn is(self, other: Self) -> bool {
        let [source, destination] = self.addresses;
        let differing =
            (source ^ other.addresses[0]) | (destination ^ other.addresses[1]) | (self.layer4 ^ other.layer4);
        differing == 0
    }

    /// Those of what answers.
    #[inline]
    pub(super) const fn mirrored(self) -> Self {
        let [source, destination] = self.addresses;
        Self { addresses: [destination, source], layer4: self.layer4.rotate_left(16) }
    }
}

impl Line {
    #[cfg(test)]
    pub(super) const fn free() -> Self {
        const NOTHING: Ends = Ends { addresses: [0; 2], layer4: 0 };
        Self { entry: Entry::FREE, ends: NOTHING, memory: Memory::Nothing, windows: Windows::NONE, turn: Turn::OUT }
    }

    #[inline]
    pub(super) const fn scope(&self) -> Scope {
        Scope { namespace: self.entry.namespace, zone: self.entry.zone, protocol: self.entry.protocol }
    }

    #[inline]
    pub(super) const fn icmp_type(&self) -> u8 {
        let [.., kind, _] = self.ends.layer4.to_be_bytes();
        kind
    }

    /// Sets when the entry expires, and says whether the wheel must be told: it tells too late of one that is in the table.
    #[inline]
    pub(super) const fn is_armed_by(&mut self, expires: Tick) -> bool {
        self.entry.expires = expires;
        self.entry.phase().is_in_table() && !self.turn.is_by(expires)
    }
}
