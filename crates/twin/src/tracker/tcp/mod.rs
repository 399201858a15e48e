//! TCP (`nf_conntrack_proto_tcp.c`).

mod edges;
mod states;
mod window;

use plimsoll_model::{Side, Status, TcpState};

pub use self::edges::Edges;
use self::states::{Kind, Step, step};
use self::window::{Fit, is_before};
use super::{After, Context, Handled};
use crate::Direction;
use crate::capabilities::{ClosingReset, FutileClose, IgnoredSynReset, InexactReset};
use crate::packet::Segment;
use crate::tick::Tick;
use crate::timeouts::TcpTimeouts;

/// What the tracker keeps of a flow (`struct ip_ct_tcp`), but for the windows, which lie elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tcp {
    last: Last,
    /// By direction.
    traits: [Traits; 2],
    state: TcpState,
    retransmissions: u8,
}

/// The windows of both sides, by direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(32))]
pub(crate) struct Windows([Window; 2]);

const _: () = assert!(size_of::<Windows>() == 32);

/// How far one side has come (of `struct ip_ct_tcp_state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    /// End of what it has sent.
    end: u32,
    /// The furthest end that the other side's window has allowed.
    max_end: u32,
    /// The largest window that it has offered.
    max: u32,
    /// The furthest that it has acknowledged.
    max_ack: u32,
}

/// What else is known of one side (of `struct ip_ct_tcp_state`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Traits {
    scale: u8,
    flags: u8,
}

/// One side.
#[derive(Clone, Copy)]
struct Peer {
    window: Window,
    traits: Traits,
}

/// A flow, as the tracker changes it.
struct Flow<'a> {
    tcp: &'a mut Tcp,
    windows: &'a mut Windows,
}

/// What the tracker keeps of the last segment that mattered. Packed: padding would take what there is no room for.
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
        Self { last: Last::NONE, traits: [Traits::default(); 2], state: TcpState::None, retransmissions: 0 }
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
    pub(crate) fn closed_first(&self) -> Option<Side> {
        match self.traits.map(|traits| traits.has(Traits::CLOSED_FIRST)) {
            [true, false] => Some(Side::Client),
            [false, true] => Some(Side::Server),
            _ => None,
        }
    }

    /// Takes a segment of the flow (`nf_conntrack_tcp_packet`).
    #[inline]
    pub(crate) fn take(&mut self, windows: &mut Windows, context: Context<'_>, segment: &Segment) -> After {
        Flow { tcp: self, windows }.take(context, segment)
    }
}

impl Windows {
    pub(crate) const NONE: Self = Self([Window::NONE; 2]);

    /// End of what the client has sent.
    pub(crate) const fn client_end(&self) -> u32 {
        self.0[0].end
    }
}

