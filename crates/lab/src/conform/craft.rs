//! Datagrams of any shape, right or wrong, as bytes.

use std::net::IpAddr;

use plimsoll_model::Protocol;

/// What lies behind the IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport<'a> {
    Tcp {
        ports: [u16; 2],
        header: TcpHeader,
        options: &'a [u8],
        payload_bytes: usize,
    },
    Udp {
        ports: [u16; 2],
        payload_bytes: usize,
    },
    UdpLite {
        ports: [u16; 2],
        payload_bytes: usize,
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
}

/// Makes a datagram. `mark` is its IPv4 identification or IPv6 flow label.
pub(crate) fn datagram(from: IpAddr, to: IpAddr, mark: u16, transport: &Transport<'_>, defect: Defect) -> Vec<u8> {
    let (protocol, mut body) = body(transport);
    if defect == Defect::HeaderLength
        && let Some(offset) = body.get_mut(12)
    {
        *offset = 0xf0;
    }
    let mut bytes = header(from, to, mark, protocol, body.len());
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
        Transport::Tcp { header, options, payload_bytes, .. } => {
            bytes.extend_from_slice(&source.to_be_bytes());
            bytes.extend_from_slice(&destination.to_be_bytes());
            bytes.extend_from_slice(&header.sequence.to_be_bytes());
            bytes.extend_from_slice(&header.acknowledgement.to_be_bytes());
            let words = 5 + options.len().div_ceil(4);
            bytes.extend_from_slice(&[u8::try_from(words).unwrap_or(15) << 4, header.flags]);
            bytes.extend_from_slice(&header.window.to_be_bytes());
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(options);
            bytes.resize(words * 4 + payload_bytes, 0);
            Protocol::TCP
        }
        Transport::Udp { payload_bytes, .. } | Transport::UdpLite { payload_bytes, .. } => {
            bytes.extend_from_slice(&source.to_be_bytes());
            bytes.extend_from_slice(&destination.to_be_bytes());
            bytes.extend_from_slice(&u16::try_from(8 + payload_bytes).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend_from_slice(&[0; 2]);
            bytes.resize(8 + payload_bytes, 0);
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

fn header(from: IpAddr, to: IpAddr, mark: u16, protocol: Protocol, length: usize) -> Vec<u8> {
    const HOPS: u8 = 64;
    let mut bytes = Vec::with_capacity(40 + length);
    if let (IpAddr::V4(from), IpAddr::V4(to)) = (from, to) {
        bytes.extend_from_slice(&[0x45, 0]);
        bytes.extend_from_slice(&u16::try_from(20 + length).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend_from_slice(&mark.to_be_bytes());
        bytes.extend_from_slice(&[0x40, 0, HOPS, protocol.0, 0, 0]);
        bytes.extend_from_slice(&from.octets());
        bytes.extend_from_slice(&to.octets());
        let sum = complement_of_sum(&bytes, 0);
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
    bytes.extend_from_slice(&[protocol.0, HOPS]);
    bytes.extend_from_slice(&octets(from));
    bytes.extend_from_slice(&octets(to));
    bytes
}

/// Writes the checksum.
fn seal(from: IpAddr, to: IpAddr, protocol: Protocol, body: &mut [u8]) {
    let Some(at) = checksum_at(protocol) else { return };
    if protocol == Protocol::SCTP {
        let sum = crc32c(body);
        return put(body, at, &sum.to_le_bytes());
    }
    let pseudo = match (from, to) {
        // ICMP's covers no addresses (RFC 792); ICMPv6's does (RFC 4443).
        (IpAddr::V4(_), _) if protocol == Protocol::ICMP => 0,
        (IpAddr::V4(from), IpAddr::V4(to)) => sum(&from.octets()) + sum(&to.octets()),
        (IpAddr::V6(from), IpAddr::V6(to)) => sum(&from.octets()) + sum(&to.octets()),
        _ => 0,
    };
    let covered = match (from, protocol) {
        (IpAddr::V4(_), Protocol::ICMP) => 0,
        (IpAddr::V6(_), Protocol::ICMP) => u64::from(Protocol::ICMPV6.0) + body.len() as u64,
        _ => u64::from(protocol.0) + body.len() as u64,
    };
    let sum = match complement_of_sum(body, pseudo + covered) {
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

fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<2>();
    let words: u64 = words.iter().map(|word| u64::from(u16::from_be_bytes(*word))).sum();
    words + rest.first().map_or(0, |last| u64::from(*last) << 8)
}

#[expect(clippy::cast_possible_truncation, reason = "folded until it fits")]
fn complement_of_sum(bytes: &[u8], more: u64) -> u16 {
    let mut sum = sum(bytes) + more;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// CRC-32C, bit by bit (RFC 9260, appendix A).
fn crc32c(bytes: &[u8]) -> u32 {
    const REVERSED_POLYNOMIAL: u32 = 0x82f6_3b78;
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8)
            .fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ REVERSED_POLYNOMIAL } else { crc >> 1 })
    });
    !crc
}
