//! The states of a flow, and how long it stayed in each.

use std::time::Duration;

use plimsoll_model::{Protocol, TcpState, Timeouts};
use plimsoll_recording::{Began, End, GapEnd, Life, Sight, State, Step};

use crate::replay::gather::{Gap, Span, in_force_secs, is_known};
use crate::replay::pattern::Armed;

/// How a flow comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// With its first packet.
    Opens,
    /// With a packet from its middle.
    PickedUp,
    /// It stands, and had been silent for so long; armed so before that.
    Stands { age: Duration, armed: Armed },
}

/// A stay in a state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    pub(super) at: Duration,
    pub(super) state: State,
    /// When the next state, the last packet or the end came.
    pub(super) until: Duration,
}

/// What comes behind the last stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// Nothing but what it does in the stay.
    Nothing,
    /// A last packet, then silence; its entry is armed so by it.
    Packet(Armed),
    /// Nothing more is known of it.
    Silence,
    /// A reset.
    Reset,
    /// Its entry goes, whatever the twin thinks of it.
    Leaves,
}

/// A flow as it is played.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) start: Start,
    pub(super) stays: Vec<Stay>,
    pub(super) last: Last,
}

/// What is first seen so soon after the begin was there at the begin: a look takes time.
const AT_THE_BEGIN: Duration = Duration::from_secs(10);
/// What is first seen later, and was silent for no longer, has begun between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_mins(1);
/// A flow that was seen last so long before the end of the recording was no longer followed.
const NOT_FOLLOWED: Duration = Duration::from_secs(30);
/// gc removes what has expired within so long, and half of that later on the average (`GC_SCAN_INTERVAL_MAX`).
const GC_LAG: Duration = Duration::from_mins(1);

/// A life's course, and how many of its states are unknown; `None` if all are.
pub(super) fn course(life: &Life, gaps: &[Gap], span: &Span, in_force: &Timeouts) -> Option<(Course, usize)> {
    let protocol = life.original.protocol;
    let mut steps: Vec<Step> = life.steps.iter().copied().filter(|step| is_known(step.state, protocol)).collect();
    let unknown = life.steps.len() - steps.len();
    steps.dedup_by_key(|step| step.state);
    let first = *steps.first()?;
    let (start, starts) = start(life, first.state, gaps, span);
    let ended = life.ended_at.since(span.begin).max(starts);
    let mut stays: Vec<Stay> = Vec::with_capacity(steps.len());
    for step in steps {
        let at = match stays.last_mut() {
            None => starts,
            Some(before) => {
                let seen = step.at.since(span.begin);
                let led_on = if life.sight == Sight::Looks { led_on(before, seen, protocol, gaps) } else { None };
                before.until = led_on.unwrap_or(seen).max(before.at);
                before.until
            }
        };
        stays.push(Stay { at, state: step.state, until: ended.max(at) });
    }
    let stay = stays.last_mut()?;
    let last = last(life, stay, ended, gaps, span, in_force);
    Some((Course { start, stays, last }, unknown))
}

/// When a packet came that led on from a state: earlier than a look has seen to it, where a silence tells.
fn led_on(stay: &Stay, seen: Duration, protocol: Protocol, gaps: &[Gap]) -> Option<Duration> {
    if is_kept(stay.state, protocol) {
        return None;
    }
    let of_the_state = gaps.iter().filter(|gap| gap.held_by == stay.state.held_by(protocol));
    let ends = of_the_state.filter_map(|gap| {
        let lasts = i64::try_from(gap.lasts?.as_micros()).unwrap_or(i64::MAX);
        Some(Duration::from_micros(u64::try_from(gap.began.saturating_add(lasts)).ok()?))
    });
    ends.filter(|end| *end >= stay.at && *end <= seen).max()
}

fn start(life: &Life, first: State, gaps: &[Gap], span: &Span) -> (Start, Duration) {
    let seen = life.began.first_seen().since(span.begin);
    if let Began::At(_) = life.began {
        // Nothing was missed: a connection that begins in this state was picked up in its middle.
        let is_picked_up = first == State::Tcp(TcpState::Established) && life.sight != Sight::Looks;
        return (if is_picked_up { Start::PickedUp } else { Start::Opens }, seen);
    }
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    let silent = gaps.first().filter(|gap| gap.began <= micros(seen));
    let has_begun_since = silent.is_some_and(|gap| gap.began > 0);
    let starts = if seen <= AT_THE_BEGIN && !has_begun_since { Duration::ZERO } else { seen };
    let silent = silent.filter(|gap| gap.began <= micros(starts));
    let age = silent.map_or(Duration::ZERO, |gap| Duration::from_micros(gap.began.abs_diff(micros(starts))));
    if !starts.is_zero() && age <= BETWEEN_LOOKS && first != State::Assured {
        return (Start::Opens, starts.saturating_sub(age));
    }
    (Start::Stands { age, armed: silent.map_or(Armed::Own, |gap| gap.armed) }, starts)
}

/// What comes behind the last stay; ends the stay where its last packet came.
fn last(life: &Life, stay: &mut Stay, ended: Duration, gaps: &[Gap], span: &Span, in_force: &Timeouts) -> Last {
    let protocol = life.original.protocol;
    let is_kept = is_kept(stay.state, protocol);
    match life.end {
        End::Expired => {
            let packet = last_packet(stay, ended, protocol, gaps, in_force).filter(|_| is_kept);
            let Some((packet, armed)) = packet else { return Last::Nothing };
            stay.until = packet;
            if packet > stay.at { Last::Packet(armed) } else { Last::Nothing }
        }
        End::Reset => Last::Reset,
        End::Deleted => Last::Leaves,
        // Something without packets has taken it.
        End::Unseen if is_kept => Last::Leaves,
        // Whether the twin evicts it is for the twin to say; the next flow's SYN opens its tuple again; and a state that ends by
        // itself is left to that.
        End::Evicted | End::Reopened | End::Unseen => Last::Silence,
        End::Open => {
            let end = span.end.since(span.begin);
            if ended + NOT_FOLLOWED < end {
                return Last::Leaves;
            }
            stay.until = end.max(stay.at);
            Last::Nothing
        }
    }
}

/// When the last packet of an entry that expired came, and with what it was armed.
fn last_packet(
    stay: &Stay,
    ended: Duration,
    protocol: Protocol,
    gaps: &[Gap],
    in_force: &Timeouts,
) -> Option<(Duration, Armed)> {
    if let Some(gap) = gaps.last().filter(|gap| gap.end == GapEnd::Expired) {
        let began = Duration::from_micros(u64::try_from(gap.began).unwrap_or(0));
        return Some((began.max(stay.at), gap.armed));
    }
    let secs = in_force_secs(in_force, stay.state.held_by(protocol)?)?;
    let latest = ended.saturating_sub(Duration::from_secs(secs.into()));
    let is_first = stay.state != State::Assured && protocol != Protocol::TCP && latest <= stay.at + GC_LAG;
    let packet = if is_first { stay.at } else { stay.at.max(latest.saturating_sub(GC_LAG / 2)) };
    Some((packet, Armed::Own))
}

/// Whether a flow that goes on talking stays in a state, and its entry with it. In the others a packet leads on, or does not arm
/// the entry anew.
pub(super) const fn is_kept(state: State, protocol: Protocol) -> bool {
    match state {
        State::Tcp(TcpState::Established | TcpState::CloseWait) | State::Unreplied | State::Assured => true,
        State::Replied => !matches!(protocol, Protocol::UDP | Protocol::UDPLITE | Protocol::GRE),
        _ => false,
    }
}
