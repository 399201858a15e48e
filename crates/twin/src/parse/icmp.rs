//! ICMP: queries, errors, and what is neither (`nf_conntrack_proto_icmp.c`, `nf_conntrack_proto_icmpv6.c`).

use std::net::IpAddr;

use plimsoll_model::Layer4;

use super::network::Datagram;
use super::{Checksums, checksum, quoted};
use crate::packet::{Content, IcmpError, Packet};

/// Behind this header an error quotes.
const HEADER: usize = 8;

pub(super) fn read<'a>(datagram: &Datagram<'a>, checksums: Checksums) -> Packet<'a> {
    const MOST_TYPE: u8 = 18;
    let broken = error(datagram, None);
    let Some([kind, ..]) = datagram.payload.first_chunk::<HEADER>().copied() else { return broken };
    let is_right = checksums == Checksums::Ignored || checksum::complement_of_sum(datagram.payload) == 0;
    match kind {
        _ if !is_right || kind > MOST_TYPE => broken,
        // Unreachable, source quench, redirect, time exceeded, parameter problem (RFC 792).
        3 | 4 | 11 | 12 => error(datagram, datagram.payload.get(HEADER..)),
        5 => as_redirect(error(datagram, datagram.payload.get(HEADER..))),
        _ => query(datagram),
    }
}

pub(super) fn read_v6<'a>(datagram: &Datagram<'a>, checksums: Checksums) -> Packet<'a> {
    const LEAST_QUERY: u8 = 128;
    const REDIRECT: u8 = 137;
    let broken = error(datagram, None);
    let Some([kind, code, ..]) = datagram.payload.first_chunk::<HEADER>().copied() else { return broken };
    let is_right = checksums == Checksums::Ignored || checksum::is_right(datagram, datagram.payload);
    match kind {
        _ if !is_right => broken,
        // Multicast listeners, neighbours, routers (RFC 2710, 3810, 4286, 4861).
        130..=136 | 143 | 151 | 152 => Packet::Unwatched,
        REDIRECT if code == 0 => redirect(datagram),
        LEAST_QUERY.. => query(datagram),
        _ => error(datagram, datagram.payload.get(HEADER..)),
    }
}

fn query<'a>(datagram: &Datagram<'a>) -> Packet<'a> {
    let [kind, code, _, _, high, low, ..] = datagram.payload else { return Packet::Unreadable };
    let layer4 = Layer4::Icmp { id: u16::from_be_bytes([*high, *low]), kind: *kind, code: *code };
    Packet::Flow { tuple: datagram.tuple(layer4), content: Content::Plain }
}

fn error<'a>(datagram: &Datagram<'_>, quotation: Option<&[u8]>) -> Packet<'a> {
    let (about, is_translatable) = quotation.and_then(quoted).unzip();
    let is_translatable = is_translatable.unwrap_or(false);
    Packet::IcmpError(IcmpError { destination: datagram.destination, is_translatable, about })
}

fn as_redirect(packet: Packet<'_>) -> Packet<'_> {
    match packet {
        Packet::IcmpError(error) => Packet::IcmpError(IcmpError { is_translatable: false, ..error }),
        other => other,
    }
}

/// A redirect (RFC 4861, section 4.5) quotes in an option; one that quotes nothing is a packet like others.
fn redirect<'a>(datagram: &Datagram<'a>) -> Packet<'a> {
    const OPTIONS: usize = 40;
    const REDIRECTED_HEADER: u8 = 4;
    const MOST_HOPS: u8 = 255;
    let is_from_neighbour =
        datagram.hops == MOST_HOPS && matches!(datagram.source, IpAddr::V6(source) if source.is_unicast_link_local());
    match datagram.payload.get(OPTIONS..) {
        Some([kind, length, ..]) if is_from_neighbour && *length > 0 => {
            if *kind == REDIRECTED_HEADER {
                as_redirect(error(datagram, datagram.payload.get(OPTIONS + HEADER..)))
            } else {
                query(datagram)
            }
        }
        _ => error(datagram, None),
    }
}
