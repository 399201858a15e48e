//! What tracking makes of a packet.

use crate::key::EntryBit;

/// What tracking makes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tracking {
    /// It belongs to an entry.
    Entry {
        /// As `ct state` says it.
        state: EntryState,
        /// The direction in its flow.
        direction: Direction,
        /// Whether the flow's addresses are translated.
        translated: Translated,
    },
    /// It belongs to none, and makes none.
    Invalid,
    /// It is not tracked: a rule at [`plimsoll_model::Bypass::PRIORITY`] says so, before any other program's at raw.
    Untracked,
}

/// `NF_IP_PRI_CONNTRACK`.
pub(crate) const TRACKED_FROM: i32 = -200;

/// A state of a packet with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryState {
    /// It begins the flow.
    New,
    /// It is another packet of it.
    Established,
    /// It is an error about a flow, or a flow that a helper expects.
    Related,
}

/// A direction in a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// As its first packet.
    Original,
    /// As its answers.
    Reply,
}

/// Whether a flow's addresses are translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Translated {
    /// They are not, yet.
    No,
    /// They may be.
    Perhaps,
}

impl Tracking {
    /// The first packet of a flow.
    pub const NEW: Self =
        Self::Entry { state: EntryState::New, direction: Direction::Original, translated: Translated::No };

    /// A further packet of a flow.
    pub const fn established(direction: Direction, translated: Translated) -> Self {
        Self::Entry { state: EntryState::Established, direction, translated }
    }

    /// An error about a flow.
    pub const fn related(direction: Direction, translated: Translated) -> Self {
        Self::Entry { state: EntryState::Related, direction, translated }
    }
}

/// What a rule sees of it at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// No entry: tracking has not seen the packet yet, or could make nothing of it.
    Absent,
    Untracked,
    Entry(EntryState, Direction),
}

impl View {
    /// What `ct state` is (`nft_ct_get_eval` in `nft_ct.c`, `conntrack_mt` in `xt_conntrack.c`).
    pub(crate) const fn bit(self) -> EntryBit {
        match self {
            Self::Absent => EntryBit::Invalid,
            Self::Untracked => EntryBit::Untracked,
            Self::Entry(EntryState::New, _) => EntryBit::New,
            Self::Entry(EntryState::Established, _) => EntryBit::Established,
            Self::Entry(EntryState::Related, _) => EntryBit::Related,
        }
    }
}
