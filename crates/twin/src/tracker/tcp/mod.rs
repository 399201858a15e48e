//! TCP (`nf_conntrack_proto_tcp.c`).

mod states;
mod window;

use plimsoll_model::{Side, Status, TcpState};

use self::states::{Kind, Step, are_valid, step};
use self::window::{Fit, Liberal, is_before};
use super::{Context, Handled};
use crate::Direction;
use crate::capabilities::{ClosingReset, FutileClose, IgnoredSynReset, InexactReset};
use crate::packet::Segment;
use crate::timeouts::TcpTimeouts;

/// What the tracker keeps of a flow (`struct ip_ct_tcp`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tcp {
    seen: [Peer; 2],
    last: Last,
    state: TcpState,
    retransmissions: u8,
}

/// What the tracker keeps of one side (`struct ip_ct_tcp_state`). Packed, as [`Last`] is: a flow has two of these, and padding
/// would cost an entry eight bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(Rust, packed(2))]
struct Peer {
    /// End of what it has sent.
    end: u32,
    /// The furthest end that the other side's window has allowed.
    max_end: u32,
    /// The largest window that it has offered.
    max_window: u32,
    /// The furthest that it has acknowledged.
    max_ack: u32,
    scale: u8,
    flags: u8,
}

/// What the tracker keeps of the last segment that mattered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed(2))]
struct Last {
    direction: Direction,
    kind: Kind,
    sequence: u32,
    ack: u32,
    end: u32,
    window: u16,
    /// Of a SYN that was let through.
    scale: u8,
    flags: u8,
}

/// An entry that has less left is not shortened (`nf_tcp_handle_invalid`).
const FUTILE_FROM_SECS: u32 = 120;

impl Last {
    const NONE: Self = Self {
        direction: Direction::Original,
        kind: Kind::None,
        sequence: 0,
        ack: 0,
        end: 0,
        window: 0,
        scale: 0,
        flags: 0,
    };
    /// A challenge acknowledgement (RFC 5961) may come that must not be taken for that of the last FIN.
    const CHALLENGE_EXPECTED: u8 = 1 << 6;
    /// Both sides have sent a SYN.
    const SIMULTANEOUS_OPEN: u8 = 1 << 7;
}

impl Default for Tcp {
    fn default() -> Self {
        Self { state: TcpState::None, retransmissions: 0, seen: [Peer::default(); 2], last: Last::NONE }
    }
}

impl Tcp {
    /// A flow that was put into this state by hand: of its windows nothing is known, and the last segment counts as a SYN,
    /// which is what the kernel's zeroes stand for.
    pub(crate) fn made_in(state: TcpState) -> Self {
        Self { state, last: Last { kind: Kind::Syn, ..Last::NONE }, ..Self::default() }
    }

    pub(crate) const fn state(&self) -> TcpState {
        self.state
    }

    /// Who sent the first FIN.
    pub(crate) const fn closed_first(&self) -> Option<Side> {
        match (self.seen[0].has(Peer::CLOSED_FIRST), self.seen[1].has(Peer::CLOSED_FIRST)) {
            (true, false) => Some(Side::Client),
            (false, true) => Some(Side::Server),
            _ => None,
        }
    }

    /// End of what the client has sent.
    pub(crate) const fn client_end(&self) -> u32 {
        self.seen[0].end
    }

    /// The numbers at which the tracker's judgement of a segment from this side changes.
    pub(crate) fn edges(&self, direction: Direction) -> Edges {
        let [client, server] = self.seen;
        let (sender, receiver) = match direction {
            Direction::Original => (client, server),
            Direction::Reply => (server, client),
        };
        Edges {
            sent_end: sender.end,
            allowed_end: sender.max_end,
            received_end: receiver.end,
            receiver_window: receiver.max_window,
            acknowledged_by_receiver: receiver.max_ack,
        }
    }

