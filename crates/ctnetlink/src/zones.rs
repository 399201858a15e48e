//! Limits of conntrack zones. The kernel's tracking has none; Open vSwitch's datapath counts the entries of each zone and
//! refuses new ones over a limit of its own, the table full or not (`net/openvswitch/conntrack.c`).

use plimsoll_model::ZoneLimit;

use crate::error::{Error, ParseError, Problem, Request};
use crate::message::{Header, Requests};
use crate::socket::{DATAGRAM_BYTES, Socket};
use crate::wire::{FIXED_HEADER_BYTES, Fault, Message, Messages};

/// The family `nlctrl`, and its command `CTRL_CMD_GETFAMILY`.
const CONTROLLER: u16 = 0x10;
const GET_FAMILY: u8 = 3;
/// `CTRL_ATTR_FAMILY_ID`, `CTRL_ATTR_FAMILY_NAME`.
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

/// `OVS_CT_LIMIT_FAMILY`, `OVS_CT_LIMIT_CMD_GET`.
const LIMITS_FAMILY: &[u8] = b"ovs_ct_limit\0";
const GET_LIMITS: u8 = 3;
/// `OVS_CT_LIMIT_ATTR_ZONE_LIMIT`.
const LIMITS: u16 = 1;
/// `struct ovs_header`: the index of a datapath, which limits do not look at.
const OVS_HEADER: [u8; 4] = [0; 4];
/// `struct ovs_zone_limit`: zone, limit, count.
const LIMIT_BYTES: usize = 12;
/// `OVS_ZONE_LIMIT_DEFAULT_ZONE`: holds for zones that have no limit of their own.
const DEFAULT_ZONE: i32 = -1;

/// Reads the limits of the calling thread's network namespace: the default for zones without one of their own, and
/// those that have. Needs Open vSwitch's kernel module; asking without it loads it where that can be.
pub fn zone_limits() -> Result<Vec<ZoneLimit>, Error> {
    let socket = Socket::open(Request::ZoneLimits)?;
    let header = Header { kind: family(&socket)?, flags: 0, sequence: 2, selector: GET_LIMITS };
    socket.send(&Requests::one(header, |body| body.raw(&OVS_HEADER)))?;
    let mut buffer = vec![0; DATAGRAM_BYTES];
    let message = socket.receive_one(&mut buffer)?;
    parse_limits(&message).map_err(|fault| socket.broken(message.error(fault)))
}

/// The number that the kernel gave the family.
fn family(socket: &Socket) -> Result<u16, Error> {
    let header = Header { kind: CONTROLLER, flags: 0, sequence: 1, selector: GET_FAMILY };
    socket.send(&Requests::one(header, |body| body.put(FAMILY_NAME, LIMITS_FAMILY)))?;
    let mut buffer = vec![0; DATAGRAM_BYTES];
    let message = socket.receive_one(&mut buffer)?;
    let id = || -> Result<u16, Fault> {
        match message.attribute(FAMILY_ID)? {
            Some(id) => id.array().map(u16::from_ne_bytes),
            None => Err(Fault::at(message.payload, Problem::Missing { kind: FAMILY_ID })),
        }
    };
    id().map_err(|fault| socket.broken(message.error(fault)))
}

fn parse_limits(message: &Message<'_>) -> Result<Vec<ZoneLimit>, Fault> {
    let mut attributes = message.attributes_behind(FIXED_HEADER_BYTES + OVS_HEADER.len())?;
    let limits = attributes.by_ref().find(|attribute| attribute.kind == LIMITS);
    attributes.end()?;
    let (limits, rest) = limits.map_or(&[][..], |limits| limits.value).as_chunks::<LIMIT_BYTES>();
    if !rest.is_empty() {
        return Err(Fault::at(rest, Problem::Truncated { needs: LIMIT_BYTES, has: rest.len() }).inside(LIMITS));
    }
    limits.iter().map(parse_limit).collect()
}

fn parse_limit(limit: &[u8; LIMIT_BYTES]) -> Result<ZoneLimit, Fault> {
    let &[z0, z1, z2, z3, l0, l1, l2, l3, c0, c1, c2, c3] = limit;
    let zone = match i32::from_ne_bytes([z0, z1, z2, z3]) {
        DEFAULT_ZONE => None,
        number => {
            let value = i64::from(number);
            Some(u16::try_from(number).map_err(|_| Fault::at(limit, Problem::OutOfRange { value }).inside(LIMITS))?)
        }
    };
    Ok(ZoneLimit { zone, limit: u32::from_ne_bytes([l0, l1, l2, l3]), count: u32::from_ne_bytes([c0, c1, c2, c3]) })
}

/// Parses a datagram of zone limits.
pub fn parse_zone_limits(datagram: &[u8]) -> Result<Vec<ZoneLimit>, ParseError> {
    let mut limits = Vec::new();
    for message in Messages::of(datagram) {
        let message = message?;
        limits.extend(parse_limits(&message).map_err(|fault| message.error(fault))?);
    }
    Ok(limits)
}
