//! Packets as bytes: IPv4 with TCP, UDP or ICMP, their checksums right, because the kernel verifies them before it tracks
//! (`nf_conntrack_checksum`).

use std::net::{Ipv4Addr, SocketAddrV4};

use plimsoll_scenario::{FlowProtocol, TcpNumbers, WINDOW};

/// Room for any packet that is written here.
pub(crate) const MOST_BYTES: usize = 1500;

const IPV4_HEADER: usize = 20;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const ICMP_HEADER: usize = 8;

/// What the headers say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Headers {
    pub(crate) from: SocketAddrV4,
    pub(crate) to: SocketAddrV4,
    /// The packet's identification: half of its flow's number, by which it is known again behind a translation.
    pub(crate) mark: u16,
    pub(crate) layer4: Layer4,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Layer4 {
    Tcp(TcpNumbers),
    Udp,
    /// The identifier is the client's port.
    EchoRequest,
    EchoReply,
}

/// Writes a packet and returns it.
pub(crate) fn write<'b>(buffer: &'b mut [u8; MOST_BYTES], headers: &Headers, payload: &[u8]) -> &'b [u8] {
    let (protocol, header) = match headers.layer4 {
        Layer4::Tcp(_) => (6, TCP_HEADER),
        Layer4::Udp => (17, UDP_HEADER),
        Layer4::EchoRequest | Layer4::EchoReply => (1, ICMP_HEADER),
    };
    let payload = payload.get(..payload.len().min(MOST_BYTES - IPV4_HEADER - header)).unwrap_or_default();
    let length = IPV4_HEADER + header + payload.len();
    let (ip, rest) = buffer.split_at_mut(IPV4_HEADER);
    write_ip(ip, headers, protocol, length);
    let (body, _) = rest.split_at_mut(header + payload.len());
    let (head, tail) = body.split_at_mut(header);
    tail.copy_from_slice(payload);
    let layer4_length = as_u16(header + payload.len());
    let (source, destination) = (headers.from.port(), headers.to.port());
    let at = match headers.layer4 {
        Layer4::Tcp(TcpNumbers { flags, sequence, acknowledgement }) => {
            put(head, 0, &source.to_be_bytes());
            put(head, 2, &destination.to_be_bytes());
            put(head, 4, &sequence.to_be_bytes());
            put(head, 8, &acknowledgement.to_be_bytes());
            // Five words of header.
            let [high, low] = WINDOW.to_be_bytes();
            put(head, 12, &[5 << 4, flags, high, low, 0, 0, 0, 0]);
            16
        }
        Layer4::Udp => {
            put(head, 0, &source.to_be_bytes());
            put(head, 2, &destination.to_be_bytes());
            put(head, 4, &layer4_length.to_be_bytes());
            put(head, 6, &[0, 0]);
            6
        }
        Layer4::EchoRequest | Layer4::EchoReply => {
            let (kind, id) = match headers.layer4 {
                Layer4::EchoRequest => (8, source),
                _ => (0, destination),
            };
            put(head, 0, &[kind, 0, 0, 0]);
            put(head, 4, &id.to_be_bytes());
            put(head, 6, &[0, 1]);
            2
        }
    };
    // ICMP's checksum covers no addresses (RFC 792); that of TCP and UDP does (RFC 9293, RFC 768).
    let pseudo = match headers.layer4 {
        Layer4::EchoRequest | Layer4::EchoReply => 0,
        _ => {
            sum(&headers.from.ip().octets())
                + sum(&headers.to.ip().octets())
                + u64::from(protocol)
                + u64::from(layer4_length)
        }
    };
    let checksum = match !fold(pseudo + sum(body)) {
        // To UDP zero means that there is none.
        0 => 0xffff,
        checksum => checksum,
    };
    put(body, at, &checksum.to_be_bytes());
    buffer.get(..length).unwrap_or_default()
}

