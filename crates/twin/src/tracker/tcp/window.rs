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
use super::{Context, Flow, Last, Peer, Traits, Window};
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

impl Traits {
    pub(super) const DATA_UNACKNOWLEDGED: u8 = 1 << 0;
    pub(super) const WINDOW_SCALE: u8 = 1 << 1;
    pub(super) const SACK_PERMITTED: u8 = 1 << 2;
    pub(super) const CLOSED_FIRST: u8 = 1 << 3;
    pub(super) const BE_LIBERAL: u8 = 1 << 4;
    pub(super) const MAX_ACK_SET: u8 = 1 << 5;

    /// Of a side whose SYN was not seen: it may have scaled its window, so nothing is held against it, and SACK is taken to be
    /// permitted.
    pub(super) const UNKNOWN: Self = Self { scale: 0, flags: Self::SACK_PERMITTED | Self::BE_LIBERAL };

    pub(super) const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Takes what a SYN's options say in place of all that was known, but for being liberal (`tcp_options`).
    pub(super) fn take(&mut self, options: TcpOptions) {
        self.scale = options.window_scale.unwrap_or(0).min(MOST_SCALE);
        self.flags &= Self::BE_LIBERAL;
        self.flags |= if options.window_scale.is_some() { Self::WINDOW_SCALE } else { 0 };
        self.flags |= if options.sack_permitted { Self::SACK_PERMITTED } else { 0 };
    }
}

impl Peer {
    pub(super) const NEW: Self = Self { window: Window::NONE, traits: Traits { scale: 0, flags: 0 } };
    pub(super) const UNKNOWN: Self = Self { window: Window::NONE, traits: Traits::UNKNOWN };

    /// Takes note of a SYN.
    pub(super) fn begin(&mut self, segment: &Segment) {
        self.window.end = segment.end();
        self.window.max_end = segment.end();
        self.window.max = u32::from(segment.window).max(1);
        if let Some(options) = segment.options {
            self.traits.take(options);
        }
    }

    /// The sender of the SYN that opens a flow.
    pub(super) fn of_opener(segment: &Segment) -> Self {
        let mut opener = Self::NEW;
        opener.begin(segment);
        opener
    }

    /// A sender in the middle of a flow whose beginning was not seen.
    pub(super) fn of_middle(segment: &Segment) -> Self {
        let (end, max) = (segment.end(), u32::from(segment.window).max(1));
        let window = Window { end, max_end: end.wrapping_add(max), max, max_ack: 0 };
        Self { window, ..Self::UNKNOWN }
    }

    pub(super) const fn has(&self, flag: u8) -> bool {
        self.traits.has(flag)
    }
}

/// What is looked at of a segment.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    sequence: u32,
    end: u32,
    ack: u32,
    sack: u32,
    /// Scaled.
    window: u32,
}

/// By how much a segment keeps the four criteria: each holds if its number is not below 0.
#[derive(Clone, Copy)]
struct Margins {
    /// Its begin lies so far before the end of the window.
    begin: i32,
    /// Its end lies so far behind the lower edge.
    end: i32,
    /// What it acknowledges lies so far before the end of what was sent…
    ack: i32,
    /// …and so far behind the lower edge.
    recent: i32,
}

impl Margins {
    #[inline]
    const fn of(numbers: Numbers, sender: &Window, receiver: &Window) -> Self {
        let Numbers { sequence, end, sack, .. } = numbers;
        let lower_edge = sender.end.wrapping_sub(receiver.max);
        Self {
            begin: ahead(sender.max_end, sequence),
            // Of a window that is not known yet.
            end: if receiver.max == 0 { 0 } else { ahead(end, lower_edge) },
            ack: ahead(receiver.end, sack),
            recent: ahead(sack, receiver.end.wrapping_sub(sender.ack_window())),
        }
    }

    /// At once: that all hold is foreseen, and which one does not is not.
    #[inline]
    const fn hold(self) -> bool {
        (self.begin | self.end | self.ack | self.recent) >= 0
    }
}

