//! What a connection-tracking table would do under a workload.
//!
//! [`run`] plays a [`Workload`] to a [`plimsoll_twin::Twin`] under a [`Setup`] and returns an [`Outcome`]; [`sweep`] does so
//! for many setups at once, with the same random numbers, and [`cheapest`] chooses among what came of them.

mod choice;
mod kills;
mod outcome;
mod played;
mod reading;
mod recorded;
mod rules;
mod run;
mod setup;
mod simulation;
mod sweep;
mod watch;
mod workload;

pub use choice::{Bounds, cheapest};
pub use kills::{FalseKills, Harm};
pub use outcome::{Chains, Completeness, Drops, Outcome, Peak};
pub use reading::Reading;
pub use run::{NotSimulated, Progress, run};
pub use setup::{NotSet, Setup};
pub use sweep::sweep;
pub use workload::{Datagram, Datagrams, Workload};
