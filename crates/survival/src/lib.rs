//! How long flows idle, and what a shorter timeout would kill, from repeated looks at a table. No I/O, no clock.
//!
//! A gap is known only between looks, from an age at the first look on, and often not to its end. [`survival`] is the
//! most likely curve of its length all the same, [`resampled`] how far chance may have moved it,
//! and [`Judge::false_kills`] what a timeout would do. What the looks have to be like:
//!
//! - Uneven. Looks that are always 30 s apart compare ages that are a multiple of 30 s apart, and no others: the share
//!   at 45 s of what outlasts 30 s is then what the search began from. Looks between half and one and a half times the
//!   distance tell all ages.
//! - A gap that was over at a look ended between that look and the one before. That the newest packet came at a known
//!   time since says nothing of when the gap ended: it is later the more packets there were, so a bound from it is no
//!   bound that was there beforehand, and makes gaps too short.
//! - Ages are rounded to the nearest second, not down or up.
//! - Whether sight of a flow is lost does not depend on how long it will yet idle.

mod ages;
mod bound;
mod chance;
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
pub use false_kills::{FalseKills, Judge};
pub use gap::{Flow, Gap, GapError, Weight};
pub use observed::Observed;
pub use resample::{Resampled, Resampling, resampled};
pub use survival::{Survival, survival};
