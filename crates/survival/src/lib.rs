//! How long flows idle, and what a shorter timeout would kill, from repeated looks at a table. No I/O, no clock.

mod ages;
mod bound;
mod chance;
mod choose;
mod curve;
mod false_kills;
mod gap;
mod long_flows;
mod merged;
mod observed;
mod resample;
mod survival;
mod turnbull;

pub use ages::{Ages, AgesError};
pub use bound::{Band, Share, ShareError, flows_without_harm_for};
pub use chance::{Change, ChangeError};
pub use choose::{Choice, Search, Stopped};
pub use false_kills::FalseKills;
pub use gap::{Flow, Gap, GapError, Weight};
pub use observed::Observed;
pub use resample::{Resampled, Resampling, resampled};
pub use survival::{Survival, survival};
