//! The document's table of states says what the code does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::net::Ipv4Addr;
use std::num::NonZeroU64;

use plimsoll_churn::Arming;
use plimsoll_model::{Entry, Layer4, Protocol, ProtocolState, SctpState, Status, TcpState, Tuple};

fn entry(protocol: Protocol, state: ProtocolState) -> Entry {
    let address = Ipv4Addr::LOCALHOST.into();
    Entry { state, ..Entry::of(Tuple { source: address, destination: address, protocol, layer4: Layer4::None }) }
}

/// Every state that an entry can show, under the name that the document has for it.
fn states() -> Vec<(String, Entry)> {
    let tcp = TcpState::ALL
        .iter()
        .map(|state| (format!("tcp {}", state.name()), entry(Protocol::TCP, ProtocolState::Tcp(*state))));
    let sctp = SctpState::ALL
        .iter()
        .map(|state| (format!("sctp {}", state.name()), entry(Protocol::SCTP, ProtocolState::Sctp(*state))));
    let udp = |status, packets| Entry {
        status,
        packets: NonZeroU64::new(packets),
        ..entry(Protocol::UDP, ProtocolState::None)
    };
    let one_way = Status::default();
    let rest = [
        ("udp, not answered", udp(one_way, 0)),
        ("udp, not answered, one packet", udp(one_way, 1)),
        ("udp, not answered, more packets", udp(one_way, 2)),
        ("udp, answered", udp(Status::SEEN_REPLY, 0)),
        ("udp, answered, two packets", udp(Status::SEEN_REPLY, 2)),
        ("udp, answered, more packets", udp(Status::SEEN_REPLY, 3)),
        ("udp, assured", udp(Status::SEEN_REPLY.and(Status::ASSURED), 0)),
        ("icmp, icmpv6", entry(Protocol::ICMP, ProtocolState::None)),
        ("gre", entry(Protocol::GRE, ProtocolState::None)),
        ("dccp", entry(Protocol::DCCP, ProtocolState::Dccp(1))),
        ("other protocols", entry(Protocol(253), ProtocolState::None)),
    ];
    tcp.chain(sctp).chain(rest.map(|(name, entry)| (name.to_string(), entry))).collect()
}

fn row(name: &str, entry: &Entry) -> String {
    match Arming::of(entry) {
        Arming::Once { series, because, .. } => format!("| {name} | once: {} | {because} |", series.words()),
        Arming::Again { because } => format!("| {name} | again and again | {because} |"),
        Arming::Unknown { because } => format!("| {name} | not known | {because} |"),
    }
}

#[test]
fn every_state_is_in_the_document_with_how_it_is_armed_and_why() {
    let document = include_str!("../../../docs/churn.md");
    let rows: Vec<_> = states().iter().map(|(name, entry)| row(name, entry)).collect();
    let missing: Vec<_> = rows.iter().filter(|row| !document.lines().any(|line| line == *row)).collect();
    assert!(missing.is_empty(), "docs/churn.md lacks\n{}", rows.join("\n"));
}