impl Flow<'_> {
    /// Takes a segment of the flow (`nf_conntrack_tcp_packet`).
    #[inline]
    fn take(&mut self, context: Context<'_>, segment: &Segment) -> After {
        // Most segments: they lead nowhere else, whoever sends.
        if segment.only_acknowledges() && self.tcp.state == TcpState::Established && context.is_confirmed() {
            return self.follow(
                context,
                Kind::Ack,
                Way::checked(TcpState::Established, TcpState::Established),
                segment,
            );
        }
        self.take_another(context, segment)
    }

    /// Apart from the above: each has the processor's registers to itself.
    #[inline(never)]
    fn take_another(&mut self, context: Context<'_>, segment: &Segment) -> After {
        if segment.only_opens() && !context.is_confirmed() {
            self.open(context, segment)
        } else {
            self.take_any(context, segment)
        }
    }

    /// Begins a flow with a SYN, which fits whatever its numbers are, and allows the other side what its window has room for.
    fn open(&mut self, mut context: Context<'_>, segment: &Segment) -> After {
        debug_assert_eq!(context.direction, Direction::Original, "nothing answers before the flow has begun");
        let client = Peer::of_opener(segment);
        let server = Peer { window: Window { max_end: client.window.max, ..Window::NONE }, ..Peer::NEW };
        self.begin_with([client, server]);
        let handled = self.enter(&mut context, Kind::Syn, Way::checked(TcpState::None, TcpState::SynSent));
        context.after(handled)
    }

    /// By the way that any segment can go.
    #[inline(never)]
    fn take_any(&mut self, context: Context<'_>, segment: &Segment) -> After {
        match self.kind_and_way(&context, segment) {
            Ok((kind, way)) => self.follow(context, kind, way, segment),
            Err(handled) => context.after(handled),
        }
    }

    /// Goes a way.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "where segment and state are known, most of it falls away")]
    fn follow(&mut self, mut context: Context<'_>, kind: Kind, way: Way, segment: &Segment) -> After {
        if way.check == Check::Window {
            match self.fit(kind, segment, context) {
                Fit::Within => {}
                Fit::Passed => return context.after(Handled::Accepted),
                Fit::Outside => {
                    context.expires = self.note_futile_close(context, kind);
                    return context.after(Handled::Invalid);
                }
            }
        }
        let handled = self.enter(&mut context, kind, way);
        context.after(handled)
    }

    /// What a segment is, and where it leads; or what becomes of one that leads nowhere.
    fn kind_and_way(&mut self, context: &Context<'_>, segment: &Segment) -> Result<(Kind, Way), Handled> {
        let kind = Kind::of(segment).ok_or(Handled::Invalid)?;
        if !context.is_confirmed() && !self.begin(kind, segment, context) {
            return Err(Handled::Invalid);
        }
        Ok((kind, self.way(context, kind, segment)?))
    }

    fn way(&mut self, context: &Context<'_>, kind: Kind, segment: &Segment) -> Result<Way, Handled> {
        let direction = context.direction;
        let old = self.tcp.state;
        Ok(match step(direction, kind, old) {
            Step::Invalid => return Err(Handled::Invalid),
            Step::Ignore => match self.resynchronise(direction, kind, segment) {
                Some(way) => way,
                None => return Err(self.ignore(direction, kind, segment)),
            },
            Step::To(TcpState::SynSent) if matches!(old, TcpState::TimeWait | TcpState::Close) => {
                if self.may_open_again(direction) {
                    return Err(Handled::OpensAgain);
                }
                return Err(self.ignore(direction, kind, segment));
            }
            Step::To(TcpState::TimeWait) if self.is_challenge(direction, kind) => {
                self.tcp.last.flags &= !Last::CHALLENGE_EXPECTED;
                return Err(Handled::Accepted);
            }
            Step::To(TcpState::SynSent2) => {
                self.tcp.last.flags |= Last::SIMULTANEOUS_OPEN;
                Way::checked(old, TcpState::SynSent2)
            }
            Step::To(TcpState::SynRecv)
                if direction == Direction::Reply
                    && kind == Kind::Ack
                    && self.tcp.last.flags & Last::SIMULTANEOUS_OPEN != 0 =>
            {
                Way::checked(old, TcpState::Established)
            }
            Step::To(TcpState::Close) if kind == Kind::Rst => self.reset(context, segment).ok_or(Handled::Invalid)?,
            Step::To(new) => Way::checked(old, new),
        })
    }

    /// Begins a flow with a segment, and says whether it can begin one (`tcp_new`).
    #[cold]
    fn begin(&mut self, kind: Kind, segment: &Segment, context: &Context<'_>) -> bool {
        self.begin_with(match step(Direction::Original, kind, TcpState::None) {
            Step::To(TcpState::SynSent) => [Peer::of_opener(segment), Peer::NEW],
            Step::To(_) if context.settings.tcp_loose => [Peer::of_middle(segment), Peer::UNKNOWN],
            _ => return false,
        });
        true
    }

    fn begin_with(&mut self, peers: [Peer; 2]) {
        let [client, server] = peers;
        *self.tcp = Tcp { traits: [client.traits, server.traits], ..Tcp::default() };
        *self.windows = Windows([client.window, server.window]);
    }

    /// Whether a SYN may open the flow again: one side has closed before the other, or this one has just reset it.
    fn may_open_again(&self, direction: Direction) -> bool {
        let closed = self.tcp.traits.iter().any(|traits| traits.has(Traits::CLOSED_FIRST));
        closed || (self.tcp.last.direction == direction && self.tcp.last.kind == Kind::Rst)
    }

    /// A SYN-ACK that answers a SYN which was let through: client and server are in step, and the tracker gets into step with
    /// them by what it noted of the SYN.
    #[cold]
    fn resynchronise(&mut self, direction: Direction, kind: Kind, segment: &Segment) -> Option<Way> {
        let last = self.tcp.last;
        let answers = kind == Kind::SynAck
            && last.kind == Kind::Syn
            && last.direction != direction
            && segment.acknowledgement == last.end;
        if !answers {
            return None;
        }
        self.tcp.last.flags &= !Last::CHALLENGE_EXPECTED;
        let flags = self.tcp.last.flags;
        // Who now answers is the sender of the SYN-ACK: the other one sent the SYN.
        let opening = self.peer(direction.other());
        let max = u32::from(last.window).max(1);
        let window = Window { end: last.end, max_end: last.end, max, max_ack: opening.window.max_ack };
        self.set_peer(direction.other(), Peer { window, traits: Traits { scale: last.scale, flags } });
        let flags = self.peer(direction).traits.flags & Traits::BE_LIBERAL;
        self.set_peer(direction, Peer { traits: Traits { scale: 0, flags }, ..Peer::NEW });
        Some(Way::checked(TcpState::SynSent, TcpState::SynRecv))
    }

    /// Lets a segment through that changes nothing, and notes what an answer to it would look like.
    #[cold]
    fn ignore(&mut self, direction: Direction, kind: Kind, segment: &Segment) -> Handled {
        self.tcp.last.direction = direction;
        self.tcp.last.kind = kind;
        self.tcp.last.sequence = segment.sequence;
        self.tcp.last.end = segment.end();
        self.tcp.last.window = segment.window;
        if kind == Kind::Syn && direction == Direction::Original {
            let mut seen = Traits::default();
            if let Some(options) = segment.options {
                seen.take(options);
            }
            self.tcp.last.flags = seen.flags;
            self.tcp.last.scale = seen.scale;
            if self.tcp.state == TcpState::LastAck {
                self.tcp.last.flags |= Last::CHALLENGE_EXPECTED;
            }
        }
        if self.tcp.state == TcpState::SynSent && kind == Kind::Ack && direction == Direction::Reply {
            self.tcp.last.ack = segment.acknowledgement;
        }
        Handled::Accepted
    }

    /// Whether an acknowledgement that would end `LAST_ACK` is the answer to a SYN that was let through.
    fn is_challenge(&self, direction: Direction, kind: Kind) -> bool {
        self.tcp.state == TcpState::LastAck
            && kind == Kind::Ack
            && self.tcp.last.direction != direction
            && self.tcp.last.kind == Kind::Syn
            && self.tcp.last.flags & Last::CHALLENGE_EXPECTED != 0
    }

    /// Where an RST leads; `None` if it is invalid.
    #[cold]
    fn reset(&self, context: &Context<'_>, segment: &Segment) -> Option<Way> {
        let direction = context.direction;
        let old = self.tcp.state;
        let mut new = TcpState::Close;
        // What was noted of a closing flow may be of one before it, and gc may kill such an entry anyway.
        if old.is_closing() && context.capabilities.closing_reset == ClosingReset::Accepted {
            return Some(Way { old, new, check: Check::Nothing });
        }
        let receiver = self.peer(direction.other());
        let max_ack = receiver.window.max_ack;
        // A SYN that was let through has made the acknowledgement outdated.
        if receiver.has(Traits::MAX_ACK_SET) && self.tcp.last.kind != Kind::Syn {
            let is_established = context.status.has(Status::ASSURED) && old == TcpState::Established;
            if segment.sequence == 0 && !is_established {
                return Some(Way::checked(old, new));
            }
            if is_before(segment.sequence, max_ack) && !context.settings.tcp_ignore_invalid_rst {
                return None;
            }
            let follows_its_own_data = self.tcp.last.kind == Kind::Ack
                && self.tcp.last.direction == direction
                && segment.sequence == self.tcp.last.end;
            if !is_established || segment.sequence == max_ack || follows_its_own_data {
                return Some(Way::checked(old, new));
            }
            // A challenge acknowledgement may follow.
            new = old;
        }
        let answers_ignored_syn = context.status.has(Status::SEEN_REPLY)
            && self.tcp.last.kind == Kind::Syn
            && (self.tcp.last.direction != direction
                || context.capabilities.ignored_syn_reset == IgnoredSynReset::FromEither);
        let answers_ack = !context.status.has(Status::ASSURED) && self.tcp.last.kind == Kind::Ack;
        if (answers_ignored_syn || answers_ack) && segment.acknowledgement == self.tcp.last.end {
            return Some(Way { old, new, check: Check::Nothing });
        }
        let answers_challenge = old == TcpState::SynSent
            && self.tcp.last.kind == Kind::Ack
            && self.tcp.last.direction == Direction::Reply
            && segment.sequence == self.tcp.last.ack;
        let check = if answers_challenge { Check::Nothing } else { Check::Window };
        Some(Way { old, new, check })
    }

    /// FINs and RSTs outside the window from both sides: the flow is dead, though the tracker does not see it. Says when the entry
    /// expires then.
    #[cold]
    fn note_futile_close(&mut self, mut context: Context<'_>, kind: Kind) -> Tick {
        let matters = context.capabilities.futile_close == FutileClose::Shortens
            && context.status.has(Status::ASSURED)
            && !context.status.has(Status::FIXED_TIMEOUT)
            && matches!(kind, Kind::Fin | Kind::Rst);
        if !matters {
            return context.expires;
        }
        if self.tcp.last.direction == context.direction || !matches!(self.tcp.last.kind, Kind::Fin | Kind::Rst) {
            self.tcp.last.kind = kind;
            self.tcp.last.direction = context.direction;
            return context.expires;
        }
        let left = context.left();
        let timeout = context.timeouts.tcp.unacknowledged();
        if left >= context.capabilities.hz.jiffies(FUTILE_FROM_SECS) && left > timeout {
            context.refresh(timeout);
        }
        context.expires
    }

    /// Enters the state that a valid segment leads to, and arms the entry.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as of what leads here")]
    fn enter(&mut self, context: &mut Context<'_>, kind: Kind, way: Way) -> Handled {
        let Way { old, new, .. } = way;
        self.tcp.last.kind = kind;
        self.tcp.last.direction = context.direction;
        self.tcp.state = new;
        if old != new && new == TcpState::FinWait {
            self.tcp.traits[context.direction as usize].flags |= Traits::CLOSED_FIRST;
        }
        let spans = context.timeouts;
        let timeouts = &spans.tcp;
        let mut timeout = self.timeout(context, kind, timeouts);
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
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as of what leads here")]
    fn timeout(&self, context: &Context<'_>, kind: Kind, timeouts: &TcpTimeouts) -> u32 {
        let own = timeouts.of(self.tcp.state);
        let is_unacknowledged = self.tcp.traits.iter().any(|traits| traits.has(Traits::DATA_UNACKNOWLEDGED));
        if u32::from(self.tcp.retransmissions) >= context.settings.tcp_max_retrans && own > timeouts.max_retrans() {
            return timeouts.max_retrans();
        }
        if kind == Kind::Rst {
            match context.capabilities.inexact_reset {
                InexactReset::Close => return timeouts.of(TcpState::Close),
                InexactReset::Unacknowledged
                    if self.tcp.state == TcpState::Established && own > timeouts.unacknowledged() =>
                {
                    return timeouts.unacknowledged();
                }
                InexactReset::Unacknowledged => {}
            }
        }
        if is_unacknowledged && own > timeouts.unacknowledged() {
            return timeouts.unacknowledged();
        }
        if self.tcp.last.window == 0 && own > timeouts.max_retrans() {
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
    check: Check,
}

impl Way {
    const fn checked(old: TcpState, new: TcpState) -> Self {
        Self { old, new, check: Check::Window }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    Window,
    Nothing,
}

#[cfg(test)]
mod tests {
    use plimsoll_draw::Draw;
    use plimsoll_model::{Timeout, Timeouts};

    use super::*;
    use crate::packet::{TcpOptions, flags};
    use crate::timeouts::Spans;
    use crate::{Capabilities, Settings};

    /// Drawn SYNs that open flows, each taken by the way that only they go, and by the one that any segment can go.
    #[test]
    fn a_syn_opens_a_flow_as_the_long_way_would_have_it() {
        for seed in 0..2000 {
            let mut draw = Draw::new(seed);
            let presets = Capabilities::PRESETS;
            let capabilities = presets[draw.below(u32::try_from(presets.len()).unwrap()) as usize].1;
            let settings =
                Settings { tcp_loose: draw.below(2) == 0, tcp_max_retrans: draw.below(4), ..Settings::default() };
            let spans = Spans::of(&Timeouts::default(), capabilities.hz);
            let context = Context {
                direction: Direction::Original,
                now: Tick::from_span(1),
                status: [Status(0), Status::FIXED_TIMEOUT][draw.below(2) as usize],
                expires: Tick::from_span(0),
                settings: &settings,
                timeouts: &spans,
                capabilities: &capabilities,
            };
            let options = TcpOptions {
                window_scale: (draw.below(2) == 0).then(|| u8::try_from(draw.below(17)).unwrap()),
                sack_permitted: draw.below(2) == 0,
            };
            let more = [0, flags::PSH, flags::ECE | flags::CWR][draw.below(3) as usize];
            let window = [0, 1, 65_535][draw.below(3) as usize];
            let segment = Segment {
                payload_bytes: draw.below(2) * 1000,
                options: (draw.below(2) == 0).then_some(options),
                ..Segment::new(flags::SYN | more, draw.below(u32::MAX), draw.below(u32::MAX), window)
            };
            assert!(segment.only_opens());
            let left = Windows([Window { end: 7, max_end: 8, max: 9, max_ack: 10 }; 2]);
            let (mut tcp, mut windows) = (Tcp::made_in(TcpState::TimeWait), left);
            let after = tcp.take(&mut windows, context, &segment);
            let (mut other_tcp, mut other_windows) = (Tcp::default(), left);
            let other = Flow { tcp: &mut other_tcp, windows: &mut other_windows }.take_any(context, &segment);
            assert_eq!((after, tcp, windows), (other, other_tcp, other_windows), "{segment:?}");
        }
    }

    /// Drawn segments, each taken by the short way, where it goes, and by the one that any segment can go.
    #[test]
    fn the_short_way_leads_where_the_long_one_does() {
        let mut short = 0;
        for seed in 0..400 {
            let mut draw = Draw::new(seed);
            let presets = Capabilities::PRESETS;
            let capabilities = presets[draw.below(u32::try_from(presets.len()).unwrap()) as usize].1;
            let settings =
                Settings { tcp_be_liberal: draw.below(4) == 0, tcp_max_retrans: draw.below(4), ..Settings::default() };
            let timeouts: Timeouts =
                [(Timeout::Tcp(TcpState::Established), 200 + draw.below(400))].into_iter().collect();
            let spans = Spans::of(&timeouts, capabilities.hz);
            let (mut tcp, mut windows) = (Tcp::made_in(TcpState::Established), Windows::NONE);
            let (mut status, mut expires) = (Status::CONFIRMED, Tick::from_span(1000));
            for turn in 0..200 {
                let direction = [Direction::Original, Direction::Reply][draw.below(2) as usize];
                let context = Context {
                    direction,
                    now: Tick::from_span(turn),
                    status,
                    expires,
                    settings: &settings,
                    timeouts: &spans,
                    capabilities: &capabilities,
                };
                let segment = segment(&mut draw);
                let (mut other_tcp, mut other_windows) = (tcp, windows);
                let after = tcp.take(&mut windows, context, &segment);
                let other = Flow { tcp: &mut other_tcp, windows: &mut other_windows }.take_any(context, &segment);
                assert_eq!((after, tcp, windows), (other, other_tcp, other_windows), "seed {seed}: {segment:?}");
                short += u32::from(segment.only_acknowledges() && tcp.state == TcpState::Established);
                (status, expires) = (after.status, after.expires);
                if direction == Direction::Reply {
                    status = status.and(Status::SEEN_REPLY);
                }
                if tcp.state != TcpState::Established {
                    tcp.state = TcpState::Established;
                }
            }
        }
        assert!(short > 20_000, "{short}");
    }

    fn segment(draw: &mut Draw) -> Segment {
        let usual = [flags::ACK, flags::ACK | flags::PSH, flags::ACK | flags::URG, flags::ACK | flags::CWR];
        let flags = match draw.below(20) {
            0 => [flags::SYN, flags::SYN | flags::ACK, flags::FIN | flags::ACK, flags::RST][draw.below(4) as usize],
            _ => usual[draw.below(4) as usize],
        };
        // A step of a talk, or a number that is far from it.
        let mut number = || if draw.below(12) == 0 { draw.below(u32::MAX) } else { draw.below(4) * 100 };
        let (sequence, acknowledgement) = (number(), number());
        Segment {
            payload_bytes: draw.below(2) * 100,
            highest_sack: acknowledgement.wrapping_add(draw.below(2) * 100),
            ..Segment::new(flags, sequence, acknowledgement, [0, 100, 500, 65_535][draw.below(4) as usize])
        }
    }
}
