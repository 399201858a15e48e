//! How many entries a table needs room for.

use plimsoll_churn::{Outlook, churn, flow};
use plimsoll_diagnose::words::{duration, grouped, rounded};
use plimsoll_model::{Capacity, Interval, NamespaceSnapshot};
use serde::Serialize;

use crate::growth::unexplained_per_sec;

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
        let lead = lead(ns);
        let (tends_to, level, most) = match lead {
            Lead::To(level) => (Some(level), rounded(level.value), rounded(level.high)),
            Lead::ToTheLimit { limit, .. } => (None, limit.into(), limit.into()),
            Lead::NotKnown => (None, 0, 0),
        };
        let measured = level.max(now);
        let times = rounded(measured as f64 * growth);
        let with_growth = times.max(most);
        let text = match lead {
            Lead::ToTheLimit { secs, .. } => {
                format!(
                    "{} now, and as it grows now, in {} as many as the limit allows",
                    grouped(now),
                    duration(rounded(secs))
                )
            }
            Lead::To(_) if level > now => {
                format!("{} (at most {}) at the churn of now and the timeouts in force", grouped(level), grouped(most))
            }
            Lead::To(_) => format!("{} now, and the churn of now does not lead beyond that", grouped(now)),
            Lead::NotKnown => format!("{} now; where that leads is not known", grouped(now)),
        };
        let floor = if most > times { format!("; no less than those {}", grouped(most)) } else { String::new() };
        let derivation = format!("{text}, times {growth} for growth: {}{floor}", grouped(times));
        Some(Self { now, tends_to, measured, with_growth, derivation })
    }
}

/// Where the count leads.
#[derive(Clone, Copy)]
enum Lead {
    /// To a level: that of an endless table where it is the limit that stops it.
    To(Interval),
    /// To the limit, and how far it would go beyond is not known.
    ToTheLimit {
        limit: u32,
        secs: f64,
    },
    NotKnown,
}

fn lead(ns: &NamespaceSnapshot) -> Lead {
    let outlook = churn(ns).map(|churn| churn.outlook);
    if let Some(Outlook::LevelsOff { entries, .. }) = outlook {
        return Lead::To(entries);
    }
    if let Some(level) = flow(ns, &|_| true).and_then(|flow| flow.tends_to) {
        return Lead::To(level);
    }
    let Some(limit) = ns.capacity.and_then(Capacity::limit) else { return Lead::NotKnown };
    match outlook {
        Some(Outlook::FullIn { secs, .. }) => Lead::ToTheLimit { limit, secs },
        _ => full_in(ns, limit).map_or(Lead::NotKnown, |secs| Lead::ToTheLimit { limit, secs }),
    }
}

/// When the limit is reached if the count goes on as it did while it was watched; `None` where that is not soon: for long
/// nothing grows as it does now.
fn full_in(ns: &NamespaceSnapshot, limit: u32) -> Option<f64> {
    const SOON_SECS: f64 = 600.0;
    let gained = unexplained_per_sec(ns)?;
    let room = f64::from(limit.saturating_sub(ns.occupancy?.0));
    Some(room / gained).filter(|secs| *secs > 0.0 && *secs <= SOON_SECS)
}
