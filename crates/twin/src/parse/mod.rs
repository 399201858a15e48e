//! Bytes to packets: what the kernel's tracking reads of an IP datagram, and what it refuses.
//!
//! Datagrams are whole: tracking comes behind defragmentation. What is wrong with one is not an error here, but decides what
//! becomes of it, as it does in the kernel.

pub mod checksum;
mod icmp;
mod network;
mod tcp;

use std::net::IpAddr;

use plimsoll_model::{Layer4, Protocol, Tuple};

use self::network::Datagram;
use crate::capabilities::{Capabilities, Tracker};
use crate::packet::{Chunks, Content, Packet, Segment};

/// Whether checksums are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// They are, as with `nf_conntrack_checksum`, which is on by default, for packets that come in.
    Verified,
    /// They are not: a capture of what a host sends holds packets whose checksums the network card was to fill in.
    Ignored,
}

/// Reads a datagram, from its IP header on. Bytes behind the length that the header names are passed over; where bytes are
/// missing, as in a capture that kept only the first of each packet, what is there has to do.
pub fn packet<'a>(bytes: &'a [u8], checksums: Checksums, capabilities: &Capabilities) -> Packet<'a> {
    if let Some((tuple, segment)) = segment(bytes, checksums) {
        return Packet::Flow { tuple, content: Content::Tcp(segment) };
    }
    let Some(datagram) = Datagram::of(bytes) else { return Packet::Unreadable };
    match (datagram.protocol, datagram.source) {
        (Protocol::ICMP, IpAddr::V4(_)) => icmp::read(&datagram, checksums),
        (Protocol::ICMPV6, IpAddr::V6(_)) => icmp::read_v6(&datagram, checksums),
        _ => flow(&datagram, checksums, capabilities),
    }
}

/// Reads what most datagrams are, and as [`packet`] does: a TCP segment over IPv4, with its tuple; `None` of all others, and where
/// something is wrong with it.
#[inline]
pub fn segment(bytes: &[u8], checksums: Checksums) -> Option<(Tuple, Segment)> {
    let datagram = Datagram::of_v4(bytes).filter(|datagram| datagram.protocol == Protocol::TCP)?;
    let [source, destination] = ports(datagram.payload)?;
    let segment = tcp::read(&datagram)?;
    let is_sound = checksums == Checksums::Ignored || checksum::is_right(&datagram, datagram.payload);
    is_sound.then(|| (datagram.tuple(Layer4::Ports { source, destination }), segment))
}

fn flow<'a>(datagram: &Datagram<'a>, checksums: Checksums, capabilities: &Capabilities) -> Packet<'a> {
    let Some(layer4) = layer4(datagram, capabilities) else { return Packet::Unreadable };
    let is_sound = |at| checksums == Checksums::Ignored || checksum::is_right(datagram, at);
    let content = match datagram.protocol {
        Protocol::TCP => tcp::read(datagram).filter(|_| is_sound(datagram.payload)).map(Content::Tcp),
        Protocol::UDP => udp(datagram).filter(|sum| *sum == 0 || is_sound(datagram.payload)).map(|_| Content::Plain),
        Protocol::UDPLITE if capabilities.udplite == Tracker::Present => {
            let covered = udplite(datagram);
            let taken_for_udp = Datagram { protocol: Protocol::UDP, ..*datagram };
            let is_sound =
                |covered: &&[u8]| checksums == Checksums::Ignored || checksum::is_right(&taken_for_udp, covered);
            covered.filter(is_sound).map(|_| Content::Plain)
        }
        Protocol::SCTP => sctp(datagram, checksums).map(Content::Sctp),
        _ => Some(Content::Plain),
    };
    Packet::Flow { tuple: datagram.tuple(layer4), content: content.unwrap_or(Content::Malformed) }
}

