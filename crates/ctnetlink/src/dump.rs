//! Dumps of the table.

use plimsoll_model::Unknowns;

use crate::entry::{self, DumpedEntry};
use crate::error::{Error, ParseError, Problem, Request};
use crate::message::{ANY_FAMILY, DUMP, Header, Requests};
use crate::socket::{DATAGRAM_BYTES, Socket};
use crate::wire::{Fault, Messages, NLMSG_DONE};

/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW`: what the kernel calls an entry of a dump.
pub(crate) const CT_NEW: u16 = 0x0100;
/// `IPCTNL_MSG_CT_GET`.
pub(crate) const CT_GET: u16 = 0x0101;

/// A dump under way, of IPv4 and IPv6 entries alike, in the kernel's order: bucket by bucket.
///
/// Each batch is one datagram. The kernel walks on only when the next one is asked for, so a dump that is dropped
/// costs nothing more than what was received. It holds softirqs off while it looks for the next match, so a dump of
/// a namespace with few entries in a large table delays packets: see `docs/safety.md`.
#[derive(Debug)]
pub struct Dump {
    raw: RawDump,
}

impl Dump {
    /// Asks for all entries of the calling thread's network namespace.
    pub fn start() -> Result<Self, Error> {
        Ok(Self { raw: RawDump::start()? })
    }

    /// Receives the next entries; `None` at the end.
    pub fn next_batch(&mut self) -> Result<Option<Batch<'_>>, Error> {
        Ok(self.raw.next_datagram()?.map(|datagram| Batch { datagram }))
    }

    /// Receives as many batches as there is room for, in place of those that were there, and says whether more will
    /// come.
    pub fn fill(&mut self, batches: &mut Batches) -> Result<bool, Error> {
        batches.lengths.clear();
        let mut used = 0;
        while let Some(room) = batches.bytes.get_mut(used..).filter(|room| room.len() >= DATAGRAM_BYTES) {
            let Some(length) = receive(&self.raw.socket, &mut self.raw.ended, room)? else { return Ok(false) };
            batches.lengths.push(length);
            used += length;
        }
        Ok(true)
    }
}

/// Batches in memory of their own, so that one thread can count them while another has the kernel fill more.
#[derive(Debug)]
pub struct Batches {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
}

impl Batches {
    /// Room for this many datagrams of the size that the kernel sends, or more.
    pub fn with_room_for(datagrams: usize) -> Self {
        Self { bytes: vec![0; (datagrams + 1) * DATAGRAM_BYTES / 2], lengths: Vec::with_capacity(datagrams) }
    }

    /// The batches, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = Batch<'_>> {
        let mut rest = self.bytes.as_slice();
        self.lengths.iter().map_while(move |length| {
            let (datagram, behind) = rest.split_at_checked(*length)?;
            rest = behind;
            Some(Batch { datagram })
        })
    }
}

/// A dump of which only the framing is looked at: what any reader has to do, and nothing more. It is the yardstick for
/// what parsing costs.
#[derive(Debug)]
pub struct RawDump {
    socket: Socket,
    buffer: Vec<u8>,
    ended: bool,
}

impl RawDump {
    /// Asks for all entries of the calling thread's network namespace.
    pub fn start() -> Result<Self, Error> {
        let header = Header { kind: CT_GET, flags: DUMP, sequence: 1, selector: ANY_FAMILY };
        let socket = Socket::ask(Request::Dump, &Requests::one(header, |_| {}))?;
        Ok(Self { socket, buffer: vec![0; DATAGRAM_BYTES], ended: false })
    }

    /// Receives the next datagram; `None` at the end.
    pub fn next_datagram(&mut self) -> Result<Option<&[u8]>, Error> {
        let length = receive(&self.socket, &mut self.ended, &mut self.buffer)?;
        Ok(length.and_then(|length| self.buffer.get(..length)))
    }
}

/// Receives a datagram of a dump and returns its length; `None` at the end.
fn receive(socket: &Socket, ended: &mut bool, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
    if *ended {
        return Ok(None);
    }
    // Nothing comes after a failure.
    *ended = true;
    let datagram = socket.receive(buffer)?;
    let mut holds_entries = false;
    let mut holds_the_end = false;
    for message in Messages::of(datagram) {
        let message = message.map_err(|problem| socket.broken(problem))?;
        if socket.ends_dump(&message)? {
            holds_the_end = true;
            break;
        }
        holds_entries = true;
    }
    *ended = holds_the_end || !holds_entries;
    Ok(holds_entries.then_some(datagram.len()))
}

/// Some entries of a dump, in the receive buffer.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    datagram: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The entries; what Plimsoll does not know of them is counted in `unknowns`.
    pub fn entries<'u>(&self, unknowns: &'u mut Unknowns) -> Entries<'a, 'u> {
        parse_datagram(self.datagram, unknowns)
    }
}

/// The entries of any datagram, a captured or a hostile one too.
pub fn parse_datagram<'a, 'u>(datagram: &'a [u8], unknowns: &'u mut Unknowns) -> Entries<'a, 'u> {
    Entries { messages: Messages::of(datagram), unknowns }
}

/// Iterator over the entries of a datagram, up to the dump's end. A message that is broken inside, or that is no entry,
/// is an error and the next one follows; where the framing is broken nothing can follow.
#[derive(Debug)]
pub struct Entries<'a, 'u> {
    messages: Messages<'a>,
    unknowns: &'u mut Unknowns,
}

impl<'a> Iterator for Entries<'a, '_> {
    type Item = Result<DumpedEntry<'a>, ParseError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.messages.next()? {
            Ok(message) if message.kind == CT_NEW => Some(entry::parse(&message, self.unknowns)),
            Ok(message) if message.kind == NLMSG_DONE => None,
            Ok(message) => Some(Err(message.error(Fault::at(message.payload, Problem::Unexpected)))),
            Err(problem) => Some(Err(problem)),
        }
    }
}
