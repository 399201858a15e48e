//! Flows that are played to both: whose they are, and which packet comes next.
//!
//! Each flow follows a story, as real endpoints would tell it, and in between does mischief: what a story would never send,
//! with numbers at the very edges of what the tracker accepts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use plimsoll_draw::Draw;
use plimsoll_model::Protocol;
use plimsoll_scenario::Side;
use plimsoll_twin::Edges;
use plimsoll_twin::packet::flags;

use super::ground::{BACKEND, BACKEND_PORT, GATEWAY, SERVICE, SERVICE_PORT, Translation};
use super::odd;
use super::sctp::SctpTale;
use super::tcp::TcpTale;
use crate::wire::{Defect, MOST_BYTES, TcpHeader, Transport, datagram};

/// A flow.
#[derive(Debug)]
pub(crate) struct Flow {
    number: u32,
    draw: Draw,
    client: End,
    server: End,
    /// What the client calls and the server answers from, where the router translates.
    seen_by_client: End,
    seen_by_server: End,
    tale: Tale,
    /// What each side sent last, from its IP header on.
    last: [Vec<u8>; 2],
    /// A packet that is sent again, and how often yet.
    again: Option<(Side, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct End {
    address: IpAddr,
    port: u16,
}

#[derive(Debug)]
enum Tale {
    Tcp(Box<TcpTale>),
    Sctp(SctpTale),
    Udp,
    UdpLite,
    Icmp,
    Gre { version: u8 },
    Other(Protocol),
}

/// A packet of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) from: Side,
    pub(crate) bytes: Vec<u8>,
}

/// What packets carry: tracking does not look at it.
fn zeroes(bytes: usize) -> &'static [u8] {
    static ZEROES: [u8; MOST_BYTES] = [0; MOST_BYTES];
    ZEROES.get(..bytes).unwrap_or(&ZEROES)
}

