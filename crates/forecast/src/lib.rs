//! When a connection-tracking table will be full: from what its entries tell, its history, and the shape of its days. No
//! I/O, no clock.
//!
//! Three things are known of a table, each for another time ahead:
//!
//! - *The mechanism*, for minutes. Entries that tell their age show what comes now and how long it is held, so the
//!   level that their number seeks ([`Outlook`](plimsoll_churn::Outlook)). It tells a storm that levels off from one that
//!   does not.
//! - *The line*, for hours: the slope of as much of the newest history as one line describes, with an error that knows that
//!   neighbouring readings are much the same by chance, and that what has begun with the newest reading may go on.
//! - *The shape of the days*, for a day, once two were seen: what the same time of the days before lets expect, and how
//!   much more each day was than they did. The line is then one beside it.
//!
//! Whatever goes on may end, the sooner the younger it is; then the entries stay, or go back to where they were before.
//!
//! From them, 128 ways in which it may go on are laid out evenly over all that is uncertain, and the chance that the table
//! is full by a time is the share of them that are. Read `course.rs` for what a way is made of. From what chance on it is
//! worth being told of is [`Alarm`].
//!
//! What it does not know: what has not begun (a chance is one of what is under way, so there is no share for a flood out of
//! nothing); days of the week (a week holds each once); clocks that change in summer. Where entries are not read, no level
//! is known: arrivals are counted by reading entries, and would not say how long new flows are held (that the old ones were
//! held for some time was tried, and foretold nothing better).
//!
//! ```
//! use plimsoll_forecast::{History, Limit, Point, forecast};
//!
//! let entries = |at: u32| 20_000.0 + 10.0 * f64::from(at);
//! let fine: Vec<_> = (0..=360)
//!     .map(|at| Point { at_secs: f64::from(10 * at), entries: entries(10 * at), new_per_sec: None })
//!     .collect();
//! let limits = [Limit { since_secs: 0.0, entries: 65_536.0 }];
//! let history = History { fine: &fine, coarse: &[], limits: &limits, restarted_at_secs: None };
//! let told = forecast(&history, &[])?;
//! assert!(told.probability_within(3600).is_some_and(|chance| chance > 0.5), "{told:?}");
//! # Ok::<(), plimsoll_forecast::NotKnown>(())
//! ```

mod because;
mod course;
mod daily;
mod even;
mod forecast;
mod history;
mod line;
mod mechanism;
mod noise;
mod ways;

pub use forecast::{AHEAD_SECS, Ahead, Alarm, Forecast, FullIn, NotKnown, WITHIN_SECS, Within, forecast};
pub use history::{History, Limit, Point, Read, Span};
