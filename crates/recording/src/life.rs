//! The life of a flow.

use plimsoll_model::{Status, Tuple, Zone};

use crate::state::{State, named};
use crate::time::UnixMicros;

/// Names an entry within a recording: its life and its gaps have the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey(pub u64);

/// A flow from its first packet to the end of its entry, as far as it was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    /// Names it.
    pub key: FlowKey,
    /// From the side that opened it.
    pub original: Tuple,
    /// The direction that answers, as it is on the other side of a translation.
    pub reply: Tuple,
    /// Its zone.
    pub zone: Zone,
    /// When it began.
    pub began: Began,
    /// Its states, in the order in which it came to them; the first is the one in which it was first seen.
    pub steps: Vec<Step>,
    /// When its end was seen, or when it was seen last.
    pub ended_at: UnixMicros,
    /// How it ended.
    pub end: End,
    /// The last status bits that were seen.
    pub status: Status,
    /// What it carried; `None` where the kernel does not count (`nf_conntrack_acct`).
    pub volume: Option<Volume>,
    /// How many flows it stands for: more than 1 where only some were recorded.
    pub weight: f64,
    /// Whether nothing of it was missed.
    pub sight: Sight,
}

/// When a flow began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Began {
    /// Its first packet was seen.
    At(UnixMicros),
    /// It was there when it was first seen.
    Before(UnixMicros),
}

impl Began {
    /// When it was first seen.
    pub const fn first_seen(self) -> UnixMicros {
        match self {
            Self::At(at) | Self::Before(at) => at,
        }
    }
}

/// A state that a flow came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it was seen to.
    pub at: UnixMicros,
    /// Which.
    pub state: State,
}

named! {
    /// How a flow's entry ended.
    End {
        /// Its timeout passed without a packet.
        Expired = "expired",
        /// The kernel killed it to make room: `early_drop`, or gc under pressure.
        Evicted = "evicted",
        /// A reset ended it.
        Reset = "reset",
        /// A new connection took its tuple.
        Reopened = "reopened",
        /// Somebody deleted it over ctnetlink.
        Deleted = "deleted",
        /// It is gone, and it was not seen how.
        Unseen = "unseen",
        /// It had not ended when it was last seen: the recording ended, or it was no longer followed.
        Open = "open",
    }
}

named! {
    /// Whether all of a life was seen.
    Sight {
        /// No event of it can have been missed.
        Whole = "whole",
        /// Events were lost while it lived: states may be missing.
        Broken = "broken",
        /// It was looked at now and then: states between two looks are missing.
        Looks = "looks",
    }
}

named! {
    /// What is translated of a flow.
    Translation {
        /// Nothing.
        None = "none",
        /// Its source.
        Source = "source",
        /// Its destination.
        Destination = "destination",
        /// Both.
        Both = "both",
    }
}

impl Translation {
    /// By the status bits of an entry.
    pub const fn of(status: Status) -> Self {
        match (status.has(Status::SRC_NAT), status.has(Status::DST_NAT)) {
            (false, false) => Self::None,
            (true, false) => Self::Source,
            (false, true) => Self::Destination,
            (true, true) => Self::Both,
        }
    }
}

/// What a flow carried in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// From the side that opened it.
    pub original: Counts,
    /// From the other.
    pub reply: Counts,
}

/// What went one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets.
    pub packets: u64,
    /// Bytes of the IP packets, headers included (`nf_ct_acct_update` counts `skb->len`).
    pub bytes: u64,
}