impl Flow {
    /// The flow of a number: what it is follows from the number and the seed.
    pub(crate) fn new(number: u32, seed: u64, translation: Translation) -> Self {
        let mut draw = Draw::new(seed ^ u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let is_v6 = draw.below(4) == 0;
        let (client, server) = if is_v6 {
            let client = Ipv6Addr::from_bits((0x2001_0db8_0001_u128 << 80) | (u128::from(number) + 1));
            let server = Ipv6Addr::from_bits((0x2001_0db8_0002_u128 << 80) | (u128::from(number % 7) + 1));
            (IpAddr::V6(client), IpAddr::V6(server))
        } else {
            let client = Ipv4Addr::from_bits(0x0a00_0000 + number + 1);
            (IpAddr::V4(client), IpAddr::V4(Ipv4Addr::new(198, 18, 0, (number % 7) as u8 + 1)))
        };
        let client = End { address: client, port: u16::try_from(1024 + draw.below(60_000)).unwrap_or(u16::MAX) };
        let server = End { address: server, port: u16::try_from(1 + draw.below(1000)).unwrap_or(1) };
        let tale = match draw.below(100) {
            0..55 => Tale::Tcp(Box::new(TcpTale::new(&mut draw))),
            55..67 => Tale::Udp,
            67..79 => Tale::Sctp(SctpTale::new(&mut draw)),
            79..89 => Tale::Icmp,
            89..94 => Tale::Gre { version: u8::from(draw.below(3) == 0) },
            94..97 => Tale::UdpLite,
            _ => Tale::Other(Protocol([50, 89, 99, 253][draw.below(4) as usize])),
        };
        let mut flow = Self {
            number,
            draw,
            client,
            server,
            seen_by_client: server,
            seen_by_server: client,
            tale,
            last: [Vec::new(), Vec::new()],
            again: None,
        };
        flow.translate(translation, is_v6);
        flow
    }

    /// How the two ends look to each other behind the router.
    fn translate(&mut self, translation: Translation, is_v6: bool) {
        let has_ports = matches!(self.tale, Tale::Tcp(_) | Tale::Udp);
        if translation != Translation::Both || is_v6 {
            return;
        }
        if has_ports && self.draw.below(2) == 0 {
            self.seen_by_client = End { address: SERVICE.into(), port: SERVICE_PORT };
            self.server = End { address: BACKEND.into(), port: BACKEND_PORT };
        }
        // Ports and identifiers differ from flow to flow, so that none is taken and all stay.
        let own = u16::try_from(1024 + self.number % 64_000).unwrap_or(u16::MAX);
        self.client.port = own;
        self.seen_by_server = End { address: GATEWAY.into(), port: own };
        // Without ports, only the server's address tells two flows behind one gateway apart.
        if matches!(self.tale, Tale::Gre { .. } | Tale::Other(_)) {
            let server = IpAddr::V4(Ipv4Addr::from_bits(0xc613_0000 + self.number));
            (self.server.address, self.seen_by_client.address) = (server, server);
        }
    }

    /// Whether the tracker waits two seconds before it takes the flow for a stream.
    pub(crate) const fn may_become_a_stream(&self) -> bool {
        matches!(self.tale, Tale::Udp)
    }

    /// Addresses that no other flow has.
    pub(crate) fn addresses_of_its_own(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let server = matches!(self.server.address, IpAddr::V4(server) if server.to_bits() >> 16 == 0xc613)
            .then_some(self.server.address);
        [Some(self.client.address), server].into_iter().flatten()
    }

    /// What both sides' packets look like before any translation: the client's and the server's.
    pub(crate) fn description(&self) -> String {
        let kind = match &self.tale {
            Tale::Tcp(_) => "TCP".to_string(),
            Tale::Sctp(_) => "SCTP".to_string(),
            Tale::Udp => "UDP".to_string(),
            Tale::UdpLite => "UDP-Lite".to_string(),
            Tale::Icmp => "ICMP".to_string(),
            Tale::Gre { version } => format!("GRE version {version}"),
            Tale::Other(protocol) => format!("protocol {}", protocol.0),
        };
        format!("{kind} from {} to {}", self.client.address, self.seen_by_client.address)
    }

    /// The next packet. `edges` tells at which numbers the tracker's judgement of a side's TCP segment changes.
    pub(crate) fn next(&mut self, edges: impl Fn(&[u8]) -> Option<Edges>) -> Sent {
        let mischief = self.draw.below(100);
        if mischief < 6
            && let Some(sent) = self.error()
        {
            return sent;
        }
        if let Some(sent) = self.once_more(mischief) {
            return sent;
        }
        let defect = match mischief {
            14 => Defect::Checksum,
            15 => Defect::HeaderLength,
            _ => Defect::None,
        };
        let mut sent = self.tell(&edges, defect);
        self.last[sent.from as usize].clone_from(&sent.bytes);
        match mischief {
            16..20 => odd::with_longer_header(&mut sent.bytes),
            20..23 if matches!(self.tale, Tale::Udp) => odd::without_udp_checksum(&mut sent.bytes),
            _ => {}
        }
        sent
    }

    /// A side's last packet again, three times more as often as not: the fourth is more than a tracker bears.
    fn once_more(&mut self, mischief: u32) -> Option<Sent> {
        let from = match self.again.take() {
            Some((from, times)) => {
                self.again = times.checked_sub(1).filter(|times| *times > 0).map(|times| (from, times));
                from
            }
            None if (6..12).contains(&mischief) => {
                let from = self.either_side();
                self.again = (self.draw.below(2) == 0).then_some((from, 3));
                from
            }
            None => return None,
        };
        let last = &self.last[from as usize];
        (!last.is_empty()).then(|| Sent { from, bytes: last.clone() })
    }

    fn tell(&mut self, edges: &impl Fn(&[u8]) -> Option<Edges>, defect: Defect) -> Sent {
        let mut tale = std::mem::replace(&mut self.tale, Tale::Udp);
        let sent = match &mut tale {
            Tale::Tcp(tcp) => {
                // Whose edges they are, any packet of that side tells.
                let probes = [Side::Client, Side::Server].map(|side| self.bare_ack(side));
                let (from, segment) = tcp.next(&mut self.draw, |side| edges(&probes[side as usize]));
                let ports = self.ports(from);
                let transport = Transport::Tcp {
                    ports,
                    header: segment.header,
                    options: &segment.options,
                    payload: zeroes(segment.payload_bytes),
                };
                self.sent(from, &transport, if segment.is_broken { Defect::Checksum } else { defect })
            }
            Tale::Sctp(sctp) => {
                let (from, packet) = sctp.next(&mut self.draw);
                let ports = self.ports(from);
                self.sent(from, &Transport::Sctp { ports, tag: packet.tag, chunks: &packet.chunks }, defect)
            }
            Tale::Udp => {
                let from = self.mostly_client();
                let payload = zeroes(self.draw.below(100) as usize);
                self.sent(from, &Transport::Udp { ports: self.ports(from), payload }, defect)
            }
            Tale::UdpLite => {
                let from = self.mostly_client();
                let defect = if self.draw.below(4) > 0 { Defect::UdpChecksum } else { defect };
                self.sent(from, &Transport::UdpLite { ports: self.ports(from), payload: zeroes(20) }, defect)
            }
            Tale::Icmp => self.query(defect),
            Tale::Gre { version } => {
                let from = self.mostly_client();
                let [high, low] = self.client.port.to_be_bytes();
                let plain = [0x20, *version, 8, 0, 0, 0, 0, 0];
                let point_to_point = [0x30, 1, 0x88, 0x0b, 0, 0, high, low];
                let broken = [0x30, 1, 0x88, 0x0c, 0, 0, high, low];
                let bytes = match (*version, self.draw.below(8)) {
                    (0, _) => plain,
                    (_, 0) => broken,
                    _ => point_to_point,
                };
                self.sent(from, &Transport::Plain { protocol: Protocol::GRE, bytes: &bytes }, defect)
            }
            Tale::Other(protocol) => {
                let from = self.mostly_client();
                self.sent(from, &Transport::Plain { protocol: *protocol, bytes: &[1; 20] }, defect)
            }
        };
        self.tale = tale;
        sent
    }

    fn bare_ack(&self, side: Side) -> Vec<u8> {
        let segment = TcpHeader { flags: flags::ACK, sequence: 0, acknowledgement: 0, window: 0 };
        let transport = Transport::Tcp { ports: self.ports(side), header: segment, options: &[], payload: &[] };
        self.sent(side, &transport, Defect::None).bytes
    }

    /// ICMP queries, answers, and types that are neither.
    fn query(&mut self, defect: Defect) -> Sent {
        let is_v6 = self.client.address.is_ipv6();
        let queries: &[u8] = if is_v6 { &[128, 128, 128, 139] } else { &[8, 8, 8, 13, 15, 17] };
        let odd: &[u8] = if is_v6 { &[129, 140, 1, 127, 133, 135, 143, 137, 200] } else { &[0, 14, 9, 10, 30, 40, 16] };
        // One flow asks in one way.
        let asks = queries[self.number as usize / 7 % queries.len()];
        let answers = match asks {
            8 => 0,
            128 | 139 => asks + 1,
            other => other + 1,
        };
        let from = self.mostly_client();
        let is_odd = self.draw.below(8) == 0;
        let kind = match (is_odd, from) {
            (true, _) => odd[self.draw.below(u32::try_from(odd.len()).unwrap_or(1)) as usize],
            (false, Side::Client) => asks,
            (false, Side::Server) => answers,
        };
        let id = match from {
            Side::Client => self.client.port,
            Side::Server => self.seen_by_server.port,
        };
        let [high, low] = id.to_be_bytes();
        self.sent(from, &Transport::Icmp { kind, code: 0, rest: [high, low, 0, 1], body: &[7; 16] }, defect)
    }

    /// An ICMP error about what the other side sent last.
    fn error(&mut self) -> Option<Sent> {
        let from = self.either_side();
        let about = match from {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        };
        let quoted = self.last[about as usize].clone();
        if quoted.is_empty() {
            return None;
        }
        let is_v6 = self.client.address.is_ipv6();
        let header = if is_v6 { 40 } else { 20 };
        let length = match self.draw.below(8) {
            0 => header + 2,
            1 => header - 1,
            _ => header + 8 + self.draw.below(20) as usize,
        };
        // A router on the way sees the packet as this side does, translated.
        let quoted = self.as_received(from, quoted.get(..length.min(quoted.len())).unwrap_or_default());
        let kinds: &[u8] = if is_v6 { &[1, 2, 3, 4] } else { &[3, 4, 5, 11, 12] };
        let kind = kinds[self.draw.below(u32::try_from(kinds.len()).unwrap_or(1)) as usize];
        let transport = Transport::Icmp { kind, code: 0, rest: [0; 4], body: &quoted };
        let mut sent = self.sent(from, &transport, Defect::None);
        if self.draw.below(6) == 0 {
            // To somebody who never sent it.
            let (source, _) = self.addresses(from);
            let stranger = match (source, from) {
                (IpAddr::V4(_), Side::Client) => IpAddr::V4(Ipv4Addr::new(198, 18, 9, 9)),
                (IpAddr::V4(_), Side::Server) => IpAddr::V4(Ipv4Addr::new(10, 99, 9, 9)),
                (IpAddr::V6(_), Side::Client) => {
                    IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8_0002_u128 << 80) | 0xffff))
                }
                (IpAddr::V6(_), Side::Server) => {
                    IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8_0001_u128 << 80) | 0xff_ffff))
                }
            };
            sent.bytes = datagram(source, stranger, self.mark(), &transport, Defect::None);
        }
        Some(sent)
    }

    /// A packet of the other side's as it comes out of the router towards this one: only addresses and ports, for an error
    /// quotes no more of what matters.
    fn as_received(&self, by: Side, sent: &[u8]) -> Vec<u8> {
        let mut bytes = sent.to_vec();
        let IpAddr::V4(_) = self.client.address else { return bytes };
        let (from, to) = match by {
            Side::Client => (self.seen_by_client, self.client),
            Side::Server => (self.seen_by_server, self.server),
        };
        let mut put = |at: usize, value: &[u8]| {
            if let Some(place) = bytes.get_mut(at..at + value.len()) {
                place.copy_from_slice(value);
            }
        };
        if let (IpAddr::V4(from), IpAddr::V4(to)) = (from.address, to.address) {
            put(12, &from.octets());
            put(16, &to.octets());
        }
        match self.tale {
            Tale::Tcp(_) | Tale::Udp | Tale::UdpLite | Tale::Sctp(_) => {
                put(20, &from.port.to_be_bytes());
                put(22, &to.port.to_be_bytes());
            }
            _ => {}
        }
        bytes
    }

    fn either_side(&mut self) -> Side {
        if self.draw.below(2) == 0 { Side::Client } else { Side::Server }
    }

    /// The first packet is the client's, of which there are a few more.
    fn mostly_client(&mut self) -> Side {
        let nothing_yet = self.last.iter().all(Vec::is_empty);
        if nothing_yet && self.draw.below(16) != 0 || self.draw.below(5) < 3 { Side::Client } else { Side::Server }
    }

    fn addresses(&self, from: Side) -> (IpAddr, IpAddr) {
        match from {
            Side::Client => (self.client.address, self.seen_by_client.address),
            Side::Server => (self.server.address, self.seen_by_server.address),
        }
    }

    fn ports(&self, from: Side) -> [u16; 2] {
        match from {
            Side::Client => [self.client.port, self.seen_by_client.port],
            Side::Server => [self.server.port, self.seen_by_server.port],
        }
    }

    fn mark(&self) -> u16 {
        (self.number & 0xffff) as u16
    }

    fn sent(&self, from: Side, transport: &Transport<'_>, defect: Defect) -> Sent {
        let (source, destination) = self.addresses(from);
        Sent { from, bytes: datagram(source, destination, self.mark(), transport, defect) }
    }
}
