//! Lives and gaps, written by hand.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file takes what it needs")]

use std::time::Duration;

use plimsoll_model::{Layer4, Protocol, Status, TcpState, Timeout, Timeouts, Tuple, Zone};
use plimsoll_recording::{
    Began, End, FlowKey, GapEnd, IdleGap, Life, Sight, State, Step, TableReading, Translation, UnixMicros,
};
use plimsoll_simulate::{Replay, ReplayOptions};

/// A recording begins then.
pub(crate) const BEGIN: UnixMicros = UnixMicros(1_700_000_000_000_000);

pub(crate) fn at(secs: f64) -> UnixMicros {
    if secs < 0.0 { BEGIN.minus(Duration::from_secs_f64(-secs)) } else { BEGIN.plus(Duration::from_secs_f64(secs)) }
}

pub(crate) const SYN_SENT: State = State::Tcp(TcpState::SynSent);
pub(crate) const SYN_RECV: State = State::Tcp(TcpState::SynRecv);
pub(crate) const ESTABLISHED: State = State::Tcp(TcpState::Established);
pub(crate) const FIN_WAIT: State = State::Tcp(TcpState::FinWait);
pub(crate) const CLOSE_WAIT: State = State::Tcp(TcpState::CloseWait);
pub(crate) const LAST_ACK: State = State::Tcp(TcpState::LastAck);
pub(crate) const TIME_WAIT: State = State::Tcp(TcpState::TimeWait);
pub(crate) const CLOSE: State = State::Tcp(TcpState::Close);

pub(crate) fn tuple(protocol: Protocol, number: u64, port: u16) -> Tuple {
    let [.., a, b, c] = number.to_be_bytes();
    let layer4 = match protocol {
        Protocol::ICMP => Layer4::Icmp { id: port, kind: 8, code: 0 },
        _ => Layer4::Ports { source: 40_000, destination: port },
    };
    Tuple { source: [10, a, b, c].into(), destination: [192, 0, 2, 1].into(), protocol, layer4 }
}

/// A flow that goes on when the recording ends.
pub(crate) fn life(protocol: Protocol, number: u64, port: u16, steps: &[(f64, State)]) -> Life {
    let original = tuple(protocol, number, port);
    Life {
        key: FlowKey(number),
        original,
        reply: plimsoll_twin::inverted(&original).unwrap(),
        zone: Zone(0),
        began: Began::At(at(steps[0].0)),
        steps: steps.iter().map(|(secs, state)| Step { at: at(*secs), state: *state }).collect(),
        ended_at: at(1000.0),
        end: End::Open,
        status: Status::SEEN_REPLY.and(Status::ASSURED),
        volume: None,
        weight: 1.0,
        sight: Sight::Whole,
    }
}

/// A connection that is established in no time.
pub(crate) fn connection(number: u64, secs: f64) -> Life {
    life(Protocol::TCP, number, 443, &[(secs, SYN_SENT), (secs + 0.02, SYN_RECV), (secs + 0.04, ESTABLISHED)])
}

/// One that was there before the recording began.
pub(crate) fn standing(number: u64) -> Life {
    let life = life(Protocol::TCP, number, 443, &[(0.0, ESTABLISHED)]);
    Life { began: Began::Before(BEGIN), sight: Sight::Looks, ..life }
}

pub(crate) fn then(mut life: Life, secs: f64, state: State) -> Life {
    life.steps.push(Step { at: at(secs), state });
    life
}

pub(crate) fn ends(life: Life, secs: f64, end: End) -> Life {
    Life { ended_at: at(secs), end, ..life }
}

/// A silence that a packet ended.
pub(crate) fn gap(life: &Life, held_by: Timeout, from: f64, until: f64) -> IdleGap {
    let lasts = Duration::from_secs_f64(until - from);
    let service = life.original.service();
    IdleGap {
        key: life.key,
        client: life.original.source,
        server: life.original.destination,
        protocol: life.original.protocol,
        port: service.map(|service| service.port),
        translation: Translation::None,
        held_by,
        armed_secs: Timeouts::compiled_defaults().get_secs(held_by).unwrap(),
        began_at: at(from),
        began_within: Duration::ZERO,
        seen_from: Duration::from_secs(3),
        longer_than: lasts.saturating_sub(Duration::from_secs(1)),
        at_most: Some(lasts),
        end: GapEnd::Packet,
        weight: life.weight,
    }
}

/// One that goes on.
pub(crate) fn open_gap(life: &Life, held_by: Timeout, from: f64, end: GapEnd) -> IdleGap {
    IdleGap {
        at_most: None,
        end,
        longer_than: Duration::from_secs_f64(1000.0 - from),
        ..gap(life, held_by, from, 1000.0)
    }
}

/// Of 1000 seconds.
pub(crate) fn readings() -> Vec<TableReading> {
    let reading = |secs| TableReading {
        at: at(secs),
        occupancy: None,
        capacity: None,
        buckets: None,
        counters: [None; plimsoll_model::Counter::ALL.len()],
        events: 0,
        losses: 0,
        dropped_events: None,
        share: 1.0,
        followed: 0,
        looked_at: 0,
    };
    vec![reading(0.0), reading(1000.0)]
}

pub(crate) fn options() -> ReplayOptions {
    ReplayOptions { seed: 1, most_flows: 1_000_000, in_force: Timeouts::default() }
}

pub(crate) fn replay(lives: &[Life], gaps: &[IdleGap]) -> Replay {
    Replay::of(lives.to_vec(), gaps.to_vec(), readings(), &options()).unwrap()
}
