//! Making entries. Nothing that only reads calls this: it is for laboratories and restores.

use std::net::IpAddr;

use plimsoll_model::{Layer4, NewEntry, Status, Tuple, Zone};

use crate::attributes::{cta, cta_ip, cta_proto, cta_protoinfo, cta_tuple};
use crate::dump::CT_NEW;
use crate::error::{Error, Request};
use crate::message::{ACK, Body, CREATE_NEW, Header, Requests};
use crate::socket::{DATAGRAM_BYTES, Socket, errno_of};
use crate::wire::{Messages, NLMSG_ERROR};

/// Address families, as `nfgen_family` takes them.
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// Requests in one datagram: enough to hide the cost of a call, few enough for the acknowledgements' buffer.
const BATCH: usize = 128;

/// Makes entries in the calling thread's network namespace, in batches, and returns how many were made.
///
/// # Errors
/// The first refusal ends it: `EEXIST` for a tuple that is there, `ENOMEM` for a full table. Entries before the one that
/// was refused are made, and those behind it in its batch may be.
pub fn create(entries: impl IntoIterator<Item = NewEntry>) -> Result<u64, Error> {
    let socket = Socket::open(Request::Create)?;
    let mut buffer = vec![0; DATAGRAM_BYTES];
    let mut requests = Requests::default();
    let mut created = 0;
    let mut entries = entries.into_iter().peekable();
    while entries.peek().is_some() {
        requests.clear();
        let mut batch: u32 = 0;
        for entry in entries.by_ref().take(BATCH) {
            batch += 1;
            write_entry(&mut requests, batch, &entry);
        }
        socket.send(&requests)?;
        let mut acknowledged = 0;
        while acknowledged < batch {
            for message in Messages::of(socket.receive(&mut buffer)?) {
                let message = message.map_err(|problem| socket.broken(problem))?;
                if message.kind == NLMSG_ERROR {
                    if let Some(answer) = errno_of(&message).map_err(|problem| socket.broken(problem))? {
                        return Err(socket.refused(answer));
                    }
                    acknowledged += 1;
                }
            }
        }
        created += u64::from(batch);
    }
    Ok(created)
}

fn write_entry(requests: &mut Requests, sequence: u32, entry: &NewEntry) {
    let family = if entry.original.source.is_ipv4() { AF_INET } else { AF_INET6 };
    let header = Header { kind: CT_NEW, flags: CREATE_NEW | ACK, sequence, selector: family };
    requests.add(header, |body| {
        body.nest(cta::TUPLE_ORIG, |body| write_tuple(body, &entry.original));
        body.nest(cta::TUPLE_REPLY, |body| write_tuple(body, &entry.reply));
        // The kernel refuses to change CONFIRMED, which it sets before it looks at this (ctnetlink_change_status).
        body.put(cta::STATUS, &entry.status.and(Status::CONFIRMED).0.to_be_bytes());
        body.put(cta::TIMEOUT, &entry.timeout_secs.to_be_bytes());
        if entry.zone != Zone::default() {
            body.put(cta::ZONE, &entry.zone.0.to_be_bytes());
        }
        if let Some(state) = entry.tcp_state {
            body.nest(cta::PROTOINFO, |body| {
                body.nest(cta_protoinfo::TCP, |body| body.put(cta_protoinfo::STATE, &[state as u8]));
            });
        }
    });
}

fn write_tuple(body: &mut Body<'_>, tuple: &Tuple) {
    body.nest(cta_tuple::IP, |body| {
        write_address(body, [cta_ip::V4_SRC, cta_ip::V6_SRC], tuple.source);
        write_address(body, [cta_ip::V4_DST, cta_ip::V6_DST], tuple.destination);
    });
    body.nest(cta_tuple::PROTO, |body| {
        body.put(cta_proto::NUM, &[tuple.protocol.0]);
        match tuple.layer4 {
            Layer4::Ports { source, destination } => {
                body.put(cta_proto::SRC_PORT, &source.to_be_bytes());
                body.put(cta_proto::DST_PORT, &destination.to_be_bytes());
            }
            Layer4::Icmp { id, kind, code } => {
                let [id_attribute, kind_attribute, code_attribute] = if tuple.source.is_ipv4() {
                    [cta_proto::ICMP_ID, cta_proto::ICMP_TYPE, cta_proto::ICMP_CODE]
                } else {
                    [cta_proto::ICMPV6_ID, cta_proto::ICMPV6_TYPE, cta_proto::ICMPV6_CODE]
                };
                body.put(id_attribute, &id.to_be_bytes());
                body.put(kind_attribute, &[kind]);
                body.put(code_attribute, &[code]);
            }
            Layer4::None => {}
        }
    });
}

fn write_address(body: &mut Body<'_>, [v4, v6]: [u16; 2], address: IpAddr) {
    match address {
        IpAddr::V4(address) => body.put(v4, &address.octets()),
        IpAddr::V6(address) => body.put(v6, &address.octets()),
    }
}
