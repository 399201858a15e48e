//! Events: what the kernel tells of entries while it makes, changes and removes them.
//!
//! What `ctnetlink_conntrack_event` tells, as seen on 6.18:
//!
//! | | `New` | `Update` | `Destroy` |
//! |---|---|---|---|
//! | tuples, zone, id, status | yes | yes | yes, with `DYING` |
//! | state of the protocol | yes | where it is what changed, or a process did it | yes |
//! | who closed first | | with the state | no |
//! | time left | yes | yes | only where some was left |
//! | mark, labels | where set | where set or changed | mark |
//! | packets and bytes, start, stop | no | no | yes, where they are kept |
//! | time of the event | since 6.14, where times are kept | the same | the same |
//!
//! A TCP connection that is opened and closed in order makes seven events: `New`, an `Update` for each of `SYN_RECV`,
//! `ESTABLISHED`, `FIN_WAIT`, `LAST_ACK` and `TIME_WAIT`, and `Destroy`. A UDP flow with a reply makes three, one without two.
//!
//! **An entry that expired shows no time left; one that was ended before its time does** (`ctnetlink_dump_timeout`): deleted by
//! a process, dropped early, refused by a RST. What is left of a refused connection is the SYN's time: the RST ends it
//! before it would be armed anew. Between the stop and the event of an expired entry lies the time for which it was dead in the
//! table before anybody freed it.
//!
//! **An id comes again**: it is a keyed hash of the entry's address, its tuple and the like, so the next entry of the same flow
//! has the same one where it gets the same slab object. A life ends with `Destroy`, whatever comes after it.
//!
//! A datagram holds one event, of 130 to 310 bytes.

use std::num::NonZeroU32;

use plimsoll_model::Unknowns;

use crate::change::CT_DELETE;
use crate::dump::CT_NEW;
use crate::entry::{self, DumpedEntry};
use crate::error::{ParseError, Problem};
use crate::message::CREATE_NEW;
use crate::wire::{Fault, Message, Messages};

/// What came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    /// The entry went into the table.
    New,
    /// Its state, status, mark or the like changed. Packets that only arm it again are not told.
    Update,
    /// It is out of the table.
    Destroy,
}

/// An event of one entry, in the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// What came about.
    pub kind: EventKind,
    /// The entry, as far as the kernel tells it of this kind.
    pub entry: DumpedEntry<'a>,
    /// The netlink port of the process that asked for it over ctnetlink (`conntrack -D`); `None` where packets or time
    /// brought it about. Only a process's first netlink socket has its pid for a port (`netlink_autobind`), further ones any
    /// number: of `conntrack -D` it is not the pid.
    pub asked_by: Option<NonZeroU32>,
}

/// Events that were received together, in the receive buffer: a datagram each.
#[derive(Clone, Copy, Debug)]
pub struct EventBatch<'a> {
    buffer: &'a [u8],
    room_bytes: usize,
    lengths: &'a [usize],
}

impl<'a> EventBatch<'a> {
    /// Datagrams that begin `room_bytes` apart, and are no longer than that.
    pub(crate) const fn new(buffer: &'a [u8], room_bytes: usize, lengths: &'a [usize]) -> Self {
        Self { buffer, room_bytes, lengths }
    }

    /// How many datagrams there are; the kernel puts one event in each.
    pub const fn datagram_count(&self) -> usize {
        self.lengths.len()
    }

    /// The datagrams as they came.
    pub fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = *self;
        std::iter::from_fn(move || rest.take_first())
    }

    /// The events in the order in which the kernel sent them; what Plimsoll does not know of them is counted in
    /// `unknowns`.
    pub fn events<'u>(&self, unknowns: &'u mut Unknowns) -> Events<'a, 'u> {
        Events { rest: *self, messages: Messages::of(&[]), unknowns }
    }

    #[inline]
    fn take_first(&mut self) -> Option<&'a [u8]> {
        let (length, lengths) = self.lengths.split_first()?;
        let (room, buffer) = self.buffer.split_at_checked(self.room_bytes)?;
        (self.buffer, self.lengths) = (buffer, lengths);
        room.get(..*length)
    }
}

/// The events of any datagram, a captured or a hostile one too.
pub fn parse_events<'a, 'u>(datagram: &'a [u8], unknowns: &'u mut Unknowns) -> Events<'a, 'u> {
    Events { rest: EventBatch::new(&[], 1, &[]), messages: Messages::of(datagram), unknowns }
}

/// Iterator over events. A message that is broken inside, or that is no event, is an error and the next one follows; where
/// the framing is broken the next datagram follows.
#[derive(Debug)]
pub struct Events<'a, 'u> {
    rest: EventBatch<'a>,
    messages: Messages<'a>,
    unknowns: &'u mut Unknowns,
}

impl<'a> Iterator for Events<'a, '_> {
    type Item = Result<Event<'a>, ParseError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(message) = self.messages.next() {
                return Some(message.and_then(|message| parse_event(&message, self.unknowns)));
            }
            self.messages = Messages::of(self.rest.take_first()?);
        }
    }
}

#[inline]
fn parse_event<'a>(message: &Message<'a>, unknowns: &mut Unknowns) -> Result<Event<'a>, ParseError> {
    let kind = match message.kind {
        CT_NEW if message.flags() & CREATE_NEW == CREATE_NEW => EventKind::New,
        CT_NEW => EventKind::Update,
        CT_DELETE => EventKind::Destroy,
        _ => return Err(message.error(Fault::at(message.payload, Problem::Unexpected))),
    };
    let entry = entry::parse(message, unknowns)?;
    Ok(Event { kind, entry, asked_by: NonZeroU32::new(message.port()) })
}
