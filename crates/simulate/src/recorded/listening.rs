//! Recorded packets, as they are read.

use std::time::Duration;

use plimsoll_twin::Capabilities;
use plimsoll_twin::packet::{Content, Packet};
use plimsoll_twin::parse::{self, Checksums};

use crate::workload::Datagrams;

/// Reads packets as they are asked for, some turns before they come.
pub(super) struct Listening<'d> {
    datagrams: &'d mut dyn Datagrams,
    capabilities: Capabilities,
    /// When the first came.
    begin: Option<Duration>,
    now: Duration,
    next: Next,
}

/// What comes next.
enum Next {
    /// What is read next.
    Unread,
    /// A datagram of which more has to be kept than a packet holds: those before it are to come first.
    Whole(Vec<u8>),
    Nothing,
}

impl<'d> Listening<'d> {
    pub(super) const fn new(datagrams: &'d mut dyn Datagrams, capabilities: Capabilities) -> Self {
        Self { datagrams, capabilities, begin: None, now: Duration::ZERO, next: Next::Unread }
    }

    /// When what was read last comes: time begins with the first.
    pub(super) const fn now(&self) -> Duration {
        self.now
    }

    /// The next packet, and when it comes, if it can be foreseen.
    #[inline]
    pub(super) fn next(&mut self) -> Option<(Duration, Packet<'static>)> {
        let Next::Unread = self.next else { return None };
        let Some(datagram) = self.datagrams.next_datagram() else {
            self.next = Next::Nothing;
            return None;
        };
        let begin = *self.begin.get_or_insert(datagram.at);
        self.now = self.now.max(datagram.at.saturating_sub(begin));
        let packet = kept(parse::packet(datagram.bytes, Checksums::Ignored, &self.capabilities));
        if packet.is_none() {
            self.next = Next::Whole(datagram.bytes.to_vec());
        }
        packet.map(|packet| (self.now, packet))
    }

    /// The datagram that could not be foreseen, once all before it have come. It comes now.
    pub(super) fn take_whole(&mut self) -> Option<Vec<u8>> {
        match std::mem::replace(&mut self.next, Next::Unread) {
            Next::Whole(bytes) => Some(bytes),
            other => {
                self.next = other;
                None
            }
        }
    }
}

/// A packet without the bytes that it was read from; `None` where it does not go without them.
#[inline]
const fn kept(packet: Packet<'_>) -> Option<Packet<'static>> {
    Some(match packet {
        Packet::Flow { tuple, content } => {
            let content = match content {
                Content::Tcp(segment) => Content::Tcp(segment),
                Content::Plain => Content::Plain,
                Content::Malformed => Content::Malformed,
                Content::Sctp(_) => return None,
            };
            Packet::Flow { tuple, content }
        }
        Packet::IcmpError(error) => Packet::IcmpError(error),
        Packet::Unwatched => Packet::Unwatched,
        Packet::Unreadable => Packet::Unreadable,
    })
}
