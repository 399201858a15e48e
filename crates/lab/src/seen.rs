//! What comes out of the router.

use std::net::{Ipv4Addr, SocketAddrV4};

use plimsoll_scenario::FlowProtocol;

/// An IPv4 header without options.
const HEADER: usize = 20;

/// What a packet that came out says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) from: SocketAddrV4,
    pub(crate) to: SocketAddrV4,
    pub(crate) mark: u16,
    pub(crate) protocol: FlowProtocol,
}

/// Reads what the player has sent, after a router has translated it; `None` for anything else.
pub(crate) fn read(packet: &[u8]) -> Option<Seen> {
    if *packet.first()? != 0x45 {
        return None;
    }
    let word = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
    let address = |at: usize| Some(Ipv4Addr::from_octets(packet.get(at..at + 4)?.try_into().ok()?));
    let (protocol, ports) = match packet.get(9)? {
        6 => (FlowProtocol::Tcp, (word(HEADER)?, word(HEADER + 2)?)),
        17 => (FlowProtocol::Udp, (word(HEADER)?, word(HEADER + 2)?)),
        1 => (FlowProtocol::Icmp, (word(HEADER + 4)?, 0)),
        _ => return None,
    };
    Some(Seen {
        from: SocketAddrV4::new(address(12)?, ports.0),
        to: SocketAddrV4::new(address(16)?, ports.1),
        mark: word(4)?,
        protocol,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Defect, Transport, datagram};

    #[test]
    fn what_was_written_is_read() {
        let (from, to): (SocketAddrV4, SocketAddrV4) =
            ("10.0.0.1:40000".parse().unwrap(), "192.0.2.1:443".parse().unwrap());
        let transport = Transport::Udp { ports: [from.port(), to.port()], payload: b"x" };
        let bytes = datagram((*from.ip()).into(), (*to.ip()).into(), 0xbeef, &transport, Defect::None);
        assert_eq!(read(&bytes), Some(Seen { from, to, mark: 0xbeef, protocol: FlowProtocol::Udp }));
        assert_eq!(read(&[0x60; 40]), None);
        assert_eq!(read(&[0x45; 9]), None);
    }
}
