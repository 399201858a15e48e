//! A scenario's packets, as the twin gets them.

use std::net::{IpAddr, SocketAddrV4};

use plimsoll_model::{Layer4, Protocol, Tuple};
use plimsoll_scenario::{Flow, FlowProtocol, Said, WINDOW};
use plimsoll_twin::packet::{Content, Segment};

/// What trackers look at.
#[inline]
pub(crate) fn content(said: Said) -> Content<'static> {
    match said.tcp {
        None => Content::Plain,
        Some(numbers) => Content::Tcp(Segment {
            payload_bytes: said.payload_bytes.into(),
            ..Segment::new(numbers.flags, numbers.sequence, numbers.acknowledgement, WINDOW)
        }),
    }
}

/// The tuple of a client's packets.
#[inline]
pub(crate) fn question(flow: &Flow) -> Tuple {
    const ECHO_REQUEST: u8 = 8;
    tuple(flow.protocol, flow.client, flow.server, (flow.client.port(), ECHO_REQUEST))
}

/// The tuple of a server's packets, if nothing is translated.
#[inline]
pub(crate) fn answer(flow: &Flow) -> Tuple {
    const ECHO_REPLY: u8 = 0;
    tuple(flow.protocol, flow.server, flow.client, (flow.client.port(), ECHO_REPLY))
}

#[inline]
fn tuple(protocol: FlowProtocol, from: SocketAddrV4, to: SocketAddrV4, (id, kind): (u16, u8)) -> Tuple {
    let ports = Layer4::Ports { source: from.port(), destination: to.port() };
    let (protocol, layer4) = match protocol {
        FlowProtocol::Tcp => (Protocol::TCP, ports),
        FlowProtocol::Udp => (Protocol::UDP, ports),
        FlowProtocol::Icmp => (Protocol::ICMP, Layer4::Icmp { id, kind, code: 0 }),
    };
    Tuple { source: IpAddr::V4(*from.ip()), destination: IpAddr::V4(*to.ip()), protocol, layer4 }
}