    /// Takes a segment of the flow (`nf_conntrack_tcp_packet`).
    pub(crate) fn take(&mut self, context: &mut Context<'_>, segment: &Segment) -> Handled {
        if !are_valid(segment.flags) {
            return Handled::Invalid;
        }
        if !context.is_confirmed() {
            match Self::begun_by(segment, context) {
                Some(begun) => *self = begun,
                None => return Handled::Invalid,
            }
        }
        let kind = Kind::of(segment);
        let direction = context.direction;
        let old = self.state;
        let way = match step(direction, kind, old) {
            Step::Invalid => return Handled::Invalid,
            Step::Ignore => match self.resynchronise(direction, kind, segment) {
                Some(way) => way,
                None => return self.ignore(direction, kind, segment),
            },
            Step::To(TcpState::SynSent) if matches!(old, TcpState::TimeWait | TcpState::Close) => {
                if self.may_open_again(direction) {
                    return Handled::OpensAgain;
                }
                return self.ignore(direction, kind, segment);
            }
            Step::To(TcpState::TimeWait) if self.is_challenge(direction, kind) => {
                self.last.flags &= !Last::CHALLENGE_EXPECTED;
                return Handled::Accepted;
            }
            Step::To(TcpState::SynSent2) => {
                self.last.flags |= Last::SIMULTANEOUS_OPEN;
                Way::checked(old, TcpState::SynSent2)
            }
            Step::To(TcpState::SynRecv)
                if direction == Direction::Reply
                    && kind == Kind::Ack
                    && self.last.flags & Last::SIMULTANEOUS_OPEN != 0 =>
            {
                Way::checked(old, TcpState::Established)
            }
            Step::To(TcpState::Close) if kind == Kind::Rst => match self.reset(context, segment) {
                Some(way) => way,
                None => return Handled::Invalid,
            },
            Step::To(new) => Way::checked(old, new),
        };
        if way.window == Window::Checked {
            let liberal = if context.settings.tcp_be_liberal { Liberal::Yes } else { Liberal::No };
            match self.fit(direction, kind, segment, liberal, context.capabilities) {
                Fit::Within => {}
                Fit::Passed => return Handled::Accepted,
                Fit::Outside => {
                    self.note_futile_close(context, kind);
                    return Handled::Invalid;
                }
            }
        }
        self.enter(context, kind, way)
    }

    /// The flow that a segment begins, if it can begin one (`tcp_new`).
    fn begun_by(segment: &Segment, context: &Context<'_>) -> Option<Self> {
        match step(Direction::Original, Kind::of(segment), TcpState::None) {
            Step::To(TcpState::SynSent) => {
                let mut client = Peer::default();
                client.begin(segment);
                Some(Self { seen: [client, Peer::default()], ..Self::default() })
            }
            Step::To(_) if context.settings.tcp_loose => {
                Some(Self { seen: [Peer::of_middle(segment), Peer::UNKNOWN], ..Self::default() })
            }
            _ => None,
        }
    }

    /// Whether a SYN may open the flow again: one side has closed before the other, or this one has just reset it.
    fn may_open_again(&self, direction: Direction) -> bool {
        let closed = self.seen.iter().any(|peer| peer.has(Peer::CLOSED_FIRST));
        closed || (self.last.direction == direction && self.last.kind == Kind::Rst)
    }

    /// A SYN-ACK that answers a SYN which was let through: client and server are in step, and the tracker gets into step with
    /// them by what it noted of the SYN.
    fn resynchronise(&mut self, direction: Direction, kind: Kind, segment: &Segment) -> Option<Way> {
        let last = self.last;
        let answers = kind == Kind::SynAck
            && last.kind == Kind::Syn
            && last.direction != direction
            && segment.acknowledgement == last.end;
        if !answers {
            return None;
        }
        self.last.flags &= !Last::CHALLENGE_EXPECTED;
        let flags = self.last.flags;
        // Who now answers is the sender of the SYN-ACK: the other one sent the SYN.
        let (answering, opening) = self.peers(direction);
        *opening = Peer {
            end: last.end,
            max_end: last.end,
            max_window: u32::from(last.window).max(1),
            max_ack: opening.max_ack,
            scale: last.scale,
            flags,
        };
        *answering = Peer { flags: answering.flags & Peer::BE_LIBERAL, ..Peer::default() };
        Some(Way::checked(TcpState::SynSent, TcpState::SynRecv))
    }

