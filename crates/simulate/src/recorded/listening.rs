//! Recorded packets, as they are read.

use std::time::Duration;

use plimsoll_model::Tuple;
use plimsoll_twin::packet::{Content, Packet};
use plimsoll_twin::parse::{self, Checksums};
use plimsoll_twin::{Capabilities, Coming, Outlook, Place, Twin};

use super::flow::Flow;
use super::flows::{Flows, Sought};
use super::key::Which;
use crate::workload::Datagrams;

/// Reads packets as they are asked for, some turns before they come.
pub(super) struct Listening<'d> {
    datagrams: &'d mut dyn Datagrams,
    capabilities: Capabilities,
    /// Where they come.
    place: Place,
    /// When the first came.
    begin: Option<Duration>,
    now: Duration,
    next: Next,
    /// Those that were read last. Each stays where it was written until its turn is over.
    heard: [Heard<'static>; Outlook::TURNS],
    /// How many were heard.
    count: usize,
}

/// What comes next.
enum Next {
    /// What is read next.
    Unread,
    /// A datagram of which more has to be kept than a packet holds: those before it are to come first.
    Whole(Vec<u8>),
    Nothing,
}

/// Which packet, of those that were heard last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn(usize);

/// A packet, and when it comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard<'a> {
    pub(super) at: Duration,
    pub(super) packet: Kind<'a>,
}

/// A packet, as far as is needed beside its tuple.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind<'a> {
    /// A flow's, with this one of its tuples.
    Flows { content: Content<'a>, flow: Sought, which: Which },
    /// Whose flow's it is cannot be relied on: its header is broken, or it is ICMP that neither asks nor answers.
    Somebodys { content: Content<'a> },
    /// It has no tuple.
    Stray(Packet<'a>),
}

impl<'d> Listening<'d> {
    pub(super) const fn new(datagrams: &'d mut dyn Datagrams, capabilities: Capabilities, place: Place) -> Self {
        let nothing = Heard { at: Duration::ZERO, packet: Kind::Stray(Packet::Unreadable) };
        Self {
            datagrams,
            capabilities,
            place,
            begin: None,
            now: Duration::ZERO,
            next: Next::Unread,
            heard: [nothing; Outlook::TURNS],
            count: 0,
        }
    }

    /// When what was read last comes: time begins with the first.
    pub(super) const fn now(&self) -> Duration {
        self.now
    }

    /// A packet whose turn is not over.
    #[inline]
    pub(super) const fn heard(&self, turn: Turn) -> &Heard<'static> {
        &self.heard[turn.0 % Outlook::TURNS]
    }

    /// The next packet, if it can be foreseen; and begins to look for its flow. By itself: what it returns is written once.
    #[inline(never)]
    pub(super) fn next(&mut self, flows: &Flows<Flow>, twin: &Twin) -> Option<Coming<Turn>> {
        let Next::Unread = self.next else { return None };
        let Some(datagram) = self.datagrams.next_datagram() else {
            self.next = Next::Nothing;
            return None;
        };
        let begin = *self.begin.get_or_insert(datagram.at);
        if let Some(since) = datagram.at.checked_sub(begin)
            && since > self.now
        {
            self.now = since;
        }
        let turn = Turn(self.count);
        let heard = &mut self.heard[turn.0 % Outlook::TURNS];
        if let Some((tuple, segment)) = parse::segment(datagram.bytes, Checksums::Ignored) {
            *heard = Heard::of_flow(self.now, &tuple, Content::Tcp(segment), flows);
            self.count += 1;
            return Some(Coming { packet: turn, asked: Some(twin.ask(self.place, &tuple)) });
        }
        let Some(packet) = foreseen(datagram.bytes, &self.capabilities) else {
            self.next = Next::Whole(datagram.bytes.to_vec());
            return None;
        };
        let tuple;
        (*heard, tuple) = Heard::of(self.now, packet, flows);
        self.count += 1;
        Some(Coming { packet: turn, asked: tuple.map(|tuple| twin.ask(self.place, &tuple)) })
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

impl<'a> Heard<'a> {
    /// A packet that comes at this time, and its tuple, if it has one. By itself, so that beside it there is room for what comes most
    /// often.
    #[inline(never)]
    pub(super) fn of(at: Duration, packet: Packet<'a>, flows: &Flows<Flow>) -> (Self, Option<Tuple>) {
        match packet {
            Packet::Flow { tuple, content } => (Self::of_flow(at, &tuple, content, flows), Some(tuple)),
            stray => (Self { at, packet: Kind::Stray(stray) }, None),
        }
    }

    #[inline]
    fn of_flow(at: Duration, tuple: &Tuple, content: Content<'a>, flows: &Flows<Flow>) -> Self {
        let flow = if content == Content::Malformed { None } else { flows.ask(tuple) };
        let packet = match flow {
            Some((flow, which)) => Kind::Flows { content, flow, which },
            None => Kind::Somebodys { content },
        };
        Self { at, packet }
    }
}

/// A packet without the bytes that it is read from; `None` where it does not go without them.
#[inline(never)]
fn foreseen(bytes: &[u8], capabilities: &Capabilities) -> Option<Packet<'static>> {
    Some(match parse::packet(bytes, Checksums::Ignored, capabilities) {
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
