//! Which of many settings is the best bargain.

use crate::{Completeness, Outcome};

/// What a setting must keep to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// The most flows that may be hit by false kills, as a share of all; any, if `None`.
    pub max_false_kill_rate: Option<f64>,
    /// The most that the table may be filled, as a share of its limit; any, if `None`. A table without a limit keeps to
    /// it.
    pub max_utilization: Option<f64>,
}

/// Why an outcome is not within bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It was stopped before its end: the rest is not known.
    Stopped,
    /// It refused so many flows: an entry that is not there costs nothing, so that the worst would be the cheapest.
    RefusesFlows(u64),
    /// It had no room for so many entries at the begin.
    HasNoRoom(u64),
    /// False kills hit this share of the flows.
    KillsFlows(f64),
    /// The table was filled to this share of its limit.
    IsFull(f64),
}

impl Bounds {
    /// Why an outcome is not within them; nothing if it is.
    pub fn faults(self, outcome: &Outcome) -> Vec<Fault> {
        let is_over = |there: f64, most: Option<f64>| most.is_some_and(|most| there > most);
        let kills = outcome.false_kill_rate();
        let full = outcome.utilization().filter(|full| is_over(*full, self.max_utilization));
        [
            (outcome.completeness != Completeness::Whole).then_some(Fault::Stopped),
            (outcome.refused_flows > 0).then_some(Fault::RefusesFlows(outcome.refused_flows)),
            (outcome.standing_not_made > 0).then_some(Fault::HasNoRoom(outcome.standing_not_made)),
            is_over(kills, self.max_false_kill_rate).then_some(Fault::KillsFlows(kills)),
            full.map(Fault::IsFull),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The cheapest outcome, and those that cost as much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bargain {
    /// Its place.
    pub place: usize,
    /// The places of the others.
    pub as_cheap: Vec<usize>,
}

/// The cheapest outcome within the bounds: the one whose peak takes least memory. What is within a hundredth of the least
/// costs as much, since no peak is known better; of those it is the one with fewest flows hit by false kills, and of
/// several such the first.
pub fn cheapest<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>, bounds: Bounds) -> Option<Bargain> {
    let within: Vec<_> =
        outcomes.into_iter().enumerate().filter(|(_, outcome)| bounds.faults(outcome).is_empty()).collect();
    let cost = |outcome: &Outcome| u128::from(outcome.memory_peak.total_bytes());
    let least = within.iter().map(|(_, outcome)| cost(outcome)).min()?;
    let is_as_cheap = |outcome: &Outcome| cost(outcome) * 100 <= least * 101;
    let cheap = || within.iter().filter(|(_, outcome)| is_as_cheap(outcome));
    let (place, _) = cheap().min_by_key(|(_, outcome)| outcome.false_kills.flows_hit)?;
    let others = cheap().map(|(other, _)| *other).filter(|other| other != place);
    Some(Bargain { place: *place, as_cheap: others.collect() })
}
