//! TCP's windows: whether a segment can belong to the flow (`tcp_in_window` in `nf_conntrack_proto_tcp.c`, after Guido van
//! Rooij, "Real Stateful TCP Packet Filtering in IP Filter").
//!
//! Who stands in the middle sees what both sides send, and not what reaches them. For each direction it keeps the end of what
//! was sent, the furthest end that the other side's window has allowed, and the largest window that was offered. A segment fits if
//!
//! 1. it begins no later than the window allows,
//! 2. it ends no earlier than one window before the end of what was sent,
//! 3. it acknowledges nothing that was not sent,
//! 4. and nothing that lies further back than a window, 66,000 bytes at least.

use plimsoll_model::TcpState;

use super::states::Kind;
use super::{Last, Peer, Tcp};
use crate::Direction;
use crate::capabilities::{Capabilities, WindowExcess, WindowRestart};
use crate::packet::{Segment, TcpOptions, flags};

/// Whether a segment fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It does, and the windows have moved.
    Within,
    /// It does not, and passes all the same.
    Passed,
    /// It does not.
    Outside,
}

/// The least distance that an acknowledgement may lie behind (`MAXACKWINCONST`).
const LEAST_ACK_WINDOW: u32 = 66_000;

/// The largest scale there is (RFC 7323, section 2.3).
const MOST_SCALE: u8 = 14;

impl Peer {
    pub(super) const DATA_UNACKNOWLEDGED: u8 = 1 << 0;
    pub(super) const WINDOW_SCALE: u8 = 1 << 1;
    pub(super) const SACK_PERMITTED: u8 = 1 << 2;
    pub(super) const CLOSED_FIRST: u8 = 1 << 3;
    pub(super) const BE_LIBERAL: u8 = 1 << 4;
    pub(super) const MAX_ACK_SET: u8 = 1 << 5;

    pub(super) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Takes note of a SYN.
    pub(super) fn begin(&mut self, segment: &Segment) {
        self.end = segment.end();
        self.max_end = segment.end();
        self.max_window = u32::from(segment.window).max(1);
        if let Some(options) = segment.options {
            self.take(options);
        }
    }

    /// Takes what a SYN's options say in place of all that was known, but for being liberal (`tcp_options`).
    pub(super) fn take(&mut self, options: TcpOptions) {
        self.scale = options.window_scale.unwrap_or(0).min(MOST_SCALE);
        self.flags &= Self::BE_LIBERAL;
        self.flags |= if options.window_scale.is_some() { Self::WINDOW_SCALE } else { 0 };
        self.flags |= if options.sack_permitted { Self::SACK_PERMITTED } else { 0 };
    }

    /// A sender in the middle of a flow whose beginning was not seen. It may have scaled its window, so nothing is held
    /// against it, and SACK is taken to be permitted.
    pub(super) fn of_middle(segment: &Segment) -> Self {
        let max_window = u32::from(segment.window).max(1);
        Self { end: segment.end(), max_window, max_end: segment.end().wrapping_add(max_window), ..Self::UNKNOWN }
    }

    /// The other side of such a flow.
    pub(super) const UNKNOWN: Self = Self {
        end: 0,
        max_end: 0,
        max_window: 0,
        max_ack: 0,
        scale: 0,
        flags: Self::SACK_PERMITTED | Self::BE_LIBERAL,
    };
}

impl Tcp {
    /// Whether a segment fits; where it does, moves the windows along.
    pub(super) fn fit(
        &mut self,
        direction: Direction,
        kind: Kind,
        segment: &Segment,
        liberal: Liberal,
        capabilities: &Capabilities,
    ) -> Fit {
        if self.begin_sender(direction, segment, capabilities) == Begun::AndNothingElse {
            return Fit::Within;
        }
        let excess = capabilities.window_excess;
        let state = self.state;
        let (sender, receiver) = self.peers(direction);
        let (mut sequence, mut end) = (segment.sequence, segment.end());
        let acknowledged = segment.acknowledgement;
        let (mut ack, mut sack) = if receiver.has(Peer::SACK_PERMITTED) {
            (acknowledged, segment.highest_sack)
        } else {
            (acknowledged, acknowledged)
        };
        // Some stacks send an RST with the flag and no number.
        if !segment.has(flags::ACK) || (segment.has(flags::RST) && acknowledged == 0) {
            (ack, sack) = (receiver.end, receiver.end);
        }
        // An RST that answers a SYN (RFC 9293, section 3.10.7.1).
        if segment.has(flags::RST) && sequence == 0 && state == TcpState::SynSent {
            (sequence, end) = (sender.end, sender.end);
        }

        let refused = |sender: &Peer, fit: Fit| match liberal {
            _ if sender.has(Peer::BE_LIBERAL) => Fit::Within,
            Liberal::Yes => Fit::Within,
            Liberal::No if excess == WindowExcess::Invalid => Fit::Outside,
            Liberal::No => fit,
        };
        let ack_is_recent = is_after(sack, receiver.end.wrapping_sub(sender.ack_window()).wrapping_sub(1));
        let ends_in_window = is_after(end, sender.end.wrapping_sub(receiver.max_window).wrapping_sub(1));
        let acks_what_was_sent = is_before(sack, receiver.end.wrapping_add(1));
        if !is_before(sequence, sender.max_end.wrapping_add(1)) {
            let overshot = end.wrapping_sub(sender.max_end).wrapping_add(1);
            let is_slight = receiver.max_window != 0
                && ends_in_window
                && ack_is_recent
                && overshot <= receiver.max_window
                && acks_what_was_sent;
            if is_slight && excess == WindowExcess::Passed {
                // Its acknowledgement would be refused otherwise.
                sender.end = end;
                sender.flags |= Peer::DATA_UNACKNOWLEDGED;
                return refused(sender, Fit::Passed);
            }
            return refused(sender, Fit::Outside);
        }
        if !acks_what_was_sent {
            return refused(sender, Fit::Outside);
        }
        if (receiver.max_window != 0 && !ends_in_window) || !ack_is_recent {
            return refused(sender, Fit::Passed);
        }

        let window =
            if segment.has(flags::SYN) { segment.window.into() } else { u32::from(segment.window) << sender.scale };
        sender.max_window = sender.max_window.max(window.wrapping_add(sack.wrapping_sub(ack)));
        if is_after(end, sender.end) {
            sender.end = end;
            sender.flags |= Peer::DATA_UNACKNOWLEDGED;
        }
        if segment.has(flags::ACK) && (!sender.has(Peer::MAX_ACK_SET) || is_after(ack, sender.max_ack)) {
            sender.max_ack = ack;
            sender.flags |= Peer::MAX_ACK_SET;
        }
        if receiver.max_window != 0 && is_after(end, sender.max_end) {
            receiver.max_window = receiver.max_window.wrapping_add(end.wrapping_sub(sender.max_end));
        }
        if is_after(sack.wrapping_add(window), receiver.max_end.wrapping_sub(1)) {
            receiver.max_end = sack.wrapping_add(window).wrapping_add(u32::from(window == 0));
        }
        if ack == receiver.end {
            receiver.flags &= !Peer::DATA_UNACKNOWLEDGED;
        }
        if kind == Kind::Ack {
            self.count_retransmission(direction, segment, sequence, ack, end);
        }
        Fit::Within
    }

