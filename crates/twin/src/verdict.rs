//! What becomes of a packet.

use crate::EntryId;

/// What tracking makes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes, as part of a flow.
    Passed {
        /// The flow's entry. It may be gone by now: an RST can end a flow.
        entry: EntryId,
        /// What it is to the flow.
        relation: Relation,
        /// Which way it goes.
        direction: Direction,
    },
    /// It passes without a flow, `ct state invalid`: most rulesets drop it.
    Invalid,
    /// It passes and was never to be tracked, `ct state untracked`.
    Untracked,
    /// It is dropped.
    Dropped(DropReason),
}

/// What a packet is to its flow: `ct state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Nobody has answered yet.
    New,
    /// There were packets both ways, or this one is an answer.
    Established,
    /// It opens an expected flow, or is an ICMP error about the flow.
    Related,
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// As the one that opened the flow.
    Original,
    /// As the answers to it.
    Reply,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Original => Self::Reply,
            Self::Reply => Self::Original,
        }
    }
}

/// Why a packet is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The table is full, and nothing near its bucket could be killed.
    TableFull,
    /// A chain of the hash is too long.
    ChainTooLong,
    /// Another entry has one of its tuples, and they cannot be merged.
    Clash,
    /// It is an ICMP error about a translated flow, and what it quotes cannot be rewritten
    /// (`nf_nat_icmp_reply_translation`).
    Untranslatable,
    /// The ruleset dropped it.
    Ruleset,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::TableFull, Self::ChainTooLong, Self::Clash, Self::Untranslatable, Self::Ruleset];
}

// Counts are kept by a reason's place among all.
const _: () = assert!(DropReason::ALL.len() == DropReason::Ruleset as usize + 1);