    /// Lets a segment through that changes nothing, and notes what an answer to it would look like.
    fn ignore(&mut self, direction: Direction, kind: Kind, segment: &Segment) -> Handled {
        self.last.direction = direction;
        self.last.kind = kind;
        self.last.sequence = segment.sequence;
        self.last.end = segment.end();
        self.last.window = segment.window;
        if kind == Kind::Syn && direction == Direction::Original {
            let mut seen = Peer::default();
            if let Some(options) = segment.options {
                seen.take(options);
            }
            self.last.flags = seen.flags;
            self.last.scale = seen.scale;
            if self.state == TcpState::LastAck {
                self.last.flags |= Last::CHALLENGE_EXPECTED;
            }
        }
        if self.state == TcpState::SynSent && kind == Kind::Ack && direction == Direction::Reply {
            self.last.ack = segment.acknowledgement;
        }
        Handled::Accepted
    }

    /// Whether an acknowledgement that would end `LAST_ACK` is the answer to a SYN that was let through.
    fn is_challenge(&self, direction: Direction, kind: Kind) -> bool {
        self.state == TcpState::LastAck
            && kind == Kind::Ack
            && self.last.direction != direction
            && self.last.kind == Kind::Syn
            && self.last.flags & Last::CHALLENGE_EXPECTED != 0
    }

    /// Where an RST leads; `None` if it is invalid.
    fn reset(&self, context: &Context<'_>, segment: &Segment) -> Option<Way> {
        let direction = context.direction;
        let old = self.state;
        let mut new = TcpState::Close;
        // What was noted of a closing flow may be of one before it, and gc may kill such an entry anyway.
        if old.is_closing() && context.capabilities.closing_reset == ClosingReset::Accepted {
            return Some(Way { old, new, window: Window::Unchecked });
        }
        let receiver = &self.seen[direction.other() as usize];
        // A SYN that was let through has made the acknowledgement outdated.
        if receiver.has(Peer::MAX_ACK_SET) && self.last.kind != Kind::Syn {
            let is_established = context.status.has(Status::ASSURED) && old == TcpState::Established;
            if segment.sequence == 0 && !is_established {
                return Some(Way::checked(old, new));
            }
            if is_before(segment.sequence, receiver.max_ack) && !context.settings.tcp_ignore_invalid_rst {
                return None;
            }
            let follows_its_own_data =
                self.last.kind == Kind::Ack && self.last.direction == direction && segment.sequence == self.last.end;
            if !is_established || segment.sequence == receiver.max_ack || follows_its_own_data {
                return Some(Way::checked(old, new));
            }
            // A challenge acknowledgement may follow.
            new = old;
        }
        let answers_ignored_syn = context.status.has(Status::SEEN_REPLY)
            && self.last.kind == Kind::Syn
            && (self.last.direction != direction
                || context.capabilities.ignored_syn_reset == IgnoredSynReset::FromEither);
        let answers_ack = !context.status.has(Status::ASSURED) && self.last.kind == Kind::Ack;
        if (answers_ignored_syn || answers_ack) && segment.acknowledgement == self.last.end {
            return Some(Way { old, new, window: Window::Unchecked });
        }
        let answers_challenge = old == TcpState::SynSent
            && self.last.kind == Kind::Ack
            && self.last.direction == Direction::Reply
            && segment.sequence == self.last.ack;
        let window = if answers_challenge { Window::Unchecked } else { Window::Checked };
        Some(Way { old, new, window })
    }

