//! One entry of a dump, parsed where it lies (`enum ctattr_type` and its kin in
//! `linux/netfilter/nfnetlink_conntrack.h`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU64;

use plimsoll_model::{
    Entry, Extension, Extensions, Layer4, Protocol, ProtocolState, SctpState, Side, Status, TcpState, Tuple, Unknowns,
    Zone,
};

use crate::attributes::{HELP_NAME, TCP_CLOSE_INIT, cta, cta_ip, cta_proto, cta_protoinfo, cta_tuple};
use crate::error::{ParseError, Problem};
use crate::traffic::{Timestamps, Traffic};
use crate::wire::{Attribute, Fault, Message, nested, plain, word};

/// An entry, and what of it stays in the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpedEntry<'a> {
    /// The entry itself.
    pub entry: Entry,
    /// Name of the helper that follows the flow, as the kernel wrote it.
    pub helper: Option<&'a [u8]>,
    /// Labels, as the kernel wrote them.
    pub labels: Option<&'a [u8]>,
    /// The zone of the original direction: 0 where the entry's zone holds for replies only.
    pub original_zone: Zone,
    /// What the side that opened the flow has sent (`nf_conntrack_acct`).
    pub original_traffic: Option<Traffic>,
    /// What came back.
    pub reply_traffic: Option<Traffic>,
    /// When it ended, in nanoseconds since 1970 (`nf_conntrack_timestamp`); only a `DESTROY` event tells that.
    pub stopped_unix_nanos: Option<NonZeroU64>,
    /// When what an event tells came about, in nanoseconds since 1970 (`nf_conntrack_timestamp`, kernels from 6.14 on); a
    /// dump tells no event.
    pub event_unix_nanos: Option<NonZeroU64>,
}

impl DumpedEntry<'_> {
    /// What names this very entry to the kernel.
    #[inline]
    pub const fn key(&self) -> EntryKey {
        EntryKey { id: self.entry.id, original: self.entry.original, original_zone: self.original_zone }
    }
}

/// What names one entry to the kernel, and no later one that took its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryKey {
    /// The kernel's identifier.
    pub id: u32,
    /// From the side that opened the flow.
    pub original: Tuple,
    /// The zone of the original direction, by which the kernel looks it up (`nf_ct_zone_id`).
    pub original_zone: Zone,
}

/// Parses a message of a dump, or of an event, which is laid out alike.
#[inline]
pub(crate) fn parse<'a>(message: &Message<'a>, unknowns: &mut Unknowns) -> Result<DumpedEntry<'a>, ParseError> {
    parse_attributes(message, unknowns).map_err(|fault| message.error(fault))
}

