//! Packets that were read, on their way from the thread that reads them to the one that plays them.

use std::time::Duration;

use plimsoll_twin::Asked;
use plimsoll_twin::packet::{Chunks, Content, Packet};

use super::key::Which;

/// A packet, and when it comes.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) at: Duration,
    pub(super) packet: Kind,
}

/// A packet, as far as is needed.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// It has a tuple.
    Asks {
        asked: Asked,
        content: Kept,
        /// `None` where that cannot be relied on: its header is broken, or it is ICMP that neither asks nor answers.
        flow: Option<OfFlow>,
    },
    /// It has no tuple.
    Stray(Packet<'static>),
}

/// To which flow a packet belongs, by its number, and which of the flow's tuples it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfFlow {
    pub(super) number: u32,
    pub(super) which: Which,
}

/// What a packet carries.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    Content(Content<'static>),
    /// Chunks of SCTP.
    Chunks {
        tag: u32,
        bytes: Box<[u8]>,
    },
}

impl Kept {
    #[inline]
    pub(super) fn of(content: &Content<'_>) -> Self {
        Self::Content(match *content {
            Content::Tcp(segment) => Content::Tcp(segment),
            Content::Plain => Content::Plain,
            Content::Malformed => Content::Malformed,
            Content::Sctp(Chunks { tag, bytes }) => return Self::Chunks { tag, bytes: bytes.into() },
        })
    }

    /// How many are kept beside the packet.
    pub(super) const fn bytes(&self) -> usize {
        match self {
            Self::Content(_) => 0,
            Self::Chunks { bytes, .. } => bytes.len(),
        }
    }

    #[inline]
    pub(super) const fn content(&self) -> Content<'_> {
        match self {
            Self::Content(content) => *content,
            Self::Chunks { tag, bytes } => Content::Sctp(Chunks { tag: *tag, bytes }),
        }
    }
}
