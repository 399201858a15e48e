//! What the two ends of a flow have sent: by this each packet gets its addresses and its sequence numbers.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::Flow;
use crate::script::{Content, Packet, Segment, Side};

/// The two ends of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// What the server takes for the client.
    pub client: SocketAddrV4,
    /// What the server takes for itself.
    pub server: SocketAddrV4,
    client_sends: u32,
    server_sends: u32,
}

/// A packet with all that follows from what was sent before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Who sends it, as it stands in the packet. For ICMP the port is the echo's identifier.
    pub from: SocketAddrV4,
    /// Who is to get it.
    pub to: SocketAddrV4,
    /// Bytes of payload.
    pub payload_bytes: u16,
    /// TCP's numbers; `None` for other protocols.
    pub tcp: Option<TcpNumbers>,
}

/// What a TCP header says beside ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpNumbers {
    /// Flags, as the header's 14th byte has them.
    pub flags: u8,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number; 0 without the flag.
    pub acknowledgement: u32,
}

/// The window of every segment: the largest that needs no scaling.
pub const WINDOW: u16 = 0xffff;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

impl Ends {
    /// Before anything was sent.
    pub const fn new(flow: &Flow) -> Self {
        Self { client: flow.client, server: flow.server, client_sends: flow.number, server_sends: !flow.number }
    }

    /// Sends a packet: what it takes of its sender's sequence numbers is taken.
    #[inline]
    pub fn send(&mut self, flow: &Flow, packet: Packet) -> Sent {
        let (from, to) = match packet.from {
            Side::Client => (flow.client, flow.server),
            Side::Server => (self.server, self.client),
        };
        let payload_bytes = match packet.content {
            Content::Tcp(Segment::Passive(port)) => {
                u16::try_from(passive_text(*flow.server.ip(), port).len()).unwrap_or(u16::MAX)
            }
            Content::Tcp(Segment::Data(bytes)) | Content::Udp(bytes) | Content::Echo(bytes) => bytes,
            Content::Tcp(_) | Content::Announce(_) => 0,
        };
        let tcp = match packet.content {
            Content::Tcp(segment) => Some(self.numbers(packet.from, segment, payload_bytes)),
            _ => None,
        };
        Sent { from, to, payload_bytes, tcp }
    }

    #[inline]
    fn numbers(&mut self, side: Side, segment: Segment, payload_bytes: u16) -> TcpNumbers {
        let (flags, of_its_own) = match segment {
            Segment::Syn => (SYN, 1),
            Segment::SynAck => (SYN | ACK, 1),
            Segment::Ack => (ACK, 0),
            Segment::Data(_) | Segment::Passive(_) => (PSH | ACK, 0),
            Segment::Fin => (FIN | ACK, 1),
            Segment::Reset => (RST | ACK, 0),
        };
        let (sends, other) = match side {
            Side::Client => (&mut self.client_sends, self.server_sends),
            Side::Server => (&mut self.server_sends, self.client_sends),
        };
        let sequence = *sends;
        *sends = sequence.wrapping_add(of_its_own).wrapping_add(payload_bytes.into());
        TcpNumbers { flags, sequence, acknowledgement: if flags & ACK == 0 { 0 } else { other } }
    }
}

/// What a server says to announce a port of an address.
pub fn passive_text(address: Ipv4Addr, port: u16) -> String {
    let [a, b, c, d] = address.octets();
    format!("227 Entering Passive Mode ({a},{b},{c},{d},{},{}).\r\n", port >> 8, port & 0xff)
}