/// The part of the tuple behind the addresses (`nf_ct_get_tuple`); `None` where too little is there to tell.
fn layer4(datagram: &Datagram<'_>, capabilities: &Capabilities) -> Option<Layer4> {
    let word = |at: usize| Some(u16::from_be_bytes(*datagram.payload.get(at..)?.first_chunk()?));
    let ports = || ports(datagram.payload).map(|[source, destination]| Layer4::Ports { source, destination });
    match datagram.protocol {
        Protocol::TCP | Protocol::UDP | Protocol::SCTP => ports(),
        Protocol::UDPLITE if capabilities.udplite == Tracker::Present => ports(),
        Protocol::GRE => {
            const VERSION: u16 = 0x0007;
            const POINT_TO_POINT: u16 = 0x880b;
            // PPTP's (RFC 2637) has a call's identifier; others have no ports.
            match word(0).map(|flags| flags & VERSION) {
                Some(1) => match (word(2), word(6)) {
                    (Some(POINT_TO_POINT), Some(call)) => Some(Layer4::Ports { source: 0, destination: call }),
                    (Some(_), Some(_)) => None,
                    _ => Some(Layer4::Ports { source: 0, destination: 0 }),
                },
                _ => Some(Layer4::Ports { source: 0, destination: 0 }),
            }
        }
        // Each in the other's family.
        Protocol::ICMP | Protocol::ICMPV6 => {
            let [kind, code, _, _, high, low, ..] = datagram.payload else { return None };
            Some(Layer4::Icmp { id: u16::from_be_bytes([*high, *low]), kind: *kind, code: *code })
        }
        _ => Some(Layer4::None),
    }
}

/// The two words with which most transport headers begin.
#[inline]
fn ports(payload: &[u8]) -> Option<[u16; 2]> {
    let [source_high, source, destination_high, destination] = *payload.first_chunk()?;
    Some([[source_high, source], [destination_high, destination]].map(u16::from_be_bytes))
}

/// A UDP header's checksum, if the header is sound (`udp_error`).
fn udp(datagram: &Datagram<'_>) -> Option<u16> {
    let [_, _, _, _, high, low, sum_high, sum_low, ..] = datagram.payload else { return None };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    (8..=datagram.payload_length).contains(&length).then(|| u16::from_be_bytes([*sum_high, *sum_low]))
}

/// What UDP-Lite's checksum covers, if the header is sound (`udplite_error`): its checksum must be there. The kernel verifies it
/// as if it were UDP's, over a pseudo-header with UDP's number, and so takes every right one for wrong (seen on 6.18.44).
fn udplite<'a>(datagram: &Datagram<'a>) -> Option<&'a [u8]> {
    let [_, _, _, _, high, low, sum_high, sum_low, ..] = datagram.payload else { return None };
    let coverage = match usize::from(u16::from_be_bytes([*high, *low])) {
        0 => datagram.payload_length,
        coverage => coverage,
    };
    let is_sound = (8..=datagram.payload_length).contains(&coverage) && [*sum_high, *sum_low] != [0, 0];
    is_sound.then(|| datagram.payload.get(..coverage).unwrap_or(datagram.payload))
}

/// SCTP's common header and its chunks, if they are sound (`sctp_error`).
fn sctp<'a>(datagram: &Datagram<'a>, checksums: Checksums) -> Option<Chunks<'a>> {
    let [_, _, _, _, tag @ .., _, _, _, _] = datagram.payload.first_chunk::<12>()?;
    let is_sound = checksums == Checksums::Ignored || checksum::is_right_crc32c(datagram.payload);
    is_sound.then(|| Chunks { tag: u32::from_be_bytes(*tag), bytes: datagram.payload.get(12..).unwrap_or_default() })
}

/// The tuple of a packet that an ICMP error quotes (`nf_ct_get_tuplepr`), and whether translation finds enough of it to
/// rewrite (`nf_nat_proto.c`).
fn quoted(bytes: &[u8]) -> Option<(Tuple, bool)> {
    const REWRITTEN: usize = 8;
    let datagram = Datagram::of_quoted(bytes)?;
    // Which protocols have ports differs by kernel only for those that hardly anybody uses.
    let layer4 = layer4(&datagram, &Capabilities::LINUX_6_18)?;
    let is_translatable = layer4 == Layer4::None || datagram.payload.len() >= REWRITTEN;
    Some((datagram.tuple(layer4), is_translatable))
}

#[cfg(test)]
mod tests {
    use plimsoll_draw::Draw;

    use super::*;
    use crate::packet::{IcmpError, flags};

    /// 10.0.0.1:1000 → 192.0.2.1:80, SYN with MSS, SACK permitted, window scale 7; checksums right.
    const SYN: [u8; 52] = [
        0x45, 0, 0, 52, 0, 1, 0x40, 0, 64, 6, 0xae, 0xc2, 10, 0, 0, 1, 192, 0, 2, 1, // IPv4
        3, 0xe8, 0, 80, 0, 0, 0, 5, 0, 0, 0, 0, 0x80, 2, 0xfa, 0xf0, 0xa3, 0xe1, 0, 0, // TCP
        2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7, // options
    ];

