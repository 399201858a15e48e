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
    sequences: Sequences,
}

/// How far both ends are in their sequence numbers. It is all that a flow's packets need of those before them where addresses are
/// somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequences {
    /// What each side sends next, the client first.
    next: [u32; 2],
}

/// What a packet says beside addresses and ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Bytes of payload.
    pub payload_bytes: u16,
    /// TCP's numbers; `None` for other protocols.
    pub tcp: Option<TcpNumbers>,
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
        Self { client: flow.client, server: flow.server, sequences: Sequences::new(flow) }
    }

    /// Sends a packet: what it takes of its sender's sequence numbers is taken.
    pub fn send(&mut self, flow: &Flow, packet: Packet) -> Sent {
        let (from, to) = match packet.from {
            Side::Client => (flow.client, flow.server),
            Side::Server => (self.server, self.client),
        };
        let Said { payload_bytes, tcp } = self.sequences.send(flow, packet);
        Sent { from, to, payload_bytes, tcp }
    }
}

impl Sequences {
    /// Before anything was sent.
    pub const fn new(flow: &Flow) -> Self {
        Self { next: [flow.number, !flow.number] }
    }

    /// Sends a packet: what it takes of its sender's sequence numbers is taken.
    #[inline]
    pub fn send(&mut self, flow: &Flow, packet: Packet) -> Said {
        let segment = match packet.content {
            Content::Tcp(segment) => segment,
            Content::Udp(payload_bytes) | Content::Echo(payload_bytes) => return Said { payload_bytes, tcp: None },
            Content::Announce(_) => return Said { payload_bytes: 0, tcp: None },
        };
        let payload_bytes = match segment {
            Segment::Data(bytes) => bytes,
            Segment::Passive(port) => passive_bytes(flow, port),
            _ => 0,
        };
        let (flags, of_its_own) = (segment.flags(), u32::from(segment.is_numbered()));
        let sequence = self.next[packet.from as usize];
        let other = self.next[packet.from.other() as usize];
        self.next[packet.from as usize] = sequence.wrapping_add(of_its_own).wrapping_add(payload_bytes.into());
        let acknowledgement = if flags & ACK == 0 { 0 } else { other };
        Said { payload_bytes, tcp: Some(TcpNumbers { flags, sequence, acknowledgement }) }
    }
}

impl Segment {
    #[inline]
    const fn flags(self) -> u8 {
        match self {
            Self::Syn => SYN,
            Self::SynAck => SYN | ACK,
            Self::Ack => ACK,
            Self::Data(_) | Self::Passive(_) => PSH | ACK,
            Self::Fin => FIN | ACK,
            Self::Reset => RST | ACK,
        }
    }

    /// Whether it takes a sequence number beside those of its payload.
    #[inline]
    const fn is_numbered(self) -> bool {
        matches!(self, Self::Syn | Self::SynAck | Self::Fin)
    }
}

#[cold]
fn passive_bytes(flow: &Flow, port: u16) -> u16 {
    u16::try_from(passive_text(*flow.server.ip(), port).len()).unwrap_or(u16::MAX)
}

/// What a server says to announce a port of an address.
pub fn passive_text(address: Ipv4Addr, port: u16) -> String {
    let [a, b, c, d] = address.octets();
    format!("227 Entering Passive Mode ({a},{b},{c},{d},{},{}).\r\n", port >> 8, port & 0xff)
}
