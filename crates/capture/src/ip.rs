//! IP headers: how long a packet is, and whether it is a fragment.

use crate::fragment::{Ecn, Follows, Fragment, Headers, Key};
use crate::link::Packet;
use crate::skipped::Reason;

/// The fixed part of an IPv4 header (RFC 791 §3.1), the least that `ip_rcv` takes (`net/ipv4/ip_input.c`).
const IPV4_HEADER_BYTES: usize = 20;
/// The IPv6 header (RFC 8200 §3).
pub(crate) const IPV6_HEADER_BYTES: usize = 40;
/// Enough of any transport protocol for its ports, or for the type and id of ICMP.
const TRANSPORT_BYTES: usize = 8;

const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;

const HOP_BY_HOP: u8 = 0;
const TCP: u8 = 6;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;

/// What an IP packet is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ip<'a> {
    /// A whole datagram, without what the link layer put behind it.
    Whole(&'a [u8]),
    /// A whole datagram of IPv4 whose header has no length: this is all that was captured of it.
    WithoutLength(&'a [u8]),
    /// Part of one.
    Fragment(Fragment<'a>),
}

impl<'a> Ip<'a> {
    /// Looks at the packet of a frame.
    #[inline]
    pub(crate) fn of(packet: Packet<'a>) -> Result<Self, Reason> {
        match packet {
            Packet::V4(bytes) => v4(bytes),
            Packet::V6(bytes) => v6(bytes),
        }
    }
}

#[inline]
fn v4(packet: &[u8]) -> Result<Ip<'_>, Reason> {
    let header: &[u8; IPV4_HEADER_BYTES] = packet.first_chunk().ok_or(Reason::HeadersCut)?;
    if header[0] >> 4 != 4 {
        return Err(Reason::Version);
    }
    let header_bytes = usize::from(header[0] & 0x0f) * 4;
    if header_bytes < IPV4_HEADER_BYTES {
        return Err(Reason::HeaderLength);
    }
    let total_bytes = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let place = u16::from_be_bytes([header[6], header[7]]);
    let is_whole = place & (MORE_FRAGMENTS | OFFSET_MASK) == 0;
    if total_bytes == 0 && header[9] == TCP && is_whole {
        // As segmentation offload leaves it (`iph_totlen`, linux/ip.h).
        let total_bytes = packet.len().max(header_bytes + TRANSPORT_BYTES);
        return cut(packet, total_bytes, header_bytes).map(Ip::WithoutLength);
    }
    if total_bytes < header_bytes {
        return Err(Reason::TotalLength);
    }
    let captured = cut(packet, total_bytes, header_bytes)?;
    if is_whole {
        return Ok(Ip::Whole(captured));
    }
    v4_fragment(header, captured, Lengths { header_bytes, total_bytes }).map(Ip::Fragment)
}

/// What an IPv4 header says of lengths.
#[derive(Clone, Copy)]
struct Lengths {
    header_bytes: usize,
    total_bytes: usize,
}

#[cold]
fn v4_fragment<'a>(
    header: &[u8; IPV4_HEADER_BYTES],
    captured: &'a [u8],
    lengths: Lengths,
) -> Result<Fragment<'a>, Reason> {
    let [_, traffic_class, _, _, id0, id1, place0, place1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    if captured.len() < lengths.total_bytes {
        return Err(Reason::FragmentCut);
    }
    let (headers, payload) = captured.split_at_checked(lengths.header_bytes).ok_or(Reason::HeadersCut)?;
    let place = u16::from_be_bytes([place0, place1]);
    Ok(Fragment {
        key: Key::V4 { source: [s0, s1, s2, s3], destination: [d0, d1, d2, d3], id: [id0, id1], protocol },
        headers: Headers::V4(headers),
        payload,
        offset: u32::from(place & OFFSET_MASK) * 8,
        follows: if place & MORE_FRAGMENTS != 0 { Follows::More } else { Follows::Nothing },
        ecn: Ecn::of(traffic_class),
    })
}

