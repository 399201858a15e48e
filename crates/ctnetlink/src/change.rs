//! Changing and deleting entries, in batches.
//!
//! The kernel works through a datagram of requests within the call that sends it (`netlink_rcv_skb`), and without
//! `NLM_F_ACK` answers only those that it refuses. So a batch costs one call, and a look whether anything was refused.

use plimsoll_model::Zone;
use rustix::io::Errno;

use crate::attributes::cta;
use crate::dump::CT_NEW;
use crate::entry::EntryKey;
use crate::error::{Error, ParseError, Problem, Request};
use crate::message::{ANY_FAMILY, Header, Requests};
use crate::socket::{DATAGRAM_BYTES, Socket, errno_of};
use crate::statistics::GET_TABLE_STATISTICS;
use crate::tuple::{family, write_tuple};
use crate::wire::{Fault, Message, Messages, NLMSG_ERROR};

/// `IPCTNL_MSG_CT_DELETE`.
pub(crate) const CT_DELETE: u16 = 0x0102;

/// Requests in one datagram: enough to hide the cost of a call, few enough that refusals of all of them fit the stock
/// receive buffer of 212,992 bytes (each is a socket buffer of its own, about a kilobyte).
const BATCH: usize = 128;

/// Where a sequence number lies in an `NLMSG_ERROR`: behind the error comes the head of the request.
const REFUSED_SEQUENCE: usize = 4 + 8;

/// What is to become of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is deleted; only the very entry that was dumped, told by its id (kernels since 2.6.20 compare it).
    Delete,
    /// It expires after so many seconds, unless a packet arms it again before. The kernel looks for the tuple alone here, so
    /// an entry that took the place of the one that was dumped gets this time too.
    Expire {
        /// Seconds.
        after_secs: u32,
    },
}

/// An entry that was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which, as an index into what was given.
    pub index: usize,
    /// Why.
    pub why: Refusal,
}

/// Why an entry was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is no longer there (ENOENT), or on its way out (ETIME).
    Gone,
    /// Its timeout is fixed (EPERM of `__nf_ct_change_timeout`).
    Fixed,
}

/// A socket to change entries by, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Changer {
    socket: Socket,
    requests: Requests,
    buffer: Vec<u8>,
}

impl Changer {
    /// Opens the socket and makes sure of the right to change. Without it the kernel refuses a whole datagram with one
    /// answer (`nfnetlink_rcv`), which would look as if one entry had been refused.
    pub fn open() -> Result<Self, Error> {
        let socket = Socket::open(Request::Change)?;
        let header = Header { kind: GET_TABLE_STATISTICS, flags: 0, sequence: 1, selector: ANY_FAMILY };
        socket.send(&Requests::one(header, |_| {}))?;
        let mut buffer = vec![0; DATAGRAM_BYTES];
        socket.receive_one(&mut buffer)?;
        Ok(Self { socket, requests: Requests::default(), buffer })
    }

    /// Changes entries, and returns those that were not. Each of them was tried when this returns.
    ///
    /// # Errors
    /// Any answer but those of [`Refusal`]. Entries before the one that it is about have been changed, and those behind it
    /// in its batch may have been.
    pub fn make(&mut self, change: Change, entries: &[EntryKey]) -> Result<Vec<Refused>, Error> {
        let mut refused = Vec::new();
        for (batch, keys) in entries.chunks(BATCH).enumerate() {
            self.requests.clear();
            for (sequence, key) in (0..).zip(keys) {
                write(&mut self.requests, sequence, change, key);
            }
            self.socket.send(&self.requests)?;
            while let Some(datagram) = self.socket.receive_at_once(&mut self.buffer)? {
                for message in Messages::of(datagram) {
                    let message = message.map_err(|problem| self.socket.broken(problem))?;
                    let (index, why) = refusal(&self.socket, change, &message)?;
                    refused.push(Refused { index: batch * BATCH + index, why });
                }
            }
        }
        Ok(refused)
    }
}

fn write(requests: &mut Requests, sequence: u32, change: Change, key: &EntryKey) {
    // Without NLM_F_CREATE an entry that is gone is not made again.
    let kind = match change {
        Change::Delete => CT_DELETE,
        Change::Expire { .. } => CT_NEW,
    };
    requests.add(Header { kind, flags: 0, sequence, selector: family(&key.original) }, |body| {
        body.nest(cta::TUPLE_ORIG, |body| write_tuple(body, &key.original));
        if key.original_zone != Zone::default() {
            body.put(cta::ZONE, &key.original_zone.0.to_be_bytes());
        }
        match change {
            Change::Delete => body.put(cta::ID, &key.id.to_be_bytes()),
            Change::Expire { after_secs } => body.put(cta::TIMEOUT, &after_secs.to_be_bytes()),
        }
    });
}

/// Which entry of the batch was refused, and why.
fn refusal(socket: &Socket, change: Change, message: &Message<'_>) -> Result<(usize, Refusal), Error> {
    let broken = |problem: ParseError| socket.broken(problem);
    message.expect(NLMSG_ERROR).map_err(|fault| broken(message.error(fault)))?;
    let unexpected = || broken(message.error(Fault::at(message.payload, Problem::Unexpected)));
    let answer = errno_of(message).map_err(broken)?.ok_or_else(unexpected)?;
    let why = match (Errno::from_io_error(&answer), change) {
        (Some(Errno::NOENT | Errno::TIME), _) => Refusal::Gone,
        (Some(Errno::PERM), Change::Expire { .. }) => Refusal::Fixed,
        _ => return Err(socket.refused(answer)),
    };
    let sequence = message.payload.get(REFUSED_SEQUENCE..).and_then(|rest| rest.first_chunk());
    let needs = REFUSED_SEQUENCE + size_of::<u32>();
    let truncated = || Fault::at(message.payload, Problem::Truncated { needs, has: message.payload.len() });
    let sequence = sequence.ok_or_else(|| broken(message.error(truncated())))?;
    let index = usize::try_from(u32::from_ne_bytes(*sequence)).ok().filter(|index| *index < BATCH);
    Ok((index.ok_or_else(unexpected)?, why))
}
