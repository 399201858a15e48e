//! An entry, as the engine keeps it.

use plimsoll_model::{Protocol, Status, Zone};

use crate::expectation::HelperId;
use crate::memory::Extensions;
use crate::tick::Tick;
use crate::{Direction, NamespaceId, Place, PolicyId};

/// The reply tuple alone is in the table, for a second: another entry has the original one (`IPS_NAT_CLASH`).
pub(crate) const NAT_CLASH: Status = Status(1 << 12);

/// An entry's name. It stays the entry's own after the entry is gone: no later one is taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// What is kept of an entry beside its two tuples and its tracker's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Written by the table alone, which has others wait for it.
    pub(crate) expires: Tick,
    pub(crate) generation: u32,
    /// The kernel's sixteen bits.
    status: u16,
    pub(crate) namespace: NamespaceId,
    pub(crate) zone: Zone,
    pub(crate) protocol: Protocol,
    standing: Standing,
}

// With its tuple and its tracker's memory it is half of a slot's line.
const _: () = assert!(size_of::<Entry>() == 16);

/// What rules and settings add to few entries.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Additions {
    pub(crate) policy: Option<PolicyId>,
    pub(crate) helper: Option<HelperId>,
    pub(crate) extensions: Extensions,
}

impl Entry {
    pub(crate) const FREE: Self = Self {
        expires: Tick::from_span(0),
        generation: 0,
        status: 0,
        namespace: NamespaceId(0),
        zone: Zone(0),
        protocol: Protocol(0),
        standing: Standing(Phase::Free as u8),
    };

    /// One whose first packet is on its way.
    pub(crate) const fn begun(namespace: NamespaceId, zone: Zone, protocol: Protocol) -> Self {
        Self { namespace, zone, protocol, standing: Standing(Phase::Unconfirmed as u8), ..Self::FREE }
    }

    /// Where it is.
    pub(crate) const fn place(&self) -> Place {
        Place { namespace: self.namespace, zone: self.zone }
    }

    pub(crate) const fn status(&self) -> Status {
        Status(self.status as u32)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the kernel has no more than sixteen")]
    pub(crate) const fn set_status(&mut self, status: Status) {
        self.status = status.0 as u16;
    }

    pub(crate) const fn add_status(&mut self, bits: Status) {
        self.set_status(self.status().and(bits));
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.standing.phase()
    }

    /// Whether its tuple of this direction lies in the hash.
    pub(crate) const fn is_linked(&self, direction: Direction) -> bool {
        match self.phase() {
            Phase::InTable => true,
            Phase::InTableByReply => matches!(direction, Direction::Reply),
            Phase::Free | Phase::Unconfirmed | Phase::Pinned => false,
        }
    }

    pub(crate) const fn set_phase(&mut self, phase: Phase) {
        self.standing = Standing(self.standing.0 & !Standing::PHASE | phase as u8);
    }

    /// Whether both of its tuples lie in the hash, and the original one is all there is, and narrow.
    pub(crate) const fn is_plainly_in_table(&self) -> bool {
        self.standing.0 & (Standing::PHASE | Standing::WIDE | Standing::REPLY) == Phase::InTable as u8
    }

    /// Whether rules may have given it a policy or a helper.
    pub(crate) const fn is_ruled(&self) -> bool {
        self.standing.0 & Standing::RULED != 0
    }

    pub(crate) const fn set_ruled(&mut self) {
        self.standing.0 |= Standing::RULED;
    }

    /// How its original tuple is kept.
    pub(crate) const fn original(&self) -> Kept {
        if self.standing.0 & Standing::WIDE != 0 { Kept::Wide } else { Kept::Narrow }
    }

    pub(crate) const fn set_original(&mut self, kept: Kept) {
        let wide = match kept {
            Kept::Narrow => 0,
            Kept::Wide => Standing::WIDE,
        };
        self.standing.0 = self.standing.0 & !Standing::WIDE | wide;
    }

    /// How its reply tuple is kept; `None` where it mirrors the original one.
    pub(crate) const fn own_reply(&self) -> Option<Kept> {
        match self.standing.0 & Standing::REPLY {
            0 => None,
            Standing::NARROW_REPLY => Some(Kept::Narrow),
            _ => Some(Kept::Wide),
        }
    }

    pub(crate) const fn set_own_reply(&mut self, kept: Option<Kept>) {
        let reply = match kept {
            None => 0,
            Some(Kept::Narrow) => Standing::NARROW_REPLY,
            Some(Kept::Wide) => Standing::REPLY,
        };
        self.standing.0 = self.standing.0 & !Standing::REPLY | reply;
    }
}

/// How far an entry has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Nobody's.
    Free,
    /// Its first packet is on its way: counted, and not in the hash.
    Unconfirmed,
    /// In the hash, by both tuples.
    InTable,
    /// In the hash, by its reply tuple alone.
    InTableByReply,
    /// Out of the hash, and still counted for the sake of its children.
    Pinned,
}

impl Phase {
    pub(crate) const fn is_in_table(self) -> bool {
        matches!(self, Self::InTable | Self::InTableByReply)
    }
}

/// How a tuple is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// All of it.
    Narrow,
    /// Its addresses are IPv6's and lie elsewhere.
    Wide,
}

/// A phase in three bits, how the tuples are kept in three more, and whether rules had a hand in it: there is no byte for each.
#[derive(Clone, Copy, Debug)]
struct Standing(u8);

impl Standing {
    const PHASE: u8 = 7;
    const WIDE: u8 = 1 << 3;
    const REPLY: u8 = 3 << 4;
    const NARROW_REPLY: u8 = 1 << 4;
    const RULED: u8 = 1 << 6;

    const fn phase(self) -> Phase {
        match self.0 & Self::PHASE {
            0 => Phase::Free,
            1 => Phase::Unconfirmed,
            2 => Phase::InTable,
            3 => Phase::InTableByReply,
            _ => Phase::Pinned,
        }
    }
}
