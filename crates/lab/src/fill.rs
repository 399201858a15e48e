//! Entries made through ctnetlink: any state in any number, without sending a packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use plimsoll_ctnetlink::{Layer4, NewEntry, Protocol, Status, TcpState, Tuple, Zone};

/// What an entry looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP in a state, assured.
    AssuredTcp(TcpState),
    /// TCP in a state, not assured.
    Tcp(TcpState),
    /// UDP that saw no reply.
    UdpUnreplied,
    /// UDP stream, assured.
    UdpStream,
    /// TCP over IPv6, established, assured.
    Ipv6,
    /// TCP whose destination is translated.
    DestinationNat,
    /// A protocol without a tracker.
    Generic(u8),
}

/// Seconds that made entries have left: none expires while a test runs.
const TIMEOUT_SECS: u32 = 3600;

/// `count` distinct entries of a kind; entries of different kinds, and of other `first`s, are distinct too.
///
/// Sources spread over 10.0.0.0/8 so that each has up to 16 entries; all go to one service.
pub fn entries(kind: Kind, first: u32, count: u32) -> impl Iterator<Item = NewEntry> {
    (first..first.saturating_add(count)).map(move |number| entry(kind, number))
}

fn entry(kind: Kind, number: u32) -> NewEntry {
    let source = Ipv4Addr::from_bits(0x0a00_0000 | (number >> 4 & 0x00ff_ffff));
    // 16 source ports an address; each kind has a range of its own.
    let source_port = 1024 + (number & 0xf) as u16;
    let (protocol, tcp_state, status, offset) = match kind {
        Kind::AssuredTcp(state) => (Protocol::TCP, Some(state), ASSURED, 0x100 * (state as u16 + 1)),
        Kind::Tcp(state) => (Protocol::TCP, Some(state), Status::default(), 0x100 * (state as u16 + 17)),
        Kind::UdpUnreplied => (Protocol::UDP, None, Status::default(), 0x100),
        Kind::UdpStream => (Protocol::UDP, None, ASSURED, 0x200),
        Kind::Ipv6 => (Protocol::TCP, Some(TcpState::Established), ASSURED, 0x100),
        Kind::DestinationNat => (Protocol::TCP, Some(TcpState::Established), ASSURED, 0x4000),
        Kind::Generic(number) => (Protocol(number), None, Status::default(), 0),
    };
    let server = Ipv4Addr::new(192, 0, 2, 1);
    let (source, destination): (IpAddr, IpAddr) = match kind {
        Kind::Ipv6 => {
            let site = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0).to_bits();
            (Ipv6Addr::from_bits(site | u128::from(source.to_bits())).into(), Ipv6Addr::from_bits(site | 1).into())
        }
        Kind::Generic(_) => (Ipv4Addr::from_bits(0x0a00_0000 | (number & 0x00ff_ffff)).into(), server.into()),
        _ => (source.into(), server.into()),
    };
    let port = if protocol == Protocol::UDP { 53 } else { 443 };
    let layer4 = match kind {
        Kind::Generic(_) => Layer4::None,
        _ => Layer4::Ports { source: source_port + offset, destination: port },
    };
    let original = Tuple { source, destination, protocol, layer4 };
    let mut reply = original.mirrored();
    if kind == Kind::DestinationNat {
        reply.source = Ipv4Addr::new(198, 51, 100, 7).into();
        reply.layer4 = Layer4::Ports { source: 8080, destination: source_port + offset };
    }
    NewEntry { original, reply, zone: Zone::default(), status, tcp_state, timeout_secs: TIMEOUT_SECS }
}

const ASSURED: Status = Status::SEEN_REPLY.and(Status::ASSURED);

/// `count` entries as a busy proxy has them: half closing, a third established, the rest half-open, UDP and IPv6, in an
/// order in which the kinds are mixed.
pub fn mixed_entries(count: u32) -> impl Iterator<Item = NewEntry> {
    const PATTERN: [Kind; 20] = {
        use Kind::{AssuredTcp, Ipv6, Tcp, UdpStream, UdpUnreplied};
        let (waiting, established) = (AssuredTcp(TcpState::TimeWait), AssuredTcp(TcpState::Established));
        let (closing, half_open) = (AssuredTcp(TcpState::CloseWait), Tcp(TcpState::SynSent));
        [
            waiting,
            established,
            waiting,
            UdpUnreplied,
            waiting,
            established,
            half_open,
            waiting,
            established,
            waiting,
            Ipv6,
            waiting,
            established,
            waiting,
            UdpStream,
            waiting,
            established,
            closing,
            waiting,
            established,
        ]
    };
    (0..count).map(|number| entry(PATTERN[number as usize % PATTERN.len()], number))
}
