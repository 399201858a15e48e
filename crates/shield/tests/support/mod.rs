//! Entries, and shields.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::net::{IpAddr, Ipv4Addr};

use plimsoll_model::{
    Class, Entry, Layer4, Ports, Protocol, ProtocolState, Shield, SourceLimits, Status, TcpState, Tuple, Way,
};
use plimsoll_shield::Proposal;

/// The address of a source.
pub(crate) fn address(source: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, source).into()
}

/// A shield of new TCP connections to a port.
pub(crate) fn shield(port: u16) -> Shield {
    let class = Class::Syns { way: Way::Incoming, ports: Some(Ports::one(port).unwrap()) };
    let limits: Option<SourceLimits> = Some(Proposal::usual_limits(&class));
    Shield { class, limits, drop: Vec::new(), allow: Vec::new() }
}

/// A flow whose handshake is done.
pub(crate) fn done(source: u8, from: u16, port: u16) -> Entry {
    tcp(source, from, port, TcpState::Established, Status::SEEN_REPLY.and(Status::ASSURED))
}

/// A flow whose handshake is not done.
pub(crate) fn half_open(source: u8, from: u16, port: u16) -> Entry {
    tcp(source, from, port, TcpState::SynRecv, Status::SEEN_REPLY)
}

pub(crate) fn tcp(source: u8, from: u16, port: u16, state: TcpState, status: Status) -> Entry {
    entry(address(source), Protocol::TCP, from, port, ProtocolState::Tcp(state), status)
}

pub(crate) fn entry(
    source: IpAddr,
    protocol: Protocol,
    from: u16,
    port: u16,
    state: ProtocolState,
    status: Status,
) -> Entry {
    let layer4 = Layer4::Ports { source: from, destination: port };
    let tuple = Tuple { source, destination: Ipv4Addr::new(198, 51, 100, 1).into(), protocol, layer4 };
    Entry { state, status, ..Entry::of(tuple) }
}
