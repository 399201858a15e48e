//! Linux connection tracking in user space: what the kernel's table does with packets, without a kernel.
//!
//! A [`Twin`] is one host: a hash that all its network namespaces share, each with settings and counters of its own.
//! [`Twin::pass`] takes a packet along the kernel's way (look-up, allocation, early drop, the protocol's tracker, translation,
//! insertion) and says what became of it; [`Twin::pass_batch`] takes many in less time, and [`Twin::go_ahead`] helps who holds
//! packets in a form of their own. Time, and the seed of all that the kernel would draw, come in as arguments: the same calls give the same
//! results.
//!
//! What differs between kernels is named in [`Capabilities`]. How well the twin knows a kernel is measured by playing the
//! same packets to both: `plimsoll lab conform`.
//!
//! ```
//! use std::time::Duration;
//!
//! use plimsoll_model::{Layer4, Protocol, ProtocolState, TcpState, Tuple};
//! use plimsoll_twin::packet::{Content, Packet, Segment, flags};
//! use plimsoll_twin::{Capabilities, HostSettings, NoRules, Settings, Twin};
//!
//! let mut twin = Twin::new(HostSettings::stock(Capabilities::LINUX_6_18, 1));
//! let namespace = twin.add_namespace(Settings::default());
//! let to_server = Tuple {
//!     source: "10.0.0.1".parse()?,
//!     destination: "192.0.2.1".parse()?,
//!     protocol: Protocol::TCP,
//!     layer4: Layer4::Ports { source: 40_000, destination: 443 },
//! };
//! let handshake = [
//!     (to_server, Segment::new(flags::SYN, 0, 0, 65_535)),
//!     (to_server.mirrored(), Segment::new(flags::SYN | flags::ACK, 0, 1, 65_535)),
//!     (to_server, Segment::new(flags::ACK, 1, 1, 65_535)),
//! ];
//! for (tuple, segment) in handshake {
//!     let packet = Packet::Flow { tuple, content: Content::Tcp(segment) };
//!     twin.pass(Duration::ZERO, namespace.into(), &packet, &mut NoRules);
//! }
//! let entry = twin.entries(Duration::from_secs(10), namespace).next().unwrap();
//! assert_eq!(entry.state, ProtocolState::Tcp(TcpState::Established));
//! assert_eq!(entry.remaining_secs, Some(431_990));
//! # Ok::<(), std::net::AddrParseError>(())
//! ```
//!
//! Two programs show more (`crates/twin/examples`): `flood`, a table under a SYN flood; and `filter`, a stateful filter in user
//! space between two TUN devices, of which the twin is the table. It reads packets with [`parse::packet`], lets those pass that
//! [`Twin::track`] knows or that whoever is inside opens, and gives up a flow from outside with [`Twin::abandon`].

mod ahead;
mod alloc;
mod aside;
mod batch;
mod by_source;
pub mod capabilities;
mod confirm;
mod counters;
mod entry;
mod eviction;
mod expectation;
mod foreseen;
mod gc;
mod insert;
mod memory;
mod nat;
pub mod packet;
pub mod parse;
mod passage;
mod removal;
mod rules;
mod settings;
mod table;
#[cfg(test)]
mod testing;
mod tick;
mod timeouts;
mod tracker;
mod tuple;
mod twin;
mod verdict;
mod view;

pub use batch::Arrival;
pub use capabilities::{Capabilities, Version};
pub use counters::{Counters, Removals, RemovedBy};
pub use entry::EntryId;
pub use expectation::{Expected, Helper, HelperClass, HelperId, NotExpected};
pub use foreseen::Asker;
pub use insert::NotInserted;
pub use memory::Memory;
pub use nat::{NatRange, PortRange};
pub use passage::{NewFlow, Tracked};
pub use rules::{Fate, NoRules, Rules, Ruling};
pub use settings::{Events, HostSettings, Settings};
pub use table::{Asked, ChainLengths};
pub use tick::Hz;
pub use tracker::tcp::Edges;
pub use tuple::inverted;
pub use twin::{NamespaceId, Place, PolicyId, Twin};
pub use verdict::{Direction, DropReason, Relation, Verdict};