impl Flow<'_> {
    /// Whether a segment fits; where it does, moves the windows along.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "where the segment is known, most of it falls away")]
    pub(super) fn fit(&mut self, kind: Kind, segment: &Segment, context: Context<'_>) -> Fit {
        let direction = context.direction;
        let has_begun = self.windows.0[direction as usize].max != 0;
        if (!has_begun || segment.has(flags::SYN))
            && self.begin_sender(direction, segment, context.capabilities) == Begun::AndNothingElse
        {
            return Fit::Within;
        }
        let numbers = self.numbers(direction, segment);
        let (sender, receiver) = sides(&mut self.windows.0, direction);
        let margins = Margins::of(numbers, sender, receiver);
        if !margins.hold() {
            return self.outside(numbers, margins, context);
        }
        let (own, others) = sides(&mut self.tcp.traits, direction);
        let Numbers { sequence, end, ack, sack, window } = numbers;
        sender.max = sender.max.max(window.wrapping_add(sack.wrapping_sub(ack)));
        if is_after(end, sender.end) {
            sender.end = end;
            own.flags |= Traits::DATA_UNACKNOWLEDGED;
        }
        if segment.has(flags::ACK) && (!own.has(Traits::MAX_ACK_SET) || is_after(ack, sender.max_ack)) {
            sender.max_ack = ack;
            own.flags |= Traits::MAX_ACK_SET;
        }
        if receiver.max != 0 && is_after(end, sender.max_end) {
            receiver.max = receiver.max.wrapping_add(end.wrapping_sub(sender.max_end));
        }
        if is_after(sack.wrapping_add(window), receiver.max_end.wrapping_sub(1)) {
            receiver.max_end = sack.wrapping_add(window).wrapping_add(u32::from(window == 0));
        }
        // Without a branch: whether all is acknowledged is as often foreseen wrongly.
        let acknowledges_all = ack == receiver.end;
        others.flags &= !(Traits::DATA_UNACKNOWLEDGED * u8::from(acknowledges_all));
        if kind == Kind::Ack {
            self.count_retransmission(direction, segment.window, sequence, ack, end);
        }
        Fit::Within
    }

    /// What is looked at of a segment.
    #[inline]
    fn numbers(&self, direction: Direction, segment: &Segment) -> Numbers {
        const UNUSUAL: u8 = flags::SYN | flags::RST;
        let receiver = self.tcp.traits[direction.other() as usize];
        let ack = segment.acknowledgement;
        let numbers = Numbers {
            sequence: segment.sequence,
            end: segment.end(),
            ack,
            sack: if receiver.has(Traits::SACK_PERMITTED) { segment.highest_sack } else { ack },
            window: u32::from(segment.window) << self.tcp.traits[direction as usize].scale,
        };
        if segment.flags & (UNUSUAL | flags::ACK) == flags::ACK {
            return numbers;
        }
        self.unusual(direction, segment, numbers)
    }

    /// What is looked at of a SYN, an RST, and a segment that acknowledges nothing.
    #[cold]
    fn unusual(&self, direction: Direction, segment: &Segment, usual: Numbers) -> Numbers {
        let [sender, receiver] = [direction, direction.other()].map(|side| self.windows.0[side as usize]);
        let mut numbers = usual;
        // Some stacks send an RST with the flag and no number.
        if !segment.has(flags::ACK) || (segment.has(flags::RST) && segment.acknowledgement == 0) {
            (numbers.ack, numbers.sack) = (receiver.end, receiver.end);
        }
        // An RST that answers a SYN (RFC 9293, section 3.10.7.1).
        if segment.has(flags::RST) && segment.sequence == 0 && self.tcp.state == TcpState::SynSent {
            (numbers.sequence, numbers.end) = (sender.end, sender.end);
        }
        if segment.has(flags::SYN) {
            numbers.window = segment.window.into();
        }
        numbers
    }

    /// What becomes of a segment for which not all criteria hold.
    #[cold]
    fn outside(&mut self, numbers: Numbers, margins: Margins, context: Context<'_>) -> Fit {
        let excess = context.capabilities.window_excess;
        let (sender, receiver) = sides(&mut self.windows.0, context.direction);
        let (own, _) = sides(&mut self.tcp.traits, context.direction);
        let acks_what_was_sent = margins.ack >= 0;
        let fit = if margins.begin >= 0 {
            if acks_what_was_sent { Fit::Passed } else { Fit::Outside }
        } else {
            let overshot = numbers.end.wrapping_sub(sender.max_end).wrapping_add(1);
            let is_slight = receiver.max != 0
                && margins.end >= 0
                && margins.recent >= 0
                && overshot <= receiver.max
                && acks_what_was_sent;
            if is_slight && excess == WindowExcess::Passed {
                // Its acknowledgement would be refused otherwise.
                sender.end = numbers.end;
                own.flags |= Traits::DATA_UNACKNOWLEDGED;
                Fit::Passed
            } else {
                Fit::Outside
            }
        };
        if own.has(Traits::BE_LIBERAL) || context.settings.tcp_be_liberal {
            Fit::Within
        } else if excess == WindowExcess::Invalid {
            Fit::Outside
        } else {
            fit
        }
    }

    /// Takes note of the first segment of a direction, and of a SYN that begins it anew.
    #[cold]
    fn begin_sender(&mut self, direction: Direction, segment: &Segment, capabilities: &Capabilities) -> Begun {
        let may_restart = matches!(
            (capabilities.window_restart, self.tcp.state, direction),
            (WindowRestart::EitherState, TcpState::SynSent | TcpState::SynRecv, _)
                | (WindowRestart::OwnState, TcpState::SynSent, Direction::Original)
                | (WindowRestart::OwnState, TcpState::SynRecv, Direction::Reply)
        );
        let (mut sender, mut receiver) = (self.peer(direction), self.peer(direction.other()));
        let is_syn = segment.has(flags::SYN);
        let is_first = sender.window.max == 0;
        if is_syn && (is_first || (may_restart && is_after(segment.end(), sender.window.end))) {
            sender.begin(segment);
            // Both must send the option for either to scale (RFC 7323, section 2.2).
            let both_scale = sender.has(Traits::WINDOW_SCALE) && receiver.has(Traits::WINDOW_SCALE);
            if direction == Direction::Reply && !both_scale {
                (sender.traits.scale, receiver.traits.scale) = (0, 0);
            }
            self.set_peer(direction, sender);
            self.set_peer(direction.other(), receiver);
            // Both sides open at once.
            let is_simultaneous = !segment.has(flags::ACK) && (is_first || direction == Direction::Reply);
            return if is_simultaneous { Begun::AndNothingElse } else { Begun::OrNot };
        }
        if is_first {
            let sack =
                if receiver.has(Traits::SACK_PERMITTED) { segment.highest_sack } else { segment.acknowledgement };
            sender.window.end = segment.end();
            sender.window.max = (u32::from(segment.window) << sender.traits.scale).max(1);
            sender.window.max_end = sender.window.end.wrapping_add(sender.window.max);
            if receiver.window.max == 0 {
                (receiver.window.end, receiver.window.max_end) = (sack, sack);
            } else if sack == receiver.window.end.wrapping_add(1) {
                // A keepalive was answered, whose byte was never sent.
                receiver.window.end = sack;
            }
            self.set_peer(direction, sender);
            self.set_peer(direction.other(), receiver);
        }
        Begun::OrNot
    }

    /// Counts how often the same segment has come.
    #[inline]
    fn count_retransmission(&mut self, direction: Direction, window: u16, sequence: u32, ack: u32, end: u32) {
        let last = self.tcp.last;
        let others = (last.sequence ^ sequence) | (last.ack ^ ack) | (last.end ^ end);
        let is_again = others == 0 && last.window == window && last.direction == direction;
        self.tcp.retransmissions = if is_again { self.tcp.retransmissions.wrapping_add(1) } else { 0 };
        self.tcp.last = Last { direction, sequence, ack, end, window, ..last };
    }

    /// The side that sends in a direction.
    #[inline]
    pub(super) const fn peer(&self, direction: Direction) -> Peer {
        let side = direction as usize;
        Peer { window: self.windows.0[side], traits: self.tcp.traits[side] }
    }

    #[inline]
    pub(super) const fn set_peer(&mut self, direction: Direction, peer: Peer) {
        let side = direction as usize;
        self.windows.0[side] = peer.window;
        self.tcp.traits[side] = peer.traits;
    }
}