    /// FINs and RSTs outside the window from both sides: the flow is dead, though the tracker does not see it.
    fn note_futile_close(&mut self, context: &mut Context<'_>, kind: Kind) {
        let matters = context.capabilities.futile_close == FutileClose::Shortens
            && context.status.has(Status::ASSURED)
            && !context.status.has(Status::FIXED_TIMEOUT)
            && matches!(kind, Kind::Fin | Kind::Rst);
        if !matters {
            return;
        }
        if self.last.direction == context.direction || !matches!(self.last.kind, Kind::Fin | Kind::Rst) {
            self.last.kind = kind;
            self.last.direction = context.direction;
            return;
        }
        let left = context.left();
        let timeout = context.timeouts.tcp.unacknowledged();
        if left >= context.capabilities.hz.jiffies(FUTILE_FROM_SECS) && left > timeout {
            context.refresh(timeout);
        }
    }

    /// Enters the state that a valid segment leads to, and arms the entry.
    fn enter(&mut self, context: &mut Context<'_>, kind: Kind, way: Way) -> Handled {
        let Way { old, new, .. } = way;
        self.last.kind = kind;
        self.last.direction = context.direction;
        self.state = new;
        if old != new && new == TcpState::FinWait {
            self.seen[context.direction as usize].flags |= Peer::CLOSED_FIRST;
        }
        let timeouts = context.timeouts.tcp;
        let mut timeout = self.timeout(context, kind, &timeouts);
        if !context.status.has(Status::SEEN_REPLY) {
            if kind == Kind::Rst {
                return Handled::Ends;
            }
            // Else a client that uses its port again and again would keep the entry for ever.
            if kind == Kind::Syn && old == TcpState::SynSent {
                return Handled::Accepted;
            }
            if new == TcpState::Established {
                timeout = timeout.min(timeouts.unacknowledged());
            }
        } else if !context.status.has(Status::ASSURED)
            && matches!(old, TcpState::SynRecv | TcpState::Established)
            && new == TcpState::Established
        {
            context.set(Status::ASSURED);
        }
        context.refresh(timeout);
        Handled::Accepted
    }

    /// With which timeout a state is armed.
    fn timeout(&self, context: &Context<'_>, kind: Kind, timeouts: &TcpTimeouts) -> u32 {
        let own = timeouts.of(self.state);
        let is_unacknowledged = self.seen.iter().any(|peer| peer.has(Peer::DATA_UNACKNOWLEDGED));
        if u32::from(self.retransmissions) >= context.settings.tcp_max_retrans && own > timeouts.max_retrans() {
            return timeouts.max_retrans();
        }
        if kind == Kind::Rst {
            match context.capabilities.inexact_reset {
                InexactReset::Close => return timeouts.of(TcpState::Close),
                InexactReset::Unacknowledged
                    if self.state == TcpState::Established && own > timeouts.unacknowledged() =>
                {
                    return timeouts.unacknowledged();
                }
                InexactReset::Unacknowledged => {}
            }
        }
        if is_unacknowledged && own > timeouts.unacknowledged() {
            return timeouts.unacknowledged();
        }
        if self.last.window == 0 && own > timeouts.max_retrans() {
            return timeouts.max_retrans();
        }
        own
    }
}

/// Where a segment leads, and from where it is taken to come.
#[derive(Clone, Copy)]
struct Way {
    old: TcpState,
    new: TcpState,
    window: Window,
}

impl Way {
    const fn checked(old: TcpState, new: TcpState) -> Self {
        Self { old, new, window: Window::Checked }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Window {
    Checked,
    Unchecked,
}

/// Numbers at which the tracker's judgement of a segment changes: for tests that want to hit them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edges {
    /// End of what this side has sent.
    pub sent_end: u32,
    /// The furthest end that the other side's window has allowed it.
    pub allowed_end: u32,
    /// End of what the other side has sent: the most that this one may acknowledge.
    pub received_end: u32,
    /// The largest window that the other side has offered.
    pub receiver_window: u32,
    /// The furthest that the other side has acknowledged.
    pub acknowledged_by_receiver: u32,
}
