//! What is proposed for what a table's entries look like.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use plimsoll_census::{Armings, Counting, DumpNotes};
use plimsoll_model::{
    Census, Class, Coverage, Entry, FindingId, Network, Occupancy, Policies, Ports, Protocol, ProtocolState, Status,
    TcpState, Timeouts, Tuple, Way,
};
use plimsoll_shield::{Because, Proposal, Unfit, fit, propose};

use support::{address, done, entry, half_open, shield, tcp};

const SYN_RECV: ProtocolState = ProtocolState::Tcp(TcpState::SynRecv);

fn proposed(id: FindingId, entries: &[Entry]) -> Option<Proposal> {
    propose(id, &census(entries), &|address| address == own())
}

fn census(entries: &[Entry]) -> Census {
    let mut counting = Counting::new(Armings::in_force(&Timeouts::default(), Policies::None, u32::MAX));
    for entry in entries {
        counting.add(entry);
    }
    let occupancy = Occupancy(u32::try_from(entries.len()).unwrap());
    counting.finish(Coverage::Complete, occupancy, DumpNotes::default())
}

fn own() -> IpAddr {
    Ipv4Addr::new(198, 51, 100, 9).into()
}

fn spoofed(count: u32, status: Status) -> Vec<Entry> {
    let source = |number| IpAddr::from(Ipv4Addr::from_bits(0x0b00_0000 + number));
    (0..count).map(|number| entry(source(number), Protocol::TCP, 1024, 443, SYN_RECV, status)).collect()
}

#[test]
fn a_few_sources_are_limited_and_the_heavy_ones_dropped() {
    let mut entries: Vec<_> = (0..400).map(|number| half_open(1 + u8::from(number % 2 == 0), number, 443)).collect();
    entries.extend((0..20).map(|number| half_open(3, number, 443)));
    // One of them has completed flows too: it is limited, and not dropped.
    entries.extend((0..5).map(|number| done(2, 5000 + number, 443)));
    let proposal = proposed(FindingId::SynFlood, &entries).unwrap();
    assert_eq!(proposal.because, Because::FewSources);
    let ports = Some(Ports::one(443).unwrap());
    assert_eq!(proposal.shield.class, Class::Syns { way: Way::Incoming, ports });
    assert_eq!(proposal.shield.drop, [Network::host(address(1))]);
    assert!(proposal.shield.limits.is_some());
    fit(&proposal.shield).unwrap();
}

#[test]
fn spoofed_sources_are_answered_by_synproxy_unless_the_service_is_translated() {
    let proposal = proposed(FindingId::SynFlood, &spoofed(500, Status::SEEN_REPLY)).unwrap();
    assert_eq!(proposal.because, Because::SpoofedSources);
    assert_eq!(proposal.shield.class, Class::Handshakes { ports: Ports::one(443).unwrap() });
    assert_eq!((proposal.shield.limits, proposal.shield.drop.len()), (None, 0));
    fit(&proposal.shield).unwrap();
    let translated = proposed(FindingId::SynFlood, &spoofed(500, Status::SEEN_REPLY.and(Status::DST_NAT))).unwrap();
    assert!(matches!(translated.shield.class, Class::Syns { .. }), "{translated:?}");
    assert!(translated.shield.limits.is_some());
}

#[test]
fn synproxy_is_for_ipv4_alone() {
    let source = |number: u32| IpAddr::from(Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(number) << 64));
    let of_v6 = (0..500).map(|number| entry(source(number), Protocol::TCP, 1024, 443, SYN_RECV, Status::SEEN_REPLY));
    let proposal = proposed(FindingId::SynFlood, &of_v6.collect::<Vec<_>>()).unwrap();
    assert!(matches!(proposal.shield.class, Class::Syns { .. }), "{proposal:?}");
    assert!(proposal.shield.limits.is_some());
}

#[test]
fn who_scans_is_limited_where_its_packets_are_met() {
    let scan = |source: IpAddr| -> Vec<Entry> {
        let to = |number: u16| Tuple {
            destination: Ipv4Addr::new(203, 0, 113, u8::try_from(number).unwrap()).into(),
            ..entry(source, Protocol::TCP, 1000, 23, SYN_RECV, Status::default()).original
        };
        let state = ProtocolState::Tcp(TcpState::SynSent);
        (0..100).map(|number| Entry { state, ..Entry::of(to(number)) }).collect()
    };
    let ports = Some(Ports::one(23).unwrap());
    for (source, way) in [(own(), Way::Outgoing), (address(7), Way::Incoming)] {
        let proposal = proposed(FindingId::OutboundScan, &scan(source)).unwrap();
        assert_eq!(proposal.because, Because::Scan);
        assert_eq!(proposal.shield.class, Class::Syns { way, ports: ports.clone() });
    }
    assert_eq!(proposed(FindingId::SynFlood, &scan(own())), None, "a scan is no flood");
}

#[test]
fn datagrams_that_nobody_answers_are_limited_by_the_ports_that_they_go_to() {
    let none = ProtocolState::None;
    let to = |port: fn(u16) -> u16| -> Vec<Entry> {
        let unreplied = Status::default();
        (0..300).map(|from| entry(address(5), Protocol::UDP, from, port(from), none, unreplied)).collect()
    };
    let proposal = proposed(FindingId::UdpUnreplied, &to(|_| 514)).unwrap();
    let ports = Ports::one(514).unwrap();
    assert_eq!(proposal.shield.class, Class::Datagrams { way: Way::Incoming, ports, known: Vec::new() });
    assert_eq!(proposal.shield.drop, [Network::host(address(5))]);
    // To every port a few: there is nothing that a shield could be confined to.
    assert_eq!(proposed(FindingId::UdpUnreplied, &to(|from| 1000 + from)), None);
}

#[test]
fn nothing_is_proposed_for_what_is_not_there_or_is_no_flood() {
    let calm: Vec<_> = (0..100).map(|number| done(1, number, 443)).collect();
    for id in [FindingId::SynFlood, FindingId::UdpUnreplied, FindingId::OutboundScan] {
        assert_eq!(proposed(id, &calm), None, "{id}");
    }
    let flood: Vec<_> = (0..100).map(|number| tcp(1, number, 443, TcpState::SynSent, Status::default())).collect();
    assert_eq!(proposed(FindingId::TableFull, &flood), None);
}

#[test]
fn a_shield_that_does_nothing_or_is_too_large_is_unfit() {
    let mut shield = shield(443);
    fit(&shield).unwrap();
    shield.allow = vec![Network::host(address(1)); 4097];
    assert!(matches!(fit(&shield), Err(Unfit::TooMany { count: 4097, .. })));
    shield.allow.clear();
    shield.limits = None;
    assert_eq!(fit(&shield), Err(Unfit::Nothing));
    shield.drop.push(Network::host(address(1)));
    fit(&shield).unwrap();
}
