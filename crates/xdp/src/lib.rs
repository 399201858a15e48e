//! An XDP program that drops packets of listed sources, and new connections over a limit, before the kernel makes anything of them.
//!
//! The program is written in C (`bpf/filter.bpf.c`), and its object is committed: no build but `scripts/bpf` needs clang. It is
//! attached by netlink, so it stays when the process that attached it ends; and it does nothing once the time in its configuration
//! is over, so it needs nobody to end it. What is allowed always passes; so does what cannot be read.
//!
//! All calls concern the network namespace of the calling thread ([`plimsoll_host::in_namespace`] enters another).
//! [`Attached::find`], [`Found::at`], [`elsewhere`], [`Attached::all`], [`Attached::status`], [`Attached::hits`] and [`Attached::unnoted`] only read.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use plimsoll_xdp::{Action, Attached, Config, Limit, Ports, Rate, Rates, Room, Scope, Way};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rate = Rate::per_sec(10.try_into()?, 50.try_into()?)?;
//! let config = Config {
//!     until: plimsoll_host::boottime_now() + Duration::from_mins(30),
//!     action: Action::Shadow,
//!     owner: 7,
//!     allowed: vec!["192.0.2.0/24".parse()?],
//!     dropped: Vec::new(),
//!     scope: Scope::All,
//!     tcp: Some(Limit { ports: Ports::These([443].into()), rates: Some(Rates::Source(rate)) }),
//!     udp: None,
//!     room: Room::default(),
//! };
//! let attached = Attached::attach("eth0", Way::Best, &config)?;
//! println!("{:?}: {:?}", attached.mode(), attached.status()?.counts);
//! # Ok(())
//! # }
//! ```

mod attached;
mod clock;
mod config;
mod counts;
mod error;
mod found;
mod hit;
mod list;
mod maps;
mod program;

#[cfg(test)]
mod decision;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod testing;

pub use attached::{Attached, Status, Way};
pub use config::{Action, Config, Dropped, Limit, NoRate, Ports, Rate, Rates, Room, Scope};
pub use counts::{Counts, Outcome, Passed, Reason};
pub use error::Error;
pub use found::{At, Found, elsewhere};
pub use hit::{Hit, Unnoted};
pub use plimsoll_ctnetlink::XdpMode;