#[inline]
#[expect(clippy::too_many_lines, reason = "one loop over what the kernel sends, and what comes of it")]
fn parse_attributes<'a>(message: &Message<'a>, unknowns: &mut Unknowns) -> Result<DumpedEntry<'a>, Fault> {
    let mut original = None;
    let mut reply = None;
    let mut id = None;
    let mut zone = None;
    let mut status = None;
    let mut state = ProtocolState::None;
    let mut closed_first = None;
    let mut remaining_secs = None;
    let mut mark = 0;
    let mut timestamps = Timestamps::default();
    let mut event_unix_nanos = None;
    let mut original_traffic = None;
    let mut reply_traffic = None;
    let mut extensions = Extensions::default();
    let mut helper = None;
    let mut labels = None;

    let mut attributes = message.attributes()?;
    for attribute in attributes.by_ref() {
        match attribute.kind {
            // Parsed below: tuples that were carried through this loop would be copied in each turn of it.
            cta::TUPLE_ORIG => original = Some(attribute),
            cta::TUPLE_REPLY => reply = Some(attribute),
            cta::STATUS => status = Some(Status(attribute.be32()?)),
            cta::PROTOINFO => {
                state = parse_state(&attribute, unknowns)?;
                if let ProtocolState::Tcp(tcp) = state
                    && tcp.is_closing()
                {
                    closed_first = parse_closed_first(&attribute)?;
                }
            }
            cta::TIMEOUT => remaining_secs = Some(attribute.be32()?),
            cta::MARK => mark = attribute.be32()?,
            cta::ID => id = Some(attribute.be32()?),
            cta::ZONE => zone = Some(Zone(attribute.be16()?)),
            cta::HELP => {
                helper = parse_helper_name(&attribute)?;
                extensions.insert(Extension::Helper);
            }
            cta::LABELS => {
                labels = Some(attribute.value);
                extensions.insert(Extension::Labels);
            }
            cta::COUNTERS_ORIG => {
                original_traffic = Traffic::parse(&attribute)?;
                extensions.insert(Extension::Accounting);
            }
            cta::COUNTERS_REPLY => reply_traffic = Traffic::parse(&attribute)?,
            cta::TIMESTAMP => {
                timestamps = Timestamps::parse(&attribute)?;
                extensions.insert(Extension::Timestamp);
            }
            cta::TIMESTAMP_EVENT => event_unix_nanos = NonZeroU64::new(attribute.be64()?),
            cta::SEQ_ADJ_ORIG => extensions.insert(Extension::SequenceAdjustment),
            cta::SYNPROXY => extensions.insert(Extension::Synproxy),
            cta::USE | cta::TUPLE_MASTER | cta::SEQ_ADJ_REPLY | cta::SECMARK | cta::SECCTX => {}
            unknown => count(&mut unknowns.attributes, unknown),
        }
    }
    attributes.end()?;

    let (Some(original), Some(reply), Some(status), Some(id)) = (original, reply, status, id) else {
        let kind = match (original, reply, status) {
            (None, ..) => cta::TUPLE_ORIG,
            (_, None, _) => cta::TUPLE_REPLY,
            (.., None) => cta::STATUS,
            _ => cta::ID,
        };
        return Err(Fault::at(message.payload, Problem::Missing { kind }));
    };
    // A zone that holds for one direction only stands in that direction's tuple.
    let (mut original_zone, mut reply_zone) = (zone, zone);
    let original = parse_tuple(&original, &mut original_zone, unknowns)?;
    let reply = parse_tuple(&reply, &mut reply_zone, unknowns)?;
    let Tuple { protocol, .. } = original;
    if protocol.name().is_none() {
        count(&mut unknowns.protocols, protocol.0);
    }
    let zone = reply_zone.or(original_zone).unwrap_or_default();
    let original_zone = original_zone.unwrap_or_default();
    let packets = |traffic: Option<Traffic>| traffic.map_or(0, |traffic| traffic.packets);
    let packets = packets(original_traffic).saturating_add(packets(reply_traffic));
    let entry = Entry {
        id,
        original,
        reply,
        zone,
        status,
        state,
        closed_first,
        remaining_secs,
        mark,
        started_unix_nanos: timestamps.started,
        packets: NonZeroU64::new(packets),
        extensions,
    };
    Ok(DumpedEntry {
        entry,
        helper,
        labels,
        original_zone,
        original_traffic,
        reply_traffic,
        stopped_unix_nanos: timestamps.stopped,
        event_unix_nanos,
    })
}

#[cold]
fn count<K: Ord>(counts: &mut BTreeMap<K, u64>, unknown: K) {
    *counts.entry(unknown).or_default() += 1;
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "called twice, and each call would copy the tuple three times")]
fn parse_tuple(tuple: &Attribute<'_>, zone: &mut Option<Zone>, unknowns: &mut Unknowns) -> Result<Tuple, Fault> {
    match usual_tuple(tuple.value) {
        Some(tuple) => Ok(tuple),
        None => parse_any_tuple(tuple, zone, unknowns).map_err(|fault| fault.inside(tuple.kind)),
    }
}

/// A tuple with ports, laid out as the kernel always writes it (`ctnetlink_dump_tuples`): two addresses, the protocol,
/// two ports, nothing else. Nearly all entries have two of these, and so most of a dump is parsed by comparing a few
/// words; whatever looks different is parsed attribute by attribute.
#[inline]
fn usual_tuple(bytes: &[u8]) -> Option<Tuple> {
    match bytes.len() {
        48 => {
            let (ip, rest) = bytes.split_first_chunk::<20>()?;
            let laid_out = word(ip, 0) == nested(20, cta_tuple::IP)
                && word(ip, 4) == plain(8, cta_ip::V4_SRC)
                && word(ip, 12) == plain(8, cta_ip::V4_DST);
            let address = |at: usize| IpAddr::from([ip[at], ip[at + 1], ip[at + 2], ip[at + 3]]);
            laid_out.then(|| usual_ports(rest, address(8), address(16)))?
        }
        72 => {
            let (ip, rest) = bytes.split_first_chunk::<44>()?;
            let laid_out = word(ip, 0) == nested(44, cta_tuple::IP)
                && word(ip, 4) == plain(20, cta_ip::V6_SRC)
                && word(ip, 24) == plain(20, cta_ip::V6_DST);
            let address = |at: usize| Some(IpAddr::from(*ip.get(at..)?.first_chunk::<16>()?));
            laid_out.then(|| usual_ports(rest, address(8)?, address(28)?))?
        }
        _ => None,
    }
}

