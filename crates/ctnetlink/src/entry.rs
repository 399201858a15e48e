//! One entry of a dump, parsed where it lies (`enum ctattr_type` and its kin in
//! `linux/netfilter/nfnetlink_conntrack.h`).

use std::net::IpAddr;

use plimsoll_model::{
    Entry, Extension, Extensions, Layer4, Protocol, ProtocolState, SctpState, Status, TcpState, Tuple, Unknowns, Zone,
};

use crate::attributes::{HELP_NAME, cta, cta_ip, cta_proto, cta_protoinfo, cta_tuple};
use crate::error::{ParseError, Problem};
use crate::wire::{Fault, Message, NFGENMSG_BYTES, Span};

/// An entry, and what of it stays in the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpedEntry<'a> {
    /// The entry itself.
    pub entry: Entry,
    /// Name of the helper that follows the flow, as the kernel wrote it.
    pub helper: Option<&'a [u8]>,
    /// Labels, as the kernel wrote them.
    pub labels: Option<&'a [u8]>,
}

/// Parses a message of a dump.
#[inline]
pub(crate) fn parse<'a>(message: &Message<'a>, unknowns: &mut Unknowns) -> Result<DumpedEntry<'a>, ParseError> {
    parse_attributes(message.payload, unknowns).map_err(|fault| fault.in_message(message.kind))
}

#[inline]
fn parse_attributes<'a>(payload: Span<'a>, unknowns: &mut Unknowns) -> Result<DumpedEntry<'a>, Fault> {
    let mut original = None;
    let mut reply = None;
    let mut id = 0;
    let mut zone = None;
    let mut status = None;
    let mut state = ProtocolState::None;
    let mut remaining_secs = None;
    let mut mark = 0;
    let mut extensions = Extensions::default();
    let mut helper = None;
    let mut labels = None;

    for attribute in payload.after(NFGENMSG_BYTES)?.attributes() {
        let attribute = attribute?;
        let value = attribute.value;
        let inside = |fault: Fault| fault.inside(attribute.kind);
        match attribute.kind {
            cta::TUPLE_ORIG => original = Some(parse_tuple(value, &mut zone, unknowns).map_err(inside)?),
            cta::TUPLE_REPLY => reply = Some(parse_tuple(value, &mut zone, unknowns).map_err(inside)?),
            cta::STATUS => status = Some(Status(value.be32().map_err(inside)?)),
            cta::PROTOINFO => state = parse_state(value, unknowns).map_err(inside)?,
            cta::TIMEOUT => remaining_secs = Some(value.be32().map_err(inside)?),
            cta::MARK => mark = value.be32().map_err(inside)?,
            cta::ID => id = value.be32().map_err(inside)?,
            cta::ZONE => zone = Some(Zone(value.be16().map_err(inside)?)),
            cta::HELP => {
                helper = parse_helper_name(value).map_err(inside)?;
                extensions.insert(Extension::Helper);
            }
            cta::LABELS => {
                labels = Some(value.bytes);
                extensions.insert(Extension::Labels);
            }
            cta::COUNTERS_ORIG => extensions.insert(Extension::Accounting),
            cta::TIMESTAMP => extensions.insert(Extension::Timestamp),
            cta::SEQ_ADJ_ORIG => extensions.insert(Extension::SequenceAdjustment),
            cta::SYNPROXY => extensions.insert(Extension::Synproxy),
            cta::COUNTERS_REPLY | cta::USE | cta::TUPLE_MASTER | cta::SEQ_ADJ_REPLY | cta::SECMARK | cta::SECCTX => {}
            unknown => *unknowns.attributes.entry(unknown).or_default() += 1,
        }
    }

    let missing = |kind| Fault::at(payload.offset, Problem::Missing { kind });
    let original: Tuple = original.ok_or_else(|| missing(cta::TUPLE_ORIG))?;
    if original.protocol.name().is_none() {
        *unknowns.protocols.entry(original.protocol.0).or_default() += 1;
    }
    Ok(DumpedEntry {
        entry: Entry {
            id,
            original,
            reply: reply.ok_or_else(|| missing(cta::TUPLE_REPLY))?,
            zone: zone.unwrap_or_default(),
            status: status.ok_or_else(|| missing(cta::STATUS))?,
            state,
            remaining_secs,
            mark,
            extensions,
        },
        helper,
        labels,
    })
}

#[inline]
fn parse_tuple(value: Span<'_>, zone: &mut Option<Zone>, unknowns: &mut Unknowns) -> Result<Tuple, Fault> {
    let mut addresses = None;
    let mut protocol = None;
    for attribute in value.attributes() {
        let attribute = attribute?;
        let inside = |fault: Fault| fault.inside(attribute.kind);
        match attribute.kind {
            cta_tuple::IP => addresses = Some(parse_addresses(attribute.value, unknowns).map_err(inside)?),
            cta_tuple::PROTO => protocol = Some(parse_protocol(attribute.value, unknowns).map_err(inside)?),
            cta_tuple::ZONE => *zone = Some(Zone(attribute.value.be16().map_err(inside)?)),
            unknown => *unknowns.attributes.entry(unknown).or_default() += 1,
        }
    }
    let missing = |kind| Fault::at(value.offset, Problem::Missing { kind });
    let (source, destination) = addresses.ok_or_else(|| missing(cta_tuple::IP))?;
    let (protocol, layer4) = protocol.ok_or_else(|| missing(cta_tuple::PROTO))?;
    Ok(Tuple { source, destination, protocol, layer4 })
}

