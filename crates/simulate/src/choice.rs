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

/// The cheapest outcome within the bounds, by its place: the one whose peak takes least memory, and of several the one
/// with fewest false kills. Runs that were stopped are passed over, and so are tables that refused flows: an entry that
/// is not there costs nothing.
pub fn cheapest(outcomes: &[Outcome], bounds: Bounds) -> Option<usize> {
    let keeps = |outcome: &Outcome| {
        outcome.completeness == Completeness::Whole
            && outcome.refused_flows == 0
            && outcome.standing_not_made == 0
            && bounds.max_false_kill_rate.is_none_or(|most| outcome.false_kill_rate() <= most)
            && bounds.max_utilization.is_none_or(|most| outcome.utilization().is_none_or(|there| there <= most))
    };
    let within = outcomes.iter().enumerate().filter(|(_, outcome)| keeps(outcome));
    let cost = |outcome: &Outcome| (outcome.memory_peak.total_bytes(), outcome.false_kills.total());
    within.min_by_key(|(_, outcome)| cost(outcome)).map(|(place, _)| place)
}
