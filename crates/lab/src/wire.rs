//! Packets as bytes: IPv4 and IPv6, their checksums right, because the kernel verifies them before it tracks
//! (`nf_conntrack_checksum`); or wrong, where that is what is to be shown.

use std::net::IpAddr;

use plimsoll_model::Protocol;
use plimsoll_twin::parse::checksum;

/// What lies behind the IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport<'a> {
    Tcp {
        ports: [u16; 2],
        header: TcpHeader,
        options: &'a [u8],
        payload: &'a [u8],
    },
    Udp {
        ports: [u16; 2],
        payload: &'a [u8],
    },
    UdpLite {
        ports: [u16; 2],
        payload: &'a [u8],
    },
    /// Type, code, the four bytes behind the checksum, and all that follows.
    Icmp {
        kind: u8,
        code: u8,
        rest: [u8; 4],
        body: &'a [u8],
    },
    Sctp {
        ports: [u16; 2],
        tag: u32,
        chunks: &'a [u8],
    },
    /// Bytes without a checksum.
    Plain {
        protocol: Protocol,
        bytes: &'a [u8],
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpHeader {
    pub(crate) flags: u8,
    pub(crate) sequence: u32,
    pub(crate) acknowledgement: u32,
    pub(crate) window: u16,
}

/// What is wrong with a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Defect {
    #[default]
    None,
    /// A checksum that does not fit.
    Checksum,
    /// A TCP header that says it is longer than the segment.
    HeaderLength,
    /// UDP-Lite with a checksum as UDP has it, which is the only one that the kernel takes for right.
    UdpChecksum,
    /// A hop limit that the next host uses up.
    LastHop,
}

/// Bytes that a packet may have: what fits an Ethernet frame.
pub(crate) const MOST_BYTES: usize = 1500;

/// Makes a datagram. `mark` is its IPv4 identification or IPv6 flow label.
pub(crate) fn datagram(from: IpAddr, to: IpAddr, mark: u16, transport: &Transport<'_>, defect: Defect) -> Vec<u8> {
    let (protocol, mut body) = body(transport);
    if defect == Defect::HeaderLength
        && let Some(offset) = body.get_mut(12)
    {
        *offset = 0xf0;
    }
    let hops = if defect == Defect::LastHop { 1 } else { 64 };
    let mut bytes = header(from, to, mark, hops, protocol, body.len());
    let sealed_as = if defect == Defect::UdpChecksum { Protocol::UDP } else { protocol };
    seal(from, to, sealed_as, &mut body);
    if defect == Defect::Checksum
        && let Some(at) = checksum_at(protocol).and_then(|at| body.get_mut(at))
    {
        *at ^= 0x55;
    }
    bytes.extend_from_slice(&body);
    bytes
}