    /// Takes note of the first segment of a direction, and of a SYN that begins it anew.
    fn begin_sender(&mut self, direction: Direction, segment: &Segment, capabilities: &Capabilities) -> Begun {
        let may_restart = matches!(
            (capabilities.window_restart, self.state, direction),
            (WindowRestart::EitherState, TcpState::SynSent | TcpState::SynRecv, _)
                | (WindowRestart::OwnState, TcpState::SynSent, Direction::Original)
                | (WindowRestart::OwnState, TcpState::SynRecv, Direction::Reply)
        );
        let (sender, receiver) = self.peers(direction);
        let is_syn = segment.has(flags::SYN);
        let is_first = sender.max_window == 0;
        if is_syn && (is_first || (may_restart && is_after(segment.end(), sender.end))) {
            sender.begin(segment);
            // Both must send the option for either to scale (RFC 7323, section 2.2).
            let both_scale = sender.has(Peer::WINDOW_SCALE) && receiver.has(Peer::WINDOW_SCALE);
            if direction == Direction::Reply && !both_scale {
                (sender.scale, receiver.scale) = (0, 0);
            }
            // Both sides open at once.
            let is_simultaneous = !segment.has(flags::ACK) && (is_first || direction == Direction::Reply);
            return if is_simultaneous { Begun::AndNothingElse } else { Begun::OrNot };
        }
        if is_first {
            let sack = if receiver.has(Peer::SACK_PERMITTED) { segment.highest_sack } else { segment.acknowledgement };
            sender.end = segment.end();
            sender.max_window = (u32::from(segment.window) << sender.scale).max(1);
            sender.max_end = sender.end.wrapping_add(sender.max_window);
            if receiver.max_window == 0 {
                (receiver.end, receiver.max_end) = (sack, sack);
            } else if sack == receiver.end.wrapping_add(1) {
                // A keepalive was answered, whose byte was never sent.
                receiver.end = sack;
            }
        }
        Begun::OrNot
    }

    fn count_retransmission(&mut self, direction: Direction, segment: &Segment, sequence: u32, ack: u32, end: u32) {
        let last = Last {
            direction,
            kind: self.last.kind,
            sequence,
            ack,
            end,
            window: segment.window,
            scale: self.last.scale,
            flags: self.last.flags,
        };
        self.retransmissions = if last == self.last { self.retransmissions.wrapping_add(1) } else { 0 };
        self.last = last;
    }

    pub(super) const fn peers(&mut self, direction: Direction) -> (&mut Peer, &mut Peer) {
        let [client, server] = &mut self.seen;
        match direction {
            Direction::Original => (client, server),
            Direction::Reply => (server, client),
        }
    }
}

/// Whether anything is left to be looked at once a sender's window has begun.
#[derive(PartialEq, Eq)]
enum Begun {
    AndNothingElse,
    OrNot,
}

/// Whether what lies outside a window passes (`nf_conntrack_tcp_be_liberal`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Liberal {
    Yes,
    No,
}

impl Peer {
    const fn ack_window(&self) -> u32 {
        if self.max_window > LEAST_ACK_WINDOW { self.max_window } else { LEAST_ACK_WINDOW }
    }
}

/// Sequence numbers wrap (RFC 9293, section 3.4).
pub(super) const fn is_before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() < 0
}

pub(super) const fn is_after(a: u32, b: u32) -> bool {
    is_before(b, a)
}
