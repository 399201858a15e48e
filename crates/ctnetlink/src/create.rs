//! Making entries. Nothing that only reads calls this: it is for laboratories and restores.

use plimsoll_model::{NewEntry, Status, Zone};

use crate::attributes::{cta, cta_protoinfo};
use crate::dump::CT_NEW;
use crate::error::{Error, Request};
use crate::message::{ACK, CREATE_NEW, Header, Requests};
use crate::socket::{DATAGRAM_BYTES, Socket, errno_of};
use crate::tuple::{family, write_tuple};
use crate::wire::{Messages, NLMSG_ERROR};

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
    let header = Header { kind: CT_NEW, flags: CREATE_NEW | ACK, sequence, selector: family(&entry.original) };
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
