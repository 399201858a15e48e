//! The shortest timeout that the observations permit.

use serde::Serialize;

use crate::bound::Share;
use crate::chance::{Change, ChangeError};
use crate::false_kills::{FalseKills, Judge};
use crate::resample::Resampled;

/// What a timeout has to keep to.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// The timeout now in force, in seconds.
    pub in_force_secs: f64,
    /// No timeout may be below this, and only flows that idle beyond it count.
    pub guard_secs: f64,
    /// The rate of false kills, per flow that idles beyond the guard rail, that is permitted.
    pub permitted: Share,
    /// Timeouts that may be chosen, in any order. Those not between the two above are passed over.
    pub candidates_secs: Vec<f64>,
}

/// The shortest timeout that passed, and why no shorter one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// `None` where even the longest candidate failed.
    pub chosen: Option<FalseKills>,
    /// All that passed, from the longest down.
    pub passed: Vec<FalseKills>,
    /// Why the search ended.
    pub stopped: Stopped,
}

/// Why a search for a timeout ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Stopped {
    /// The next shorter one may kill more than is permitted.
    TooMany(FalseKills),
    /// All candidates passed, or there was none.
    NoShorter,
}

impl Resampled<'_> {
    /// Goes from the longest candidate down and stops at the first whose upper bound is above what is permitted.
    ///
    /// The shorter a timeout, the more it kills. So to choose one that kills too many, the longest of those that do
    /// must have passed, which happens with a probability of at most 5 % (the bound of one test): with a fixed order,
    /// testing many timeouts costs nothing (Maurer, Hothorn and Lehmacher 1995).
    pub fn choose(&self, search: &Search, coverage: Share) -> Result<Choice, ChangeError> {
        let judge = Judge::new(self, self.observed(), search.guard_secs)?;
        let between = |timeout: &f64| *timeout >= search.guard_secs && *timeout < search.in_force_secs;
        let mut candidates: Vec<f64> = search.candidates_secs.iter().copied().filter(between).collect();
        candidates.sort_by(|a, b| b.total_cmp(a));
        let mut passed: Vec<FalseKills> = Vec::new();
        for timeout_secs in candidates {
            let change = Change { timeout_secs, in_force_secs: search.in_force_secs, guard_secs: search.guard_secs };
            let judged = judge.judge(&change, coverage)?;
            if judged.upper > search.permitted.get() {
                return Ok(Choice { chosen: passed.last().copied(), passed, stopped: Stopped::TooMany(judged) });
            }
            passed.push(judged);
        }
        Ok(Choice { chosen: passed.last().copied(), passed, stopped: Stopped::NoShorter })
    }
}
