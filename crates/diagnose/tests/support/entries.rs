//! Entries of every kind, and tables full of them.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::net::{IpAddr, Ipv4Addr};

use plimsoll_model::{Entry, Layer4, Protocol, ProtocolState, Snapshot, Status, TcpState, Tuple};

use super::{census_of, host};

pub(crate) const ASSURED: Status = Status::CONFIRMED.and(Status::SEEN_REPLY).and(Status::ASSURED);
pub(crate) const REPLIED: Status = Status::CONFIRMED.and(Status::SEEN_REPLY);
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// A table of so many entries.
pub(crate) fn table(entries: impl IntoIterator<Item = Entry>) -> Snapshot {
    let mut snapshot = host();
    let numbered = entries.into_iter().enumerate();
    let mut entries: Vec<_> = numbered.map(|(id, entry)| Entry { id: id.try_into().unwrap(), ..entry }).collect();
    // A dump comes in the order of a keyed hash.
    entries.sort_by_key(|entry| entry.id.wrapping_mul(0x9e37_79b9));
    let ns = &mut snapshot.namespaces[0];
    ns.timeouts = plimsoll_model::Timeouts::compiled_defaults();
    ns.occupancy = Some(plimsoll_model::Occupancy(entries.len().try_into().unwrap()));
    ns.census = Some(census_of(&ns.timeouts, &entries));
    snapshot
}

pub(crate) fn tuple(protocol: Protocol, source: u32, source_port: u16, destination: IpAddr, port: u16) -> Tuple {
    let layer4 = Layer4::Ports { source: source_port, destination: port };
    Tuple { source: Ipv4Addr::from_bits(0x0a00_0000 | source).into(), destination, protocol, layer4 }
}

pub(crate) fn tcp(tuple: Tuple, state: TcpState, status: Status, remaining_secs: u32) -> Entry {
    let state = ProtocolState::Tcp(state);
    Entry { status, state, remaining_secs: Some(remaining_secs), ..Entry::of(tuple) }
}

pub(crate) fn port(number: u32) -> u16 {
    u16::try_from(32_768 + number % 28_000).unwrap()
}

/// Short connections from so many clients, the last closed just now and the first two minutes ago.
pub(crate) fn closed(count: u32, clients: u32) -> impl Iterator<Item = Entry> {
    (0..count).map(move |n| {
        let tuple = tuple(Protocol::TCP, n % clients, port(n / clients), SERVER.into(), 80);
        tcp(tuple, TcpState::TimeWait, ASSURED, n * 120 / count)
    })
}

pub(crate) fn half_open(
    count: u32,
    source: impl Fn(u32) -> u32,
    to: impl Fn(u32) -> IpAddr,
) -> impl Iterator<Item = Entry> {
    (0..count).map(move |n| {
        let tuple = tuple(Protocol::TCP, source(n), port(n), to(n), 443);
        tcp(tuple, TcpState::SynSent, Status::CONFIRMED, n * 120 / count)
    })
}

pub(crate) fn established(count: u32, remaining_secs: u32) -> impl Iterator<Item = Entry> {
    (0..count).map(move |n| {
        let tuple = tuple(Protocol::TCP, 0x2_0000 + n, 40_000, SERVER.into(), 5432);
        tcp(tuple, TcpState::Established, ASSURED, remaining_secs)
    })
}

pub(crate) fn server(_: u32) -> IpAddr {
    SERVER.into()
}

pub(crate) fn anywhere(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0xc633_0000 | number).into()
}
