//! When a table's entries came, and where their number leads: from one reading, without waiting and without events. No
//! I/O, no clock.
//!
//! A state whose timeout is armed once, on entering, dates that by what is left of it ([`Arming`]). `TIME_WAIT` so tells
//! of closes in the last two minutes, `SYN_SENT` of SYNs that nobody answered. At the rate of now and with the timeouts in
//! force each such state tends to rate × time held. How long established flows are held no single reading tells.

mod arming;
mod arrivals;
mod course;
mod dating;
mod flow;
mod lag;
mod outlook;
mod poisson;
mod ports;
mod present;
mod series;
mod slope;
mod table;
mod timeline;
mod window;

pub use arming::Arming;
pub use flow::{Flow, flow};
pub use outlook::{Assumption, Direction, Needs, Outlook};
pub use present::{Fate, Present, PresentEntry, Rate, present};
pub use series::Series;
pub use timeline::{Bin, Caveat, Timeline, TimelineCourse};

use plimsoll_model::NamespaceSnapshot;
use serde::Serialize;

use crate::table::Table;

/// What came to a namespace's table, and where that leads.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Churn {
    /// What happened in the last minutes, as far as entries date it.
    pub timelines: Vec<Timeline>,
    /// Where the number of entries leads.
    pub outlook: Outlook,
}

/// The churn of a namespace; `None` where its entries were not read.
pub fn churn(ns: &NamespaceSnapshot) -> Option<Churn> {
    let table = Table::of(ns, &|_| true)?;
    Some(Churn { timelines: timeline::timelines(ns, &table), outlook: outlook::outlook(ns, &table) })
}