#[inline]
fn v6(packet: &[u8]) -> Result<Ip<'_>, Reason> {
    let header: &[u8; IPV6_HEADER_BYTES] = packet.first_chunk().ok_or(Reason::HeadersCut)?;
    if header[0] >> 4 != 6 {
        return Err(Reason::Version);
    }
    let payload_bytes = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let next_header = header[6];
    if payload_bytes == 0 && next_header == HOP_BY_HOP {
        // A jumbogram, whose length is in an option (RFC 2675). It cannot be a fragment. The whole frame is taken for it:
        // `ip6_rcv_core` (net/ipv6/ip6_input.c) does so too until it reads the option.
        return cut(packet, packet.len(), IPV6_HEADER_BYTES).map(Ip::Whole);
    }
    let total_bytes = IPV6_HEADER_BYTES + payload_bytes;
    let captured = cut(packet, total_bytes, IPV6_HEADER_BYTES)?;
    if !may_precede_fragment_header(next_header) && next_header != FRAGMENT {
        return Ok(Ip::Whole(captured));
    }
    match find_fragment_header(captured, next_header) {
        Some(found) => v6_fragment(header, captured, total_bytes, found).map(Ip::Fragment),
        None => Ok(Ip::Whole(captured)),
    }
}

/// Where a fragment header is, and the byte that says so.
#[derive(Clone, Copy)]
struct FoundFragmentHeader {
    at: usize,
    named_at: usize,
}

/// The headers that are looked through on the way to a fragment header (`find_prev_fhdr`,
/// `net/ipv6/netfilter/nf_conntrack_reasm.c`).
#[inline]
fn may_precede_fragment_header(next_header: u8) -> bool {
    matches!(next_header, HOP_BY_HOP | ROUTING | AUTHENTICATION | DESTINATION)
}

#[cold]
fn find_fragment_header(captured: &[u8], next_header: u8) -> Option<FoundFragmentHeader> {
    let mut next_header = next_header;
    // In the IPv6 header it is the seventh byte, in the others the first.
    let mut named_at = 6;
    let mut at = IPV6_HEADER_BYTES;
    while next_header != FRAGMENT {
        let [next, length] = *captured.get(at..)?.first_chunk()?;
        let bytes = match next_header {
            AUTHENTICATION => (usize::from(length) + 2) * 4,
            other if may_precede_fragment_header(other) => (usize::from(length) + 1) * 8,
            _ => return None,
        };
        next_header = next;
        named_at = at;
        at += bytes;
    }
    (at <= captured.len()).then_some(FoundFragmentHeader { at, named_at })
}

#[cold]
fn v6_fragment<'a>(
    header: &[u8; IPV6_HEADER_BYTES],
    captured: &'a [u8],
    total_bytes: usize,
    found: FoundFragmentHeader,
) -> Result<Fragment<'a>, Reason> {
    if captured.len() < total_bytes {
        return Err(Reason::FragmentCut);
    }
    let (headers, rest) = captured.split_at_checked(found.at).ok_or(Reason::FragmentCut)?;
    let (&[next_header, _, place0, place1, i0, i1, i2, i3], payload) =
        rest.split_first_chunk().ok_or(Reason::FragmentCut)?;
    let place = u16::from_be_bytes([place0, place1]);
    Ok(Fragment {
        key: Key::V6 { source: address(header, 8), destination: address(header, 24), id: [i0, i1, i2, i3] },
        headers: Headers::V6 { bytes: headers, next_header_at: found.named_at, next_header },
        payload,
        // In bytes: the offset counts in eights, and stands in the field's upper 13 bits.
        offset: u32::from(place & !0b111),
        follows: if place & 1 != 0 { Follows::More } else { Follows::Nothing },
        ecn: Ecn::of(header[0] << 4 | header[1] >> 4),
    })
}

fn address(header: &[u8; IPV6_HEADER_BYTES], at: usize) -> [u8; 16] {
    header.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default()
}

/// What was captured of a packet, without what lies behind its end; an error if its headers were not captured.
#[inline]
fn cut(packet: &[u8], total_bytes: usize, header_bytes: usize) -> Result<&[u8], Reason> {
    let captured = packet.get(..total_bytes).unwrap_or(packet);
    if captured.len() < total_bytes.min(header_bytes + TRANSPORT_BYTES) {
        return Err(Reason::HeadersCut);
    }
    Ok(captured)
}