fn body(transport: &Transport<'_>) -> (Protocol, Vec<u8>) {
    let mut bytes = Vec::with_capacity(128);
    let [source, destination] = match transport {
        Transport::Tcp { ports, .. }
        | Transport::Udp { ports, .. }
        | Transport::UdpLite { ports, .. }
        | Transport::Sctp { ports, .. } => *ports,
        _ => [0; 2],
    };
    let protocol = match transport {
        Transport::Tcp { header, options, payload, .. } => {
            bytes.extend_from_slice(&source.to_be_bytes());
            bytes.extend_from_slice(&destination.to_be_bytes());
            bytes.extend_from_slice(&header.sequence.to_be_bytes());
            bytes.extend_from_slice(&header.acknowledgement.to_be_bytes());
            let words = 5 + options.len().div_ceil(4);
            bytes.extend_from_slice(&[u8::try_from(words).unwrap_or(15) << 4, header.flags]);
            bytes.extend_from_slice(&header.window.to_be_bytes());
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(options);
            bytes.resize(words * 4, 0);
            bytes.extend_from_slice(payload);
            Protocol::TCP
        }
        Transport::Udp { payload, .. } | Transport::UdpLite { payload, .. } => {
            bytes.extend_from_slice(&source.to_be_bytes());
            bytes.extend_from_slice(&destination.to_be_bytes());
            bytes.extend_from_slice(&u16::try_from(8 + payload.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend_from_slice(&[0; 2]);
            bytes.extend_from_slice(payload);
            if matches!(transport, Transport::Udp { .. }) { Protocol::UDP } else { Protocol::UDPLITE }
        }
        Transport::Icmp { kind, code, rest, body } => {
            bytes.extend_from_slice(&[*kind, *code, 0, 0]);
            bytes.extend_from_slice(rest);
            bytes.extend_from_slice(body);
            Protocol::ICMP
        }
        Transport::Sctp { tag, chunks, .. } => {
            bytes.extend_from_slice(&source.to_be_bytes());
            bytes.extend_from_slice(&destination.to_be_bytes());
            bytes.extend_from_slice(&tag.to_be_bytes());
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(chunks);
            Protocol::SCTP
        }
        Transport::Plain { protocol, bytes: plain } => {
            bytes.extend_from_slice(plain);
            *protocol
        }
    };
    (protocol, bytes)
}

fn header(from: IpAddr, to: IpAddr, mark: u16, hops: u8, protocol: Protocol, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40 + length);
    if let (IpAddr::V4(from), IpAddr::V4(to)) = (from, to) {
        bytes.extend_from_slice(&[0x45, 0]);
        bytes.extend_from_slice(&u16::try_from(20 + length).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend_from_slice(&mark.to_be_bytes());
        bytes.extend_from_slice(&[0x40, 0, hops, protocol.0, 0, 0]);
        bytes.extend_from_slice(&from.octets());
        bytes.extend_from_slice(&to.octets());
        let sum = checksum::of(&bytes, 0);
        put(&mut bytes, 10, &sum.to_be_bytes());
        return bytes;
    }
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    let protocol = if protocol == Protocol::ICMP { Protocol::ICMPV6 } else { protocol };
    let [high, low] = mark.to_be_bytes();
    bytes.extend_from_slice(&[0x60, 0, high, low]);
    bytes.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(&[protocol.0, hops]);
    bytes.extend_from_slice(&octets(from));
    bytes.extend_from_slice(&octets(to));
    bytes
}

/// Writes the checksum.
fn seal(from: IpAddr, to: IpAddr, protocol: Protocol, body: &mut [u8]) {
    let Some(at) = checksum_at(protocol) else { return };
    if protocol == Protocol::SCTP {
        let sum = checksum::crc32c_of(&[body]);
        return put(body, at, &sum.to_le_bytes());
    }
    let pseudo = match (from, to) {
        // ICMP's covers no addresses (RFC 792); ICMPv6's does (RFC 4443).
        (IpAddr::V4(_), _) if protocol == Protocol::ICMP => 0,
        (IpAddr::V4(from), IpAddr::V4(to)) => checksum::sum(&from.octets()) + checksum::sum(&to.octets()),
        (IpAddr::V6(from), IpAddr::V6(to)) => checksum::sum(&from.octets()) + checksum::sum(&to.octets()),
        _ => 0,
    };
    let covered = match (from, protocol) {
        (IpAddr::V4(_), Protocol::ICMP) => 0,
        (IpAddr::V6(_), Protocol::ICMP) => u64::from(Protocol::ICMPV6.0) + body.len() as u64,
        _ => u64::from(protocol.0) + body.len() as u64,
    };
    let sum = match checksum::of(body, pseudo + covered) {
        // To UDP zero means that there is none.
        0 if protocol != Protocol::ICMP => 0xffff,
        sum => sum,
    };
    put(body, at, &sum.to_be_bytes());
}

fn checksum_at(protocol: Protocol) -> Option<usize> {
    Some(match protocol {
        Protocol::TCP => 16,
        Protocol::UDP | Protocol::UDPLITE => 6,
        Protocol::ICMP => 2,
        Protocol::SCTP => 8,
        _ => return None,
    })
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_twin::Capabilities;
    use plimsoll_twin::packet::{Content, Packet};
    use plimsoll_twin::parse::{self, Checksums};

    use super::*;

    fn made(transport: &Transport<'_>, defect: Defect) -> [Vec<u8>; 2] {
        [("10.0.0.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::2")]
            .map(|(from, to)| datagram(from.parse().unwrap(), to.parse().unwrap(), 7, transport, defect))
    }

    fn is_sound(bytes: &[u8]) -> bool {
        let packet = parse::packet(bytes, Checksums::Verified, &Capabilities::LINUX_6_18);
        matches!(packet, Packet::Flow { content, .. } if content != Content::Malformed)
    }

    /// The reader takes apart what the writer has put together, and verifies its checksums.
    #[test]
    fn checksums_verify_unless_they_are_not_to() {
        let header = TcpHeader { flags: 0x02, sequence: 7, acknowledgement: 0, window: 100 };
        let transports = [
            Transport::Tcp { ports: [1, 2], header, options: &[2, 4, 5, 0xb4], payload: b"odd" },
            Transport::Udp { ports: [1, 2], payload: b"" },
            Transport::Sctp { ports: [1, 2], tag: 9, chunks: &[1, 0, 0, 4] },
        ];
        for transport in transports {
            assert!(made(&transport, Defect::None).iter().all(|bytes| is_sound(bytes)), "{transport:?}");
            assert!(!made(&transport, Defect::Checksum).iter().any(|bytes| is_sound(bytes)), "{transport:?}");
        }
        let tcp = transports[0];
        assert!(!made(&tcp, Defect::HeaderLength).iter().any(|bytes| is_sound(bytes)));
        let [echo, _] = made(&Transport::Icmp { kind: 8, code: 0, rest: [0; 4], body: b"ping" }, Defect::None);
        assert!(is_sound(&echo));
    }
}
