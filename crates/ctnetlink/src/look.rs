//! Looking at single entries, whose keys a dump has told.

use plimsoll_model::{Unknowns, Zone};
use rustix::io::Errno;

use crate::Problem;
use crate::attributes::cta;
use crate::dump::CT_GET;
use crate::entry::{self, DumpedEntry, EntryKey};
use crate::error::{Error, Request};
use crate::message::{Header, Requests};
use crate::socket::{DATAGRAM_BYTES, Socket, errno_of};
use crate::tuple::{family, write_tuple};
use crate::wire::{Fault, Messages, NLMSG_ERROR};

/// A socket to look at entries by, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Looker {
    socket: Socket,
    requests: Requests,
    buffer: Vec<u8>,
    unknowns: Unknowns,
}

impl Looker {
    /// Opens the socket.
    pub fn open() -> Result<Self, Error> {
        let (requests, unknowns) = (Requests::default(), Unknowns::default());
        Ok(Self { socket: Socket::open(Request::Look)?, requests, buffer: vec![0; DATAGRAM_BYTES], unknowns })
    }

    /// The entry as it is now; `None` where it is gone, though another has its tuple (the kernel looks for that alone).
    pub fn look(&mut self, key: &EntryKey) -> Result<Option<DumpedEntry<'_>>, Error> {
        self.requests.clear();
        let header = Header { kind: CT_GET, flags: 0, sequence: 1, selector: family(&key.original) };
        self.requests.add(header, |body| {
            body.nest(cta::TUPLE_ORIG, |body| write_tuple(body, &key.original));
            if key.original_zone != Zone::default() {
                body.put(cta::ZONE, &key.original_zone.0.to_be_bytes());
            }
        });
        self.socket.send(&self.requests)?;
        let socket = &self.socket;
        let Some(message) = Messages::of(socket.receive(&mut self.buffer)?).next() else { return Ok(None) };
        let message = message.map_err(|problem| socket.broken(problem))?;
        if message.kind == NLMSG_ERROR {
            let unexpected = || socket.broken(message.error(Fault::at(message.payload, Problem::Unexpected)));
            let answer = errno_of(&message).map_err(|problem| socket.broken(problem))?.ok_or_else(unexpected)?;
            let is_gone = Errno::from_io_error(&answer) == Some(Errno::NOENT);
            return if is_gone { Ok(None) } else { Err(socket.refused(answer)) };
        }
        let dumped = entry::parse(&message, &mut self.unknowns).map_err(|problem| socket.broken(problem))?;
        Ok(Some(dumped).filter(|dumped| dumped.key() == *key))
    }
}
