//! Trimming: existing entries are brought under the timeouts in force, or under others as if they were in force.
//!
//! A lower timeout does nothing to the entries that are there: each keeps its expiry until its next packet. Trimming takes
//! those that would be gone by now had the timeout been in force all along, and no others: the **lower bound** of an
//! entry's idle age, over every timeout with which the kernel could have armed it, exceeds the target
//! ([`plimsoll_census::Armings`]). It leaves them [`GRACE_SECS`] more, in which a packet arms them again; or it deletes
//! them, if asked to.
//!
//! [`Rule`] decides and does no I/O. [`Trimming`] reads and writes the table of the calling thread's network namespace, over
//! netlink alone: it needs no connection that would have to be tracked, so it works on a full table.
//!
//! ```no_run
//! use std::sync::atomic::AtomicBool;
//!
//! use plimsoll_host::HostFs;
//! use plimsoll_trim::{Ground, Limits, Manner, Trimming, Wish};
//!
//! # fn main() -> Result<(), plimsoll_trim::Error> {
//! let ground = Ground::read(&HostFs::new())?;
//! let trimming = Trimming::new(&ground, Wish::default(), Manner::Expire);
//! println!("{} entries would go", trimming.plan()?.stale());
//! let stop = AtomicBool::new(false);
//! let acted = trimming.act(&Limits::none(&stop))?;
//! println!("{} entries go", acted.changed());
//! # Ok(())
//! # }
//! ```

mod act;
mod error;
mod ground;
mod limits;
mod pace;
mod plan;
mod reap;
mod rule;
mod second_look;
mod selection;
mod tally;
mod walk;

pub use act::Acted;
pub use error::Error;
pub use ground::Ground;
pub use limits::{Ended, Limits};
pub use plan::Plan;
pub use plimsoll_model::{Network, NoNetwork};
pub use reap::{Settled, settle};
pub use rule::{Certainty, GRACE_SECS, Judgement, Left, Manner, Rule, Wish};
pub use second_look::{SECOND_LOOK_AFTER, Sighting, Window};
pub use selection::{NoSuchState, Replies, Selection, StateName};
pub use tally::{OfState, Tally};

use plimsoll_model::Policies;

/// A table's entries, held against a rule: what would go, and the act.
#[derive(Debug)]
pub struct Trimming {
    rule: Rule,
    manner: Manner,
    policies: Policies,
}

impl Trimming {
    /// What is wished, on this ground.
    pub fn new(ground: &Ground, wish: Wish, manner: Manner) -> Self {
        Self { rule: Rule::new(ground, wish, manner), manner, policies: ground.policies }
    }

    /// Timeout policies in the namespace: where there are any, nothing is known of any entry's age, and none is taken.
    pub const fn policies(&self) -> Policies {
        self.policies
    }
}
