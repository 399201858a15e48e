//! Flows played under settings that are changed twice meanwhile.

use std::thread;
use std::time::Duration;

use plimsoll_ctnetlink::{Entry, Status, TcpState};
use plimsoll_lab::ByHand;
use plimsoll_model::{SctpState, Timeout};

use super::flows::{Flow, Kind};
use super::table;

pub(crate) const FLOWS: u32 = 10_000;

pub(crate) const fn of(state: TcpState) -> Timeout {
    Timeout::Tcp(state)
}

/// The first change: longer here, shorter there.
pub(crate) const BETWEEN: [(Timeout, u32); 13] = [
    (of(TcpState::Established), 7200),
    (of(TcpState::SynSent), 300),
    (of(TcpState::SynRecv), 250),
    (of(TcpState::FinWait), 300),
    (of(TcpState::CloseWait), 280),
    (of(TcpState::TimeWait), 400),
    (Timeout::TcpUnacknowledged, 900),
    (Timeout::TcpMaxRetrans, 700),
    (Timeout::Udp, 200),
    (Timeout::UdpStream, 500),
    (Timeout::Icmp, 100),
    (Timeout::Icmpv6, 110),
    (Timeout::Sctp(SctpState::Established), 300),
];

/// The second change, in force when it is trimmed. None is so short that a flow could outlive it while the test runs.
pub(crate) const NOW: [(Timeout, u32); 13] = [
    (of(TcpState::Established), 3600),
    (of(TcpState::SynSent), 60),
    (of(TcpState::SynRecv), 60),
    (of(TcpState::FinWait), 61),
    (of(TcpState::CloseWait), 62),
    (of(TcpState::TimeWait), 63),
    (Timeout::TcpUnacknowledged, 100),
    (Timeout::TcpMaxRetrans, 150),
    (Timeout::Udp, 60),
    (Timeout::UdpStream, 90),
    (Timeout::Icmp, 60),
    (Timeout::Icmpv6, 60),
    (Timeout::Sctp(SctpState::Established), 100),
];

/// Plays flows until they are quiet; streams until the kernel takes them for such.
pub(crate) fn play(router: &ByHand, flows: &[Flow]) {
    for flow in flows {
        flow.begin(router);
    }
    let streams: Vec<Flow> = flows.iter().copied().filter(|flow| flow.kind == Kind::UdpStream).collect();
    let is_stream = |entry: &Entry| {
        let from = streams.iter().any(|flow| flow.client().ip() == entry.original.source);
        from && entry.status.has(Status::ASSURED)
    };
    // Two seconds after its first packet one is a stream; when the last is, all may be.
    let last = &streams[streams.len() - 1];
    let is_last = |entry: &Entry| entry.original.source == last.client().ip() && entry.status.has(Status::ASSURED);
    while !table(router.namespace()).values().any(is_last) {
        last.go_on(router);
        thread::sleep(Duration::from_millis(50));
    }
    for flow in &streams {
        flow.go_on(router);
    }
    assert_eq!(table(router.namespace()).values().filter(|entry| is_stream(entry)).count(), streams.len());
}
