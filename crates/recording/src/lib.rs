//! What a recording holds: lives of flows, idle gaps inside them, readings of the table, and what changed meanwhile.
//!
//! A recording is of one network namespace. Its times are one clock's that never steps: wall-clock time when it began, and
//! from there on what a monotonic clock counted. No I/O: files are the crate `archive`'s.

mod change;
mod date;
mod gap;
mod life;
mod origin;
mod reading;
mod state;
mod time;

pub use change::{Change, ChangeKind};
pub use date::{civil, date_and_time, days_since_1970};
pub use gap::{GapEnd, IdleGap};
pub use life::{Began, Counts, End, FlowKey, Life, Sight, Step, Translation, Volume};
pub use origin::{Addresses, Origin, Sources};
pub use reading::TableReading;
pub use state::State;
pub use time::UnixMicros;

/// A row of any of a recording's tables.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// A life that ended, or that was still going on at the end of the recording.
    Life(Life),
    /// A silence.
    Gap(IdleGap),
    /// The table at a moment.
    Reading(TableReading),
    /// What changed, and what happened to the recording itself.
    Change(Change),
}
