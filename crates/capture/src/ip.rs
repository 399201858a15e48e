//! IP headers: how long a packet is, and whether it is a fragment.

use crate::fragment::{Ecn, Follows, Fragment, Headers, Key};
use crate::link::{Packet, Version};
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

/// A datagram, or a part of one, without what the link layer put behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ip<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) shape: Shape,
}

/// What an IP packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A whole datagram.
    Whole,
    /// A whole datagram of IPv4 whose header has no length: this is all that was captured of it.
    WithoutLength,
    /// Part of one: see [`Fragment::of`].
    Fragment,
}

impl<'a> Ip<'a> {
    /// Looks at the packet of a frame.
    #[inline]
    pub(crate) fn of(packet: Packet<'a>) -> Result<Self, Reason> {
        match packet.version {
            Version::V4 => v4(packet.bytes),
            Version::V6 => v6(packet.bytes),
        }
    }
}

impl<'a> Fragment<'a> {
    /// Reads what [`Ip::of`] has found to be one.
    #[cold]
    pub(crate) fn of(packet: &'a [u8]) -> Result<Self, Reason> {
        match packet.first().ok_or(Reason::HeadersCut)? >> 4 {
            4 => v4_fragment(packet),
            _ => v6_fragment(packet),
        }
    }
}

#[inline]
fn v4(packet: &[u8]) -> Result<Ip<'_>, Reason> {
    let header: &[u8; IPV4_HEADER_BYTES] = packet.first_chunk().ok_or(Reason::HeadersCut)?;
    if header[0] >> 4 != 4 {
        return Err(Reason::Version);
    }
    let Lengths { header_bytes, total_bytes } = Lengths::of(header);
    if header_bytes < IPV4_HEADER_BYTES {
        return Err(Reason::HeaderLength);
    }
    let place = u16::from_be_bytes([header[6], header[7]]);
    let is_whole = place & (MORE_FRAGMENTS | OFFSET_MASK) == 0;
    if total_bytes == 0 && header[9] == TCP && is_whole {
        // As segmentation offload leaves it (`iph_totlen`, linux/ip.h).
        let total_bytes = packet.len().max(header_bytes + TRANSPORT_BYTES);
        return Ok(Ip { bytes: cut(packet, total_bytes, header_bytes)?, shape: Shape::WithoutLength });
    }
    if total_bytes < header_bytes {
        return Err(Reason::TotalLength);
    }
    let shape = if is_whole { Shape::Whole } else { Shape::Fragment };
    Ok(Ip { bytes: cut(packet, total_bytes, header_bytes)?, shape })
}

/// What an IPv4 header says of lengths.
#[derive(Clone, Copy)]
struct Lengths {
    header_bytes: usize,
    total_bytes: usize,
}

impl Lengths {
    #[inline]
    const fn of(header: &[u8; IPV4_HEADER_BYTES]) -> Self {
        Self {
            header_bytes: (header[0] & 0x0f) as usize * 4,
            total_bytes: u16::from_be_bytes([header[2], header[3]]) as usize,
        }
    }
}

fn v4_fragment(captured: &[u8]) -> Result<Fragment<'_>, Reason> {
    let header: &[u8; IPV4_HEADER_BYTES] = captured.first_chunk().ok_or(Reason::HeadersCut)?;
    let lengths = Lengths::of(header);
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
    let next_header = header[6];
    let total_bytes = v6_total_bytes(header);
    if total_bytes == IPV6_HEADER_BYTES && next_header == HOP_BY_HOP {
        // A jumbogram, whose length is in an option (RFC 2675). It cannot be a fragment. The whole frame is taken for it:
        // `ip6_rcv_core` (net/ipv6/ip6_input.c) does so too until it reads the option.
        return Ok(Ip { bytes: cut(packet, packet.len(), IPV6_HEADER_BYTES)?, shape: Shape::Whole });
    }
    let bytes = cut(packet, total_bytes, IPV6_HEADER_BYTES)?;
    let may_be_fragment = may_precede_fragment_header(next_header) || next_header == FRAGMENT;
    let is_fragment = may_be_fragment && find_fragment_header(bytes, next_header).is_some();
    Ok(Ip { bytes, shape: if is_fragment { Shape::Fragment } else { Shape::Whole } })
}

#[inline]
fn v6_total_bytes(header: &[u8; IPV6_HEADER_BYTES]) -> usize {
    IPV6_HEADER_BYTES + usize::from(u16::from_be_bytes([header[4], header[5]]))
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

fn v6_fragment(captured: &[u8]) -> Result<Fragment<'_>, Reason> {
    let header: &[u8; IPV6_HEADER_BYTES] = captured.first_chunk().ok_or(Reason::HeadersCut)?;
    if captured.len() < v6_total_bytes(header) {
        return Err(Reason::FragmentCut);
    }
    let found = find_fragment_header(captured, header[6]).ok_or(Reason::FragmentCut)?;
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
