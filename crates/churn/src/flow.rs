//! What a part of a table's entries is doing.

use plimsoll_model::{Coverage, Drawn, Interval, NamespaceSnapshot, Range};
use serde::Serialize;

use crate::arrivals::made_per_sec;
use crate::course::Course;
use crate::outlook::FEWEST_DRAWN;
use crate::table::Table;

/// What a part of a table's entries is doing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Flow {
    /// Entries now.
    pub now: Range,
    /// Arrivals a second now, in the states that date them: over the last one to ten seconds, as far back as
    /// it has been one rate.
    /// Where no state does, by the entries' own timestamps; `None` without those.
    pub per_sec: Option<Interval>,
    /// Entries at that rate and with the timeouts in force, as the kernel counts them; what cannot be dated is taken to
    /// stay as it is. `None` where that is more than a fifth, and where too few entries of a larger table were read.
    pub tends_to: Option<Interval>,
}

/// Beyond this share of entries whose time held is not known, nothing is said of where a number leads.
pub(crate) const MOST_UNDATED: f64 = 0.2;

/// What the part of a namespace's entries is doing of which `part` holds; `None` where the entries were not read.
pub fn flow(ns: &NamespaceSnapshot, part: &dyn Fn(&Drawn) -> bool) -> Option<Flow> {
    let table = Table::of(ns, part)?;
    let now = table.census.count_drawn(table.drawn()).entries;
    let course = Course::of(&table);
    let dated = course.per_sec();
    let is_enough = table.census.coverage == Coverage::Complete || table.census.drawn.len() >= FEWEST_DRAWN;
    let tends_to = dated.filter(|_| is_enough).map(|_| course.entries_in(course.settles_secs()));
    let tends_to = tends_to.filter(|level| course.undated() <= MOST_UNDATED * level.value);
    Some(Flow { now, per_sec: dated.or_else(|| made_per_sec(&table)), tends_to })
}
