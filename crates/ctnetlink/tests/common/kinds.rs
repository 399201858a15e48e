//! Entries of every kind that the kernel tells apart.

use std::net::IpAddr;

use plimsoll_ctnetlink::{Layer4, NewEntry, Protocol, Status, TcpState, Tuple, Zone};
use plimsoll_lab::{Kind, entries};

pub(crate) fn every_kind() -> Vec<NewEntry> {
    let tcp = TcpState::ALL.iter().flat_map(|state| [Kind::AssuredTcp(*state), Kind::Tcp(*state)]);
    let others = [Kind::UdpUnreplied, Kind::UdpStream, Kind::Ipv6, Kind::DestinationNat, Kind::Generic(253)];
    let mut made: Vec<NewEntry> = tcp.chain(others).flat_map(|kind| entries(kind, 0, 20)).collect();
    // The same flow in three zones is three entries.
    for zone in [1, 2, u16::MAX] {
        made.extend(entries(Kind::UdpUnreplied, 0, 1).map(|entry| NewEntry { zone: Zone(zone), ..entry }));
    }
    let ports = Layer4::Ports { source: 1, destination: 65_535 };
    for address in ["192.0.2.9", "2001:db8::9"] {
        made.push(plain(address, Protocol::SCTP, ports, ports_turned(ports)));
        made.push(plain(address, Protocol::GRE, ports, ports_turned(ports)));
        made.push(plain(address, Protocol(254), Layer4::None, Layer4::None));
    }
    let echo = |kind| Layer4::Icmp { id: 0xfffe, kind, code: 0 };
    made.push(plain("192.0.2.9", Protocol::ICMP, echo(8), echo(0)));
    made.push(plain("2001:db8::9", Protocol::ICMPV6, echo(128), echo(129)));
    made
}

/// An entry of a flow from an address to itself.
fn plain(address: &str, protocol: Protocol, original: Layer4, reply: Layer4) -> NewEntry {
    let address: IpAddr = address.parse().unwrap();
    let tuple = |layer4| Tuple { source: address, destination: address, protocol, layer4 };
    NewEntry {
        original: tuple(original),
        reply: tuple(reply),
        zone: Zone::default(),
        status: Status::default(),
        tcp_state: None,
        timeout_secs: 100,
    }
}

fn ports_turned(layer4: Layer4) -> Layer4 {
    let Layer4::Ports { source, destination } = layer4 else { panic!("ports") };
    Layer4::Ports { source: destination, destination: source }
}
