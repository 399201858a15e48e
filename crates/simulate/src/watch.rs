//! Whether a flow's entry is still there when its next packet comes.

use plimsoll_model::{Protocol, TcpState, Tuple};
use plimsoll_recording::State;
use plimsoll_scenario::Side;
use plimsoll_twin::packet::{Content, Segment, flags};
use plimsoll_twin::{EntryId, Verdict, inverted};

use crate::Harm;

/// A flow that is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    /// Its entry, as far as is known.
    pub(crate) entry: Option<EntryId>,
    /// It would have had one, had it not been gone before the begin.
    pub(crate) is_missing: bool,
    life: Life,
    pub(crate) was_hit: bool,
}

/// How far a flow is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Open,
    /// This side has closed.
    HalfClosed(Side),
    /// Both sides have, or one has reset it.
    Over,
}

/// What a packet is to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It opens the flow, or would open it again: it needs no entry.
    Opens,
    /// The flow is over with it, or was before: nobody misses its entry.
    Ends,
    /// The flow lives by it.
    Carries,
}

/// Both tuples of a flow's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tuples {
    pub(crate) original: Tuple,
    pub(crate) reply: Tuple,
}

impl Watch {
    /// A flow that begins with this entry.
    pub(crate) const fn new(entry: Option<EntryId>) -> Self {
        Self { entry, is_missing: false, life: Life::Open, was_hit: false }
    }

    /// A flow that is in this state already. Who has closed first is not known: it is taken to be the client.
    pub(crate) const fn standing(state: State, entry: Option<EntryId>) -> Self {
        let life = match state {
            State::Tcp(TcpState::FinWait | TcpState::CloseWait) => Life::HalfClosed(Side::Client),
            State::Tcp(TcpState::LastAck | TcpState::TimeWait | TcpState::Close) => Life::Over,
            _ => Life::Open,
        };
        Self { entry, is_missing: entry.is_none(), life, was_hit: false }
    }

    /// Whether nobody misses its entry any more.
    pub(crate) fn is_over(&self) -> bool {
        self.life == Life::Over
    }

    /// What a packet is to the flow, if it is not its first.
    pub(crate) fn role(&self, content: &Content<'_>) -> Role {
        match segment(content) {
            Some(segment) if segment.has(flags::RST) => Role::Ends,
            Some(segment) if segment.has(flags::SYN) && !segment.has(flags::ACK) => Role::Opens,
            _ if self.is_over() => Role::Ends,
            _ => Role::Carries,
        }
    }

    /// Takes note of a packet that was sent, whatever became of it on its way.
    #[inline]
    pub(crate) fn note(&mut self, content: &Content<'_>, from: Side, verdict: &Verdict) {
        // Most segments neither open nor close anything.
        if let Some(segment) = segment(content).filter(|segment| segment.has(flags::SYN | flags::FIN | flags::RST)) {
            self.life = match self.life {
                _ if segment.has(flags::RST) => Life::Over,
                _ if segment.has(flags::SYN) && !segment.has(flags::ACK) => Life::Open,
                Life::Open if segment.has(flags::FIN) => Life::HalfClosed(from),
                Life::HalfClosed(other) if segment.has(flags::FIN) && other != from => Life::Over,
                life => life,
            };
        }
        if let Verdict::Passed { entry, .. } = verdict {
            self.entry = Some(*entry);
        }
    }

    /// Takes note of what a false kill did. A connection that is answered with a reset is over: what a script or a record
    /// has of it after that would not have been sent.
    pub(crate) fn suffer(&mut self, content: &Content<'_>, harm: Harm) {
        self.was_hit = true;
        if harm == Harm::Reset && segment(content).is_some() {
            self.life = Life::Over;
        }
    }
}

const fn segment<'a>(content: &'a Content<'_>) -> Option<&'a Segment> {
    match content {
        Content::Tcp(segment) => Some(segment),
        _ => None,
    }
}

/// What it does to a flow that a packet came when its entry was gone. `now` are the tuples of the entry by which the packet
/// went on, if it did.
pub(crate) fn harm(was: &Tuples, now: Option<&Tuples>, from: Side) -> Harm {
    let is_translated = inverted(&was.original) != Some(was.reply);
    match now {
        None => Harm::BlackHoled,
        Some(now) if now.original == was.original && now.reply == was.reply => Harm::PickedUp,
        // The other side has opened it.
        Some(now) if !is_translated && now.original == was.reply && now.reply == was.original => Harm::PickedUp,
        // To the address behind which the client was hidden; nobody resets what is not TCP.
        Some(_)
            if from == Side::Server
                && was.reply.destination != was.original.source
                && was.original.protocol != Protocol::TCP =>
        {
            Harm::BlackHoled
        }
        Some(_) => Harm::Reset,
    }
}
