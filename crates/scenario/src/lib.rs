//! Workloads as data: which flows come, when, from where, what becomes of them, and what a check must find then.
//!
//! A [`Scenario`] is read from TOML and says nothing of how it is played. Its [`Schedule`] is the same packets at the
//! same times for the same seed and size, whoever plays them: a lab on a real kernel, or a simulator. `docs/lab.md`
//! describes the format.
//!
//! ```
//! use plimsoll_scenario::{Scenario, Schedule, Size};
//!
//! let text = r#"
//! name = "one-ping"
//! title = "One ping"
//! about = "A client asks once and is answered."
//! [play]
//! secs = 2
//! check_at_secs = 1
//! [[traffic]]
//! name = "ping"
//! count = 1
//! clients = { in = "10.0.0.1" }
//! servers = { in = "192.0.2.1" }
//! script = "ping"
//! [scripts.ping]
//! packets = """
//! > ping 56
//! < pong 56
//! """
//! [expect]
//! must = []
//! "#;
//! let scenario = Scenario::parse("one-ping.toml", text)?;
//! assert_eq!(Schedule::new(&scenario, 1, Size::default()).count(), 2);
//! # Ok::<(), plimsoll_scenario::Error>(())
//! ```

mod addresses;
mod agenda;
mod arrivals;
mod cursor;
mod ends;
mod error;
mod lasting;
mod proxy;
mod router;
mod scenario;
mod schedule;
mod script;
mod size;
mod source;
mod standing;
mod time;
mod wheel;

pub use addresses::{Clients, Hosts, Ports, Prefix, ROUTER, Servers};
pub use arrivals::Arrivals;
pub use ends::{Ends, Said, Sent, Sequences, TcpNumbers, WINDOW, passive_text};
pub use error::Error;
pub use proxy::{BackendConnections, Proxy};
pub use router::{DestinationNat, Masquerade, PortProtocol, Router, ServiceAddress, SourceNat};
pub use scenario::{Expect, ExpectedVerdict, Needs, Play, Scenario, Simulate, Traffic};
pub use schedule::{Event, Flow, Place, Schedule};
pub use script::{Content, FlowProtocol, MediaPorts, Packet, Script, ScriptId, Segment, Side};
pub use size::Size;
pub use standing::{Amount, Standing, StandingEntry, StandingKind, TooManyEntries};
