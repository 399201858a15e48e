//! Adaptive timeouts, as pf has them: while a table fills, timeouts shrink in proportion, and come back when it has room.
//!
//! [`Governor`] decides, and does no I/O: a [`Reading`] goes in, [`Step`]s come out. [`Steward`] takes the steps in one network
//! namespace and tells of each as an [`Act`]. What it sets is a governed application of `plimsoll-apply`: announced in a journal
//! before it is written, and undone by whatever is left when this process ends, however it ends.
//!
//! Between [`Rules::start`] and [`Rules::end`] of capacity timeouts are the share (end − occupancy) / (end − start) of what they
//! were, in tenths, and never below their [`Floors`]. Where the table is foreseen to be full they are what they would be with a
//! full table, and entries that have certainly been silent for longer than the floors are trimmed. Shrinking waits for nothing
//! but [`Rules::at_most_every`]; what has shrunk comes back after the table has asked for no more for [`Rules::restore_after`],
//! and for longer each time that it was too soon. A timeout that somebody else changes meanwhile is left alone from then on.

mod act;
mod error;
mod governor;
mod rules;
mod scale;
mod step;
mod steward;
mod trim;

pub use act::{Act, Effect, What};
pub use error::Error;
pub use governor::Governor;
pub use rules::{BadRules, Floors, Rules};
pub use scale::Scale;
pub use step::{Outlook, Reading, Setting, Step, Why};
pub use steward::{Seat, Steward};
pub use trim::Trimmed;
