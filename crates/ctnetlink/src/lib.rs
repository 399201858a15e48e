//! The kernel's connection-tracking table over netlink (`nfnetlink_conntrack`).
//!
//! Dumps are parsed where the kernel put them: an entry borrows from the receive buffer and costs no allocation.
//! What the parser does not know (attributes, protocols, states) is counted and handed on, never taken for something
//! else; bytes that are not what they should be give an error that names the message, the attribute and the offset.
//!
//! ```no_run
//! use plimsoll_ctnetlink::{Dump, Unknowns};
//!
//! # fn main() -> Result<(), plimsoll_ctnetlink::Error> {
//! let mut unknowns = Unknowns::default();
//! let mut assured = 0;
//! let mut dump = Dump::start()?;
//! while let Some(batch) = dump.next_batch()? {
//!     for entry in batch.entries(&mut unknowns) {
//!         if entry?.entry.status.has(plimsoll_ctnetlink::Status::ASSURED) {
//!             assured += 1;
//!         }
//!     }
//! }
//! println!("{assured} assured entries");
//! # Ok(())
//! # }
//! ```
//!
//! Rights: `CAP_NET_ADMIN` in the user namespace that owns the network namespace. All calls concern the network
//! namespace of the calling thread.
//!
//! Opening the socket, or asking a subsystem, loads the kernel's module for it where modules can be loaded and it is
//! not there yet. A caller that must change nothing makes sure beforehand that `nfnetlink` and
//! `nf_conntrack_netlink` are there.

mod addresses;
mod attributes;
mod change;
mod create;
mod drops;
mod dump;
mod entry;
mod error;
mod events;
mod hooks;
mod links;
mod listener;
mod look;
mod message;
mod policies;
mod sampling;
mod socket;
mod statistics;
mod traffic;
mod tuple;
mod wire;
mod zones;

pub use addresses::own_addresses;
pub use change::{Change, Changer, Refusal, Refused};
pub use create::create;
pub use dump::{Batch, Batches, Dump, Entries, RawDump};
pub use entry::{DumpedEntry, EntryKey};
pub use error::{AttributePath, Error, ParseError, Problem, Request};
pub use events::{Event, EventBatch, EventKind, Events};
pub use hooks::conntrack_is_hooked;
pub use links::{Link, XdpMode, XdpProgram, attach_xdp, detach_xdp, links};
pub use listener::{Listener, Received};
pub use look::Looker;
pub use plimsoll_model::{
    Counter, CounterReading, Entry, Extension, Extensions, Layer4, NewEntry, Protocol, ProtocolState, SctpState, Side,
    Status, TcpState, Tuple, Unknowns, Zone, ZoneLimit,
};
pub use policies::{PolicyKeeper, timeout_policies};
pub use sampling::SampleShare;
pub use statistics::{TableStatistics, cpu_statistics, table_statistics};
pub use traffic::Traffic;
pub use zones::zone_limits;

/// Parsers of single datagrams, for fuzzing and for captured dumps.
pub mod parse {
    pub use crate::addresses::parse_addresses;
    pub use crate::dump::parse_datagram;
    pub use crate::events::parse_events;
    pub use crate::links::parse_links;
    pub use crate::statistics::{parse_cpu_statistics, parse_table_statistics};
    pub use crate::zones::parse_zone_limits;
}
