//! How many entries a table needs room for.

use plimsoll_churn::{Outlook, churn, flow};
use plimsoll_diagnose::words::{grouped, rounded};
use plimsoll_model::{Interval, NamespaceSnapshot};
use serde::Serialize;

/// How many entries a namespace needs room for, by what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Demand {
    /// Entries now, as the kernel counts them.
    pub now: u64,
    /// What they tend to at the churn of now and the timeouts in force; `None` where that is not known.
    pub tends_to: Option<Interval>,
    /// The more of both.
    pub measured: u64,
    /// That times the growth that is to be allowed for, and no less than what they may tend to.
    pub with_growth: u64,
    /// How it was worked out.
    pub derivation: String,
}

impl Demand {
    /// `None` where the namespace's entries were not counted.
    pub fn of(ns: &NamespaceSnapshot, growth: f64) -> Option<Self> {
        let now = u64::from(ns.occupancy?.0);
        let tends_to = tends_to(ns);
        let level = tends_to.map_or(0, |level| rounded(level.value));
        let most = tends_to.map_or(0, |level| rounded(level.high));
        let measured = level.max(now);
        let with_growth = rounded(measured as f64 * growth).max(most);
        let text = match tends_to {
            Some(_) if level > now => {
                format!("{} (at most {}) at the churn of now and the timeouts in force", grouped(level), grouped(most))
            }
            Some(_) => format!("{} now, and the churn of now does not lead beyond that", grouped(now)),
            None => format!("{} now; where that leads is not known", grouped(now)),
        };
        let derivation = format!("{text}, times {growth} for growth: {}", grouped(with_growth));
        Some(Self { now, tends_to, measured, with_growth, derivation })
    }
}

/// The level that the count tends to; that of an endless table where it is the limit that stops it.
fn tends_to(ns: &NamespaceSnapshot) -> Option<Interval> {
    let at_rest = match churn(ns)?.outlook {
        Outlook::LevelsOff { entries, .. } => Some(entries),
        Outlook::Full | Outlook::FullIn { .. } | Outlook::NotKnown { .. } => None,
    };
    at_rest.or_else(|| flow(ns, &|_| true)?.tends_to)
}
