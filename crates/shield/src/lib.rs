//! Filters before tracking.
//!
//! A [`Shield`](plimsoll_model::Shield) becomes nft commands ([`loading`]): one table, whose rules match only while an element is in a
//! set, and whose element has a timeout. Most are the same in shadow and while it is enforced: a second set says whether a packet that
//! is too many is dropped. [`Reading`] is what the rules counted; [`Peers`] are those that the table shows to have completed flows;
//! and [`Collateral`] is whom of these the rules would have hit. [`propose`] makes a shield of what a table's entries look like.
//!
//! Nothing here does I/O.

mod collateral;
mod early;
mod fit;
mod peers;
mod propose;
mod reading;
mod rules;

pub use collateral::{Collateral, Judgement, NotEnforced, Part};
pub use early::Early;
pub use fit::{Unfit, fit};
pub use peers::{Flows, Peers};
pub use propose::{Because, Proposal, propose};
pub use reading::{Counters, Hit, NoReading, Reading, asking};
pub use rules::{HIT_SECS, TABLE, armed_set, disarming, enforcing, loading, made_by, rearming, removing};
