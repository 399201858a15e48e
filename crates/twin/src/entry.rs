//! An entry, as the engine keeps it.

use plimsoll_model::Status;

use crate::expectation::HelperId;
use crate::tick::Tick;
use crate::tracker::{Kind, Memory};
use crate::{NamespaceId, PolicyId};

/// The reply tuple alone is in the table, for a second: another entry has the original one (`IPS_NAT_CLASH`).
pub(crate) const NAT_CLASH: Status = Status(1 << 12);

/// An entry's name. It stays the entry's own after the entry is gone: no later one is taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// What is kept of an entry beside its two tuples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) expires: Tick,
    pub(crate) status: Status,
    pub(crate) generation: u32,
    pub(crate) namespace: NamespaceId,
    pub(crate) zone: plimsoll_model::Zone,
    pub(crate) kind: Kind,
    pub(crate) phase: Phase,
    pub(crate) policy: Option<PolicyId>,
    pub(crate) helper: Option<HelperId>,
    /// The entry whose expectation made this one.
    pub(crate) master: Option<u32>,
    /// Entries that this one's expectations have made: while there are any, it is counted though it is gone.
    pub(crate) children: u32,
    pub(crate) extension_bytes: u16,
    pub(crate) memory: Memory,
}

/// How far an entry has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