#[inline]
fn parse_addresses(value: Span<'_>, unknowns: &mut Unknowns) -> Result<(IpAddr, IpAddr), Fault> {
    let mut source = None;
    let mut destination = None;
    for attribute in value.attributes() {
        let attribute = attribute?;
        let inside = |fault: Fault| fault.inside(attribute.kind);
        match attribute.kind {
            cta_ip::V4_SRC => source = Some(IpAddr::from(attribute.value.ipv4().map_err(inside)?)),
            cta_ip::V4_DST => destination = Some(IpAddr::from(attribute.value.ipv4().map_err(inside)?)),
            cta_ip::V6_SRC => source = Some(IpAddr::from(attribute.value.ipv6().map_err(inside)?)),
            cta_ip::V6_DST => destination = Some(IpAddr::from(attribute.value.ipv6().map_err(inside)?)),
            unknown => *unknowns.attributes.entry(unknown).or_default() += 1,
        }
    }
    let missing = |kind| Fault::at(value.offset, Problem::Missing { kind });
    Ok((source.ok_or_else(|| missing(cta_ip::V4_SRC))?, destination.ok_or_else(|| missing(cta_ip::V4_DST))?))
}

#[inline]
fn parse_protocol(value: Span<'_>, unknowns: &mut Unknowns) -> Result<(Protocol, Layer4), Fault> {
    let mut number = None;
    let mut source = None;
    let mut destination = None;
    let mut id = None;
    let mut kind = None;
    let mut code = None;
    for attribute in value.attributes() {
        let attribute = attribute?;
        let inside = |fault: Fault| fault.inside(attribute.kind);
        let value = attribute.value;
        match attribute.kind {
            cta_proto::NUM => number = Some(value.u8().map_err(inside)?),
            cta_proto::SRC_PORT => source = Some(value.be16().map_err(inside)?),
            cta_proto::DST_PORT => destination = Some(value.be16().map_err(inside)?),
            cta_proto::ICMP_ID | cta_proto::ICMPV6_ID => id = Some(value.be16().map_err(inside)?),
            cta_proto::ICMP_TYPE | cta_proto::ICMPV6_TYPE => kind = Some(value.u8().map_err(inside)?),
            cta_proto::ICMP_CODE | cta_proto::ICMPV6_CODE => code = Some(value.u8().map_err(inside)?),
            unknown => *unknowns.attributes.entry(unknown).or_default() += 1,
        }
    }
    let number = number.ok_or_else(|| Fault::at(value.offset, Problem::Missing { kind: cta_proto::NUM }))?;
    let layer4 = match (source, destination, id, kind, code) {
        (Some(source), Some(destination), ..) => Layer4::Ports { source, destination },
        (_, _, Some(id), Some(kind), Some(code)) => Layer4::Icmp { id, kind, code },
        _ => Layer4::None,
    };
    Ok((Protocol(number), layer4))
}

#[inline]
fn parse_state(value: Span<'_>, unknowns: &mut Unknowns) -> Result<ProtocolState, Fault> {
    let mut state = ProtocolState::None;
    for attribute in value.attributes() {
        let protocol = attribute?;
        let known: fn(u8) -> Option<ProtocolState> = match protocol.kind {
            cta_protoinfo::TCP => |number| TcpState::from_kernel(number).map(ProtocolState::Tcp),
            cta_protoinfo::SCTP => |number| SctpState::from_kernel(number).map(ProtocolState::Sctp),
            cta_protoinfo::DCCP => |number| Some(ProtocolState::Dccp(number)),
            unknown => {
                *unknowns.attributes.entry(unknown).or_default() += 1;
                continue;
            }
        };
        // The state's attribute comes first; windows and flags after it are not needed.
        for attribute in protocol.value.attributes() {
            let attribute = attribute.map_err(|fault| fault.inside(protocol.kind))?;
            if attribute.kind == cta_protoinfo::STATE {
                let inside = |fault: Fault| fault.inside(attribute.kind).inside(protocol.kind);
                let number = attribute.value.u8().map_err(inside)?;
                state = known(number).unwrap_or_else(|| {
                    *unknowns.states.entry(number).or_default() += 1;
                    ProtocolState::Unknown(number)
                });
                break;
            }
        }
    }
    Ok(state)
}

#[cold]
fn parse_helper_name(value: Span<'_>) -> Result<Option<&[u8]>, Fault> {
    for attribute in value.attributes() {
        let attribute = attribute?;
        if attribute.kind == HELP_NAME {
            let name = attribute.value.bytes;
            return Ok(Some(name.strip_suffix(b"\0").unwrap_or(name)));
        }
    }
    Ok(None)
}