#[inline]
fn usual_ports(bytes: &[u8], source: IpAddr, destination: IpAddr) -> Option<Tuple> {
    let ports: &[u8; 28] = bytes.try_into().ok()?;
    let laid_out = word(ports, 0) == nested(28, cta_tuple::PROTO)
        && word(ports, 4) == plain(5, cta_proto::NUM)
        && word(ports, 12) == plain(6, cta_proto::SRC_PORT)
        && word(ports, 20) == plain(6, cta_proto::DST_PORT);
    let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
    let layer4 = Layer4::Ports { source: port(16), destination: port(24) };
    laid_out.then_some(Tuple { source, destination, protocol: Protocol(ports[8]), layer4 })
}

#[inline(never)]
fn parse_any_tuple(tuple: &Attribute<'_>, zone: &mut Option<Zone>, unknowns: &mut Unknowns) -> Result<Tuple, Fault> {
    let mut addresses = None;
    let mut protocol = None;
    let mut attributes = tuple.nested();
    for attribute in attributes.by_ref() {
        let inside = |fault: Fault| fault.inside(attribute.kind);
        match attribute.kind {
            cta_tuple::IP => addresses = Some(parse_addresses(&attribute, unknowns).map_err(inside)?),
            cta_tuple::PROTO => protocol = Some(parse_protocol(&attribute, unknowns).map_err(inside)?),
            cta_tuple::ZONE => *zone = Some(Zone(attribute.be16()?)),
            unknown => count(&mut unknowns.attributes, unknown),
        }
    }
    attributes.end()?;
    let (source, destination) = addresses.ok_or_else(|| tuple.missing(cta_tuple::IP))?;
    let (protocol, layer4) = protocol.ok_or_else(|| tuple.missing(cta_tuple::PROTO))?;
    Ok(Tuple { source, destination, protocol, layer4 })
}

fn parse_addresses(addresses: &Attribute<'_>, unknowns: &mut Unknowns) -> Result<(IpAddr, IpAddr), Fault> {
    let mut source = None;
    let mut destination = None;
    let mut attributes = addresses.nested();
    for attribute in attributes.by_ref() {
        match attribute.kind {
            cta_ip::V4_SRC => source = Some(IpAddr::from(attribute.array::<4>()?)),
            cta_ip::V4_DST => destination = Some(IpAddr::from(attribute.array::<4>()?)),
            cta_ip::V6_SRC => source = Some(IpAddr::from(attribute.array::<16>()?)),
            cta_ip::V6_DST => destination = Some(IpAddr::from(attribute.array::<16>()?)),
            unknown => count(&mut unknowns.attributes, unknown),
        }
    }
    attributes.end()?;
    match (source, destination) {
        (Some(source), Some(destination)) if source.is_ipv4() == destination.is_ipv4() => Ok((source, destination)),
        (Some(IpAddr::V4(_)), _) => Err(addresses.missing(cta_ip::V4_DST)),
        (Some(IpAddr::V6(_)), _) => Err(addresses.missing(cta_ip::V6_DST)),
        (None, Some(IpAddr::V6(_))) => Err(addresses.missing(cta_ip::V6_SRC)),
        (None, _) => Err(addresses.missing(cta_ip::V4_SRC)),
    }
}

fn parse_protocol(protocol: &Attribute<'_>, unknowns: &mut Unknowns) -> Result<(Protocol, Layer4), Fault> {
    let mut number = None;
    let mut source = None;
    let mut destination = None;
    let mut id = None;
    let mut kind = None;
    let mut code = None;
    let mut attributes = protocol.nested();
    for attribute in attributes.by_ref() {
        match attribute.kind {
            cta_proto::NUM => number = Some(attribute.u8()?),
            cta_proto::SRC_PORT => source = Some(attribute.be16()?),
            cta_proto::DST_PORT => destination = Some(attribute.be16()?),
            cta_proto::ICMP_ID | cta_proto::ICMPV6_ID => id = Some(attribute.be16()?),
            cta_proto::ICMP_TYPE | cta_proto::ICMPV6_TYPE => kind = Some(attribute.u8()?),
            cta_proto::ICMP_CODE | cta_proto::ICMPV6_CODE => code = Some(attribute.u8()?),
            unknown => count(&mut unknowns.attributes, unknown),
        }
    }
    attributes.end()?;
    let number = number.ok_or_else(|| protocol.missing(cta_proto::NUM))?;
    let layer4 = match (source, destination, id, kind, code) {
        (Some(source), Some(destination), ..) => Layer4::Ports { source, destination },
        (_, _, Some(id), Some(kind), Some(code)) => Layer4::Icmp { id, kind, code },
        (None, None, None, None, None) => Layer4::None,
        // Half of a pair is not a protocol without ports.
        (Some(_), None, ..) => return Err(protocol.missing(cta_proto::DST_PORT)),
        (None, Some(_), ..) => return Err(protocol.missing(cta_proto::SRC_PORT)),
        (.., None, _, _) => return Err(protocol.missing(cta_proto::ICMP_ID)),
        (.., None, _) => return Err(protocol.missing(cta_proto::ICMP_TYPE)),
        (.., None) => return Err(protocol.missing(cta_proto::ICMP_CODE)),
    };
    Ok((Protocol(number), layer4))
}

