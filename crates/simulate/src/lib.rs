//! What a connection-tracking table would do under a workload.
//!
//! [`run`] plays a [`Workload`] to a [`plimsoll_twin::Twin`] under a [`Setup`] and returns an [`Outcome`]; [`sweep`] does so
//! for many setups at once, with the same random numbers, and [`cheapest`] chooses among what came of them. Nothing is read
//! and no clock is looked at: the same workload, setup and seeds give the same outcome.
//!
//! A scenario's packets are those that the lab sends, at the same times: a server answers to what it has seen behind the
//! translation, and the rest of a flow whose first packet was dropped is not sent. Recorded packets come as they came, without
//! rules; the rest of a flow whose first packet was dropped is left out until its opener tries again.
//!
//! A [`Replay`] is made from a recording, which holds no packets: those that lead from each recorded state to the next come when
//! they came, and those that ended its silences; the rest is taken to have been, as docs/simulate.md says.
//!
//! # False kills
//!
//! A table that forgets a flow too early does harm that no counter shows. So each flow is followed, and before each of its
//! packets it is asked whether the entry by which the last one went is still there. If it is gone, because it expired or was
//! killed to make room, that is a **false kill**, counted once for each entry, unless
//!
//! - the packet opens the flow anyway: a SYN without ACK, or the first packet of a flow;
//! - the packet ends the flow: an RST; or the flow was over before: reset, or closed by FINs of both sides, so that only an
//!   acknowledgement or a retransmission was to come. A TCP flow that a false kill has reset is over, too, until a SYN opens
//!   it again. The *first* FIN of a side is missed: its connection would be left half open.
//!
//! What becomes of the packet is the [`Harm`]:
//!
//! - [`Harm::PickedUp`]: it makes a new entry that translates as the old one did, or neither translates. The flow goes on.
//! - [`Harm::Reset`]: it passes, but not as before. It is a client's that is now translated to another port or backend; or a
//!   server's that no entry brings back: it comes to the router, whose address the client had borrowed and which has no such
//!   connection, or untranslated to a client that never called this backend. Whoever gets it answers with RST or an ICMP
//!   error.
//! - [`Harm::BlackHoled`]: it is INVALID, which rulesets drop; or dropped, because the table is full; or it is no TCP and
//!   comes from a server to the address that the client had borrowed.
//!
//! The rules accept every new flow, from either side. A firewall that lets servers open nothing black-holes what is counted
//! as picked up by a server's packet.
//!
//! A recorded flow is known by its tuples, in either direction. What is not TCP and silent for five minutes is taken to
//! begin anew. A TCP connection of which the record has only the middle is a flow like another.
//!
//! # Example
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use plimsoll_scenario::{Scenario, Size};
//! use plimsoll_simulate::{Harm, Setup, Workload, run};
//! use plimsoll_twin::Capabilities;
//!
//! let text = r#"
//! name = "silent"
//! title = "A connection that is silent for a minute"
//! about = "It asks, waits, and asks again."
//! [play]
//! secs = 100
//! [[traffic]]
//! name = "connection"
//! count = 1
//! clients = { in = "10.0.0.1" }
//! servers = { in = "192.0.2.1", ports = 443 }
//! script = "silent"
//! [scripts.silent]
//! packets = """
//! > syn
//! < syn-ack
//! > ack
//! wait 60s
//! > data 100
//! < data 100
//! """
//! [simulate]
//! sysctls = { "net.netfilter.nf_conntrack_tcp_timeout_established" = 30 }
//! "#;
//! let scenario = Scenario::parse("silent.toml", text)?;
//! let mut setup = Setup::stock(Capabilities::LINUX_6_18, 1);
//! for (sysctl, value) in scenario.simulate.iter().flat_map(|simulate| &simulate.sysctls) {
//!     setup.set(sysctl.as_str().parse()?, *value)?;
//! }
//! let workload = Workload::Scenario { scenario: &scenario, seed: 1, size: Size::default() };
//! let outcome = run(workload, &setup, &mut |_| ControlFlow::Continue(()))?;
//! assert_eq!(outcome.false_kills.by(Harm::PickedUp), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod choice;
mod kills;
mod outcome;
mod played;
mod reading;
mod recorded;
mod replay;
mod rules;
mod run;
mod sent;
mod setup;
mod simulation;
mod sweep;
mod watch;
mod workload;

pub use choice::{Bargain, Bounds, Fault, cheapest};
pub use kills::{FalseKills, Harm};
pub use outcome::{Chains, Completeness, Drops, FlowsOf, MeanOccupancy, Outcome, Peak};
pub use reading::Reading;
pub use replay::{Called, NotPlayed, NotReplayed, Replay, ReplayOptions};
pub use run::{NotSimulated, Progress, run};
pub use setup::{NotSet, Setup};
pub use sweep::sweep;
pub use workload::{Datagram, Datagrams, Workload};
