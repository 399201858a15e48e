//! Packets that were read, on their way from the thread that reads them to the one that plays them.

use std::ops::Range;
use std::time::Duration;

use plimsoll_twin::Asked;
use plimsoll_twin::packet::{Chunks, Content, Packet};

use super::key::Which;

/// So many packets are handed over at once.
pub(super) const PACKETS: usize = 1 << 10;

/// Packets in their order.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) heard: Vec<Heard>,
    /// What has to be kept of some beside that.
    bytes: Vec<u8>,
}

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
    /// Chunks of SCTP, in the batch's bytes.
    Chunks {
        tag: u32,
        bytes: Range<usize>,
    },
}

impl Heard {
    /// What it asks for, if it has a tuple.
    #[inline]
    pub(super) const fn asked_mut(&mut self) -> Option<&mut Asked> {
        match &mut self.packet {
            Kind::Asks { asked, .. } => Some(asked),
            Kind::Stray(_) => None,
        }
    }
}

impl Batch {
    pub(super) fn new() -> Self {
        Self { heard: Vec::with_capacity(PACKETS), bytes: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        self.heard.clear();
        self.bytes.clear();
    }

    /// Keeps what a packet carries. Of most that is in the packet.
    #[inline]
    pub(super) fn keep(&mut self, content: &Content<'_>) -> Kept {
        Kept::Content(match *content {
            Content::Tcp(segment) => Content::Tcp(segment),
            Content::Plain => Content::Plain,
            Content::Malformed => Content::Malformed,
            Content::Sctp(chunks) => return self.keep_chunks(chunks),
        })
    }

    #[cold]
    fn keep_chunks(&mut self, Chunks { tag, bytes }: Chunks<'_>) -> Kept {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Kept::Chunks { tag, bytes: begin..self.bytes.len() }
    }

    /// What a packet carries.
    #[inline]
    pub(super) fn content(&self, kept: &Kept) -> Content<'_> {
        match kept {
            Kept::Content(content) => *content,
            Kept::Chunks { tag, bytes } => {
                Content::Sctp(Chunks { tag: *tag, bytes: self.bytes.get(bytes.clone()).unwrap_or_default() })
            }
        }
    }
}