#[inline]
fn parse_state(info: &Attribute<'_>, unknowns: &mut Unknowns) -> Result<ProtocolState, Fault> {
    match usual_state(info.value) {
        Some(state) => Ok(state),
        None => parse_any_state(info, unknowns),
    }
}

/// The state of TCP, which comes first of what its tracker tells (`tcp_to_nlattr`).
#[inline]
fn usual_state(bytes: &[u8]) -> Option<ProtocolState> {
    let state: &[u8; 9] = bytes.first_chunk()?;
    let length = u16::try_from(bytes.len()).ok()?;
    let laid_out =
        word(state, 0) == nested(length, cta_protoinfo::TCP) && word(state, 4) == plain(5, cta_protoinfo::STATE);
    laid_out.then(|| TcpState::from_kernel(state[8]).map(ProtocolState::Tcp))?
}

#[inline(never)]
fn parse_any_state(info: &Attribute<'_>, unknowns: &mut Unknowns) -> Result<ProtocolState, Fault> {
    let protocol = first_nested(info)?;
    let number = || parse_state_number(&protocol).map_err(|fault| fault.inside(protocol.kind).inside(info.kind));
    Ok(match protocol.kind {
        cta_protoinfo::TCP => {
            let number = number()?;
            known_or_counted(TcpState::from_kernel(number).map(ProtocolState::Tcp), number, unknowns)
        }
        cta_protoinfo::SCTP => {
            let number = number()?;
            known_or_counted(SctpState::from_kernel(number).map(ProtocolState::Sctp), number, unknowns)
        }
        cta_protoinfo::DCCP => ProtocolState::Dccp(number()?),
        unknown => {
            count(&mut unknowns.attributes, unknown);
            ProtocolState::None
        }
    })
}

/// Who sent the first FIN, from the flags that TCP's tracker keeps of each side.
fn parse_closed_first(info: &Attribute<'_>) -> Result<Option<Side>, Fault> {
    let tracker = first_nested(info)?;
    let mut closed = (false, false);
    let mut attributes = tracker.nested();
    for attribute in attributes.by_ref() {
        // A byte of flags, and one that says which of them are meant.
        let closed_here = || attribute.array::<2>().map(|[flags, _]| flags & TCP_CLOSE_INIT != 0);
        let inside = |fault: Fault| fault.inside(tracker.kind).inside(info.kind);
        match attribute.kind {
            cta_protoinfo::TCP_FLAGS_ORIGINAL => closed.0 = closed_here().map_err(inside)?,
            cta_protoinfo::TCP_FLAGS_REPLY => closed.1 = closed_here().map_err(inside)?,
            _ => {}
        }
    }
    attributes.end().map_err(|fault| fault.inside(tracker.kind).inside(info.kind))?;
    Ok(match closed {
        (true, false) => Some(Side::Client),
        (false, true) => Some(Side::Server),
        (false, false) | (true, true) => None,
    })
}

/// The windows that a tracker tells behind the state are not looked at.
#[inline]
fn parse_state_number(tracker: &Attribute<'_>) -> Result<u8, Fault> {
    let mut attributes = tracker.nested();
    match attributes.by_ref().find(|attribute| attribute.kind == cta_protoinfo::STATE) {
        Some(state) => state.u8(),
        None => Err(attributes.end().err().unwrap_or_else(|| tracker.missing(cta_protoinfo::STATE))),
    }
}

#[inline]
fn first_nested<'a>(outer: &Attribute<'a>) -> Result<Attribute<'a>, Fault> {
    let mut attributes = outer.nested();
    match attributes.next() {
        Some(first) => Ok(first),
        None => Err(attributes.end().err().unwrap_or_else(|| outer.missing(1)).inside(outer.kind)),
    }
}

#[inline]
fn known_or_counted(known: Option<ProtocolState>, number: u8, unknowns: &mut Unknowns) -> ProtocolState {
    known.unwrap_or_else(|| {
        count(&mut unknowns.states, number);
        ProtocolState::Unknown(number)
    })
}

#[cold]
fn parse_helper_name<'a>(help: &Attribute<'a>) -> Result<Option<&'a [u8]>, Fault> {
    let mut attributes = help.nested();
    let name = attributes.by_ref().find(|attribute| attribute.kind == HELP_NAME).map(|attribute| attribute.value);
    attributes.end().map_err(|fault| fault.inside(help.kind))?;
    Ok(name.map(|name| name.strip_suffix(b"\0").unwrap_or(name)))
}
