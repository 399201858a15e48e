//! TCP flows between random addresses, and their packets.
#![allow(dead_code, reason = "each bench takes what it needs")]

use std::net::{IpAddr, Ipv4Addr};

use plimsoll_draw::Draw;
use plimsoll_model::{Layer4, Protocol, Tuple};
use plimsoll_twin::packet::{Content, Packet, Segment, flags};

/// Packets between two looks at the clock, which takes a third of a microsecond.
pub(crate) const BURST: usize = 1024;
/// Of each packet.
const PAYLOAD_BYTES: u32 = 100;
const WINDOW: u16 = 65_535;

/// As many flows, and how much each side of each has sent.
pub(crate) struct Flows {
    sent_bytes: Vec<[u32; 2]>,
    draw: Draw,
}

/// A packet of the three that open a connection.
#[derive(Clone, Copy)]
pub(crate) enum Handshake {
    Syn,
    SynAck,
    Ack,
}

/// A packet, and the number of its flow.
#[derive(Clone, Copy)]
pub(crate) struct Numbered {
    pub(crate) flow: u32,
    pub(crate) packet: Packet<'static>,
}

impl Flows {
    pub(crate) fn new(count: u32) -> Self {
        Self { sent_bytes: vec![[0; 2]; count as usize], draw: Draw::new(1) }
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.sent_bytes.len()).unwrap_or(u32::MAX)
    }

    /// Data of flows that are drawn at random, from a side that is drawn at random.
    pub(crate) fn fill(&mut self, burst: &mut Vec<Numbered>) {
        burst.clear();
        for _ in 0..BURST {
            let flow = self.draw.below(self.count());
            let side = self.draw.below(2) as usize;
            let sent = &mut self.sent_bytes[flow as usize];
            let segment = Segment {
                payload_bytes: PAYLOAD_BYTES,
                ..Segment::new(
                    flags::ACK | flags::PSH,
                    sent[side].wrapping_add(1),
                    sent[1 - side].wrapping_add(1),
                    WINDOW,
                )
            };
            sent[side] = sent[side].wrapping_add(PAYLOAD_BYTES);
            let asks = tuple(flow);
            let tuple = if side == 0 { asks } else { asks.mirrored() };
            burst.push(Numbered { flow, packet: Packet::Flow { tuple, content: Content::Tcp(segment) } });
        }
    }
}

/// A packet that opens a flow.
pub(crate) fn opening(flow: u32, which: Handshake) -> Numbered {
    let asks = tuple(flow);
    let (tuple, segment) = match which {
        Handshake::Syn => (asks, Segment::new(flags::SYN, 0, 0, WINDOW)),
        Handshake::SynAck => (asks.mirrored(), Segment::new(flags::SYN | flags::ACK, 0, 1, WINDOW)),
        Handshake::Ack => (asks, Segment::new(flags::ACK, 1, 1, WINDOW)),
    };
    Numbered { flow, packet: Packet::Flow { tuple, content: Content::Tcp(segment) } }
}

/// No two flows have the same client: an odd factor makes each number another one.
pub(crate) fn tuple(flow: u32) -> Tuple {
    let mut draw = Draw::new(flow.into());
    let client = flow.wrapping_mul(0x9e37_79b1) ^ 0x5bd1_e995;
    let [source, server] = [draw.below(0x1_0000), draw.below(0x1_0000)];
    Tuple {
        source: IpAddr::V4(Ipv4Addr::from_bits(client)),
        destination: IpAddr::V4(Ipv4Addr::from_bits(0xc633_0000 | server)),
        protocol: Protocol::TCP,
        layer4: Layer4::Ports { source: u16::try_from(source).unwrap_or_default(), destination: 443 },
    }
}