/// Whether anything is left to be looked at once a sender's window has begun.
#[derive(PartialEq, Eq)]
enum Begun {
    AndNothingElse,
    OrNot,
}

/// The sender's of both, and the receiver's.
#[inline]
const fn sides<T>(both: &mut [T; 2], direction: Direction) -> (&mut T, &mut T) {
    let [client, server] = both;
    match direction {
        Direction::Original => (client, server),
        Direction::Reply => (server, client),
    }
}

impl Window {
    pub(super) const NONE: Self = Self { end: 0, max_end: 0, max: 0, max_ack: 0 };

    const fn ack_window(&self) -> u32 {
        if self.max > LEAST_ACK_WINDOW { self.max } else { LEAST_ACK_WINDOW }
    }
}

/// How far a number lies ahead of another. Sequence numbers wrap (RFC 9293, section 3.4).
const fn ahead(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}

pub(super) const fn is_before(a: u32, b: u32) -> bool {
    ahead(a, b) < 0
}

pub(super) const fn is_after(a: u32, b: u32) -> bool {
    is_before(b, a)
}

#[cfg(test)]
mod tests {
    use plimsoll_draw::Draw;

    use super::*;

    /// Held against the kernel's comparisons (`before` and `after` of numbers one off), at edges and half the numbers away from them.
    #[test]
    fn margins_hold_where_the_kernels_comparisons_do() {
        let mut draw = Draw::new(1);
        for _ in 0..200_000 {
            let base = draw.below(u32::MAX);
            let mut near = || {
                let off =
                    [0, 1, 2, 65_999, 66_000, 66_001, 1 << 31, (1 << 31) - 1, (1 << 31) + 1][draw.below(9) as usize];
                if draw.below(2) == 0 { base.wrapping_add(off) } else { base.wrapping_sub(off) }
            };
            let numbers = Numbers { sequence: near(), end: near(), ack: 0, sack: near(), window: 0 };
            let mut sender = Window { end: near(), max_end: near(), ..Window::NONE };
            let mut receiver = Window { end: near(), ..Window::NONE };
            [sender.max, receiver.max] = [0, 1].map(|_| [0, 1, 500, 66_001, 1 << 30][draw.below(5) as usize]);
            let begins = is_before(numbers.sequence, sender.max_end.wrapping_add(1));
            let lower_edge = sender.end.wrapping_sub(receiver.max);
            let ends = receiver.max == 0 || is_after(numbers.end, lower_edge.wrapping_sub(1));
            let acks = is_before(numbers.sack, receiver.end.wrapping_add(1));
            let oldest = receiver.end.wrapping_sub(sender.ack_window());
            let is_recent = is_after(numbers.sack, oldest.wrapping_sub(1));
            let margins = Margins::of(numbers, &sender, &receiver);
            let held = [margins.begin, margins.end, margins.ack, margins.recent].map(|margin| margin >= 0);
            assert_eq!(held, [begins, ends, acks, is_recent], "{numbers:?} {sender:?} {receiver:?}");
            assert_eq!(margins.hold(), begins && ends && acks && is_recent);
        }
    }
}
