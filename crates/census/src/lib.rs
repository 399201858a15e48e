//! Counts of a table's entries, each with its interval. No I/O, no clock.
//!
//! A dump that is ended early is a uniform random sample of the live entries, because the hash that orders them is keyed;
//! so a few thousand entries tell the shares of a million. Two things spoil that, and both are looked for: gc
//! under pressure kills from bucket 0 on ([`Homogeneity`](plimsoll_model::Homogeneity)), and a dump that resumes within a
//! chain may show an entry twice ([`Duplicates`]).
//!
//! ```
//! use plimsoll_census::{Armings, Counting};
//! use plimsoll_model::{Coverage, Occupancy, Policies, Range, Timeouts};
//!
//! let counting = Counting::new(Armings::in_force(&Timeouts::default(), Policies::None, u32::MAX));
//! let census = counting.finish(Coverage::Complete, Occupancy(0), Default::default());
//! assert_eq!(census.live, Range::exact(0));
//! ```

mod armings;
mod counting;
mod drawing;
mod duplicates;
mod governing;
mod heavy;
mod homogeneity;
mod key;
mod states;

pub use armings::Armings;
pub use counting::{Counting, DumpNotes, GOAL_HALF_WIDTH};
pub use duplicates::Duplicates;
pub use governing::longest_secs;