    fn read(bytes: &[u8]) -> Packet<'_> {
        packet(bytes, Checksums::Verified, &Capabilities::LINUX_6_18)
    }

    #[test]
    fn a_syn_with_its_options() {
        let Packet::Flow { tuple, content: Content::Tcp(segment) } = read(&SYN) else { panic!("{:?}", read(&SYN)) };
        assert_eq!(tuple.layer4, Layer4::Ports { source: 1000, destination: 80 });
        assert_eq!((segment.flags, segment.sequence, segment.window), (flags::SYN, 5, 64_240));
        let options = segment.options.unwrap();
        assert_eq!((options.window_scale, options.sack_permitted), (Some(7), true));
    }

    #[test]
    fn a_wrong_checksum_makes_it_malformed_where_checksums_are_looked_at() {
        let mut wrong = SYN;
        wrong[36] ^= 1;
        assert!(matches!(read(&wrong), Packet::Flow { content: Content::Malformed, .. }));
        let ignored = packet(&wrong, Checksums::Ignored, &Capabilities::LINUX_6_18);
        assert!(matches!(ignored, Packet::Flow { content: Content::Tcp(_), .. }));
    }

    /// Whatever is wrong, and whatever options there are: a segment that is read at once is what the long way makes of it.
    #[test]
    fn a_segment_is_read_as_every_packet_is() {
        let with_options = |options: &[u8]| {
            let mut bytes = SYN[..40].to_vec();
            bytes[32] = u8::try_from(5 + options.len() / 4).unwrap() << 4;
            bytes[3] = u8::try_from(40 + options.len()).unwrap();
            bytes.extend_from_slice(options);
            bytes
        };
        let segments = [
            SYN.to_vec(),
            with_options(&[]),
            with_options(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]),
            with_options(&[1, 1, 5, 10, 0, 0, 0, 7, 0, 0, 0, 9]),
        ];
        let (mut draw, mut read_at_once) = (Draw::new(3), 0);
        for _ in 0..100_000 {
            let mut bytes = segments[draw.below(4) as usize].clone();
            for _ in 0..draw.below(3) {
                let at = draw.below(u32::try_from(bytes.len()).unwrap()) as usize;
                bytes[at] ^= 1 << draw.below(8);
            }
            bytes.truncate(bytes.len() - draw.below(4).saturating_sub(2) as usize);
            for checksums in [Checksums::Verified, Checksums::Ignored] {
                let Some((tuple, segment)) = segment(&bytes, checksums) else { continue };
                read_at_once += 1;
                let long_way = flow(&Datagram::of(&bytes).unwrap(), checksums, &Capabilities::LINUX_6_18);
                assert_eq!(long_way, Packet::Flow { tuple, content: Content::Tcp(segment) }, "{bytes:?}");
            }
        }
        assert!(read_at_once > 50_000, "{read_at_once}");
    }

    #[test]
    fn whatever_is_cut_off_nothing_panics() {
        for length in 0..SYN.len() {
            let cut = &SYN[..length];
            for checksums in [Checksums::Verified, Checksums::Ignored] {
                let _ = packet(cut, checksums, &Capabilities::LINUX_5_4);
            }
        }
    }

    #[test]
    fn an_error_quotes_the_packet_that_it_is_about() {
        let mut error = vec![
            0x45, 0, 0, 56, 0, 1, 0, 0, 64, 1, 0, 0, 192, 0, 2, 1, 10, 0, 0, 1, // IPv4
            3, 1, 0, 0, 0, 0, 0, 0, // host unreachable
        ];
        error.extend_from_slice(&SYN[..28]);
        let sum = checksum::of(&error[20..], 0);
        error[22..24].copy_from_slice(&sum.to_be_bytes());
        let Packet::IcmpError(IcmpError { destination, about: Some(about), .. }) = read(&error) else {
            panic!("{:?}", read(&error))
        };
        assert_eq!(destination.to_string(), "10.0.0.1");
        assert_eq!(about.layer4, Layer4::Ports { source: 1000, destination: 80 });
        error[22] ^= 1;
        assert!(matches!(read(&error), Packet::IcmpError(IcmpError { about: None, .. })));
    }
}