fn write_ip(ip: &mut [u8], headers: &Headers, protocol: u8, length: usize) {
    put(ip, 0, &[0x45, 0]);
    put(ip, 2, &as_u16(length).to_be_bytes());
    put(ip, 4, &headers.mark.to_be_bytes());
    // No fragments, 64 hops.
    put(ip, 6, &[0x40, 0, 64, protocol, 0, 0]);
    put(ip, 12, &headers.from.ip().octets());
    put(ip, 16, &headers.to.ip().octets());
    let checksum = !fold(sum(ip));
    put(ip, 10, &checksum.to_be_bytes());
}

/// What a packet that came out says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) from: SocketAddrV4,
    pub(crate) to: SocketAddrV4,
    pub(crate) mark: u16,
    pub(crate) protocol: FlowProtocol,
}

/// Reads what [`write`] has written, after a router has translated it; `None` for anything else.
pub(crate) fn read(packet: &[u8]) -> Option<Seen> {
    if *packet.first()? != 0x45 {
        return None;
    }
    let word = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
    let address = |at: usize| Some(Ipv4Addr::from_octets(packet.get(at..at + 4)?.try_into().ok()?));
    let (protocol, ports) = match packet.get(9)? {
        6 => (FlowProtocol::Tcp, (word(IPV4_HEADER)?, word(IPV4_HEADER + 2)?)),
        17 => (FlowProtocol::Udp, (word(IPV4_HEADER)?, word(IPV4_HEADER + 2)?)),
        1 => (FlowProtocol::Icmp, (word(IPV4_HEADER + 4)?, 0)),
        _ => return None,
    };
    Some(Seen {
        from: SocketAddrV4::new(address(12)?, ports.0),
        to: SocketAddrV4::new(address(16)?, ports.1),
        mark: word(4)?,
        protocol,
    })
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// Lengths here are at most [`MOST_BYTES`].
fn as_u16(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// The sum of 16-bit words in network order (RFC 1071), taken four bytes at a time.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let words: u64 = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum();
    let mut last = [0; 4];
    put(&mut last, 0, rest);
    words + u64::from(u32::from_be_bytes(last))
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // Folded.
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(layer4: Layer4, payload: &[u8]) -> Vec<u8> {
        let headers = Headers {
            from: "10.0.0.1:40000".parse().unwrap(),
            to: "192.0.2.1:443".parse().unwrap(),
            mark: 0xbeef,
            layer4,
        };
        let mut buffer = [0xff; MOST_BYTES];
        write(&mut buffer, &headers, payload).to_vec()
    }

    /// A receiver sums what came, the checksum included, and must get all ones.
    #[test]
    fn checksums_verify() {
        let tcp = Layer4::Tcp(TcpNumbers { flags: 0x02, sequence: 7, acknowledgement: 0 });
        for (layer4, payload) in [(tcp, &b""[..]), (tcp, b"odd"), (Layer4::Udp, b"plimsoll"), (Layer4::Udp, b"")] {
            let packet = packet(layer4, payload);
            assert_eq!(fold(sum(&packet[..20])), 0xffff, "{layer4:?}");
            let pseudo = sum(&packet[12..20]) + u64::from(packet[9]) + (packet.len() - 20) as u64;
            assert_eq!(fold(pseudo + sum(&packet[20..])), 0xffff, "{layer4:?}");
        }
        let echo = packet(Layer4::EchoRequest, b"ping");
        assert_eq!(fold(sum(&echo[20..])), 0xffff);
    }

    #[test]
    fn what_was_written_is_read() {
        let seen = read(&packet(Layer4::Udp, b"x")).unwrap();
        let (from, to) = ("10.0.0.1:40000".parse().unwrap(), "192.0.2.1:443".parse().unwrap());
        assert_eq!(seen, Seen { from, to, mark: 0xbeef, protocol: FlowProtocol::Udp });
        assert_eq!(read(&[0x60; 40]), None);
        assert_eq!(read(&[0x45; 9]), None);
    }
}
