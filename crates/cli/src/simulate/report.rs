//! What was simulated, and what came of it.

use std::time::Duration;

use plimsoll_diagnose::words::{duration, grouped, percent, rounded};
use plimsoll_simulate::{Bounds, Completeness, Outcome};

use super::base::Base;
use super::candidates::Candidate;
use super::recorded::PassedOver;
use super::workload::Source;

/// All that the outputs tell.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) source: &'a Source,
    pub(super) base: &'a Base,
    /// What was laid over the base, in words.
    pub(super) over: Vec<String>,
    pub(super) runs: Vec<Run>,
    /// What was passed over in a capture.
    pub(super) passed_over: Option<PassedOver>,
    pub(super) choice: Choice,
}

/// A setting, and what came of it.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) candidate: Candidate,
    pub(super) outcome: Outcome,
}

/// Which setting is the cheapest within the bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Choice {
    /// There were no bounds.
    NotAsked,
    /// Not everything was simulated.
    NotKnown(Bounds),
    /// The place of the setting.
    Cheapest(Bounds, usize),
    /// None keeps to them.
    None(Bounds),
}

impl Report<'_> {
    /// Whether all was simulated to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.runs.iter().all(|run| run.outcome.completeness == Completeness::Whole)
    }

    /// Whether there are settings to be told apart.
    pub(super) fn compares(&self) -> bool {
        self.runs.len() > 1
    }

    /// How far the run that came least far came, if one was stopped.
    pub(super) fn stopped_at(&self) -> Option<Duration> {
        let stopped = self.runs.iter().filter_map(|run| match run.outcome.completeness {
            Completeness::StoppedAt(at) => Some(at),
            Completeness::Whole => None,
        });
        stopped.min()
    }

    /// Which settings were in force, and whence.
    pub(super) fn settings(&self) -> String {
        let over = if self.over.is_empty() { String::new() } else { format!(", over them {}", self.over.join(", ")) };
        format!("{}{over}", self.base.words())
    }
}

impl Run {
    /// Why it does not keep to the bounds.
    pub(super) fn faults(&self, bounds: Bounds) -> Vec<String> {
        let outcome = &self.outcome;
        let mut faults = Vec::new();
        if outcome.refused_flows > 0 {
            faults.push(format!("refuses {} flows", grouped(outcome.refused_flows)));
        }
        if outcome.standing_not_made > 0 {
            faults.push(format!("has no room for {} entries at the begin", grouped(outcome.standing_not_made)));
        }
        if bounds.max_false_kill_rate.is_some_and(|most| outcome.false_kill_rate() > most) {
            faults.push(format!("false kills hit {} of the flows", percent(outcome.false_kill_rate())));
        }
        if let Some(there) =
            outcome.utilization().filter(|there| bounds.max_utilization.is_some_and(|most| *there > most))
        {
            faults.push(format!("{} full", percent(there)));
        }
        faults
    }
}

/// Bounds, as they were asked for.
pub(super) fn in_words(bounds: Bounds) -> String {
    let rate = bounds.max_false_kill_rate.map(|most| format!("at most {} of flows hit by false kills", percent(most)));
    let full = bounds.max_utilization.map(|most| format!("at most {} full", percent(most)));
    let all: Vec<_> = rate.into_iter().chain(full).chain(["no flow refused".to_string()]).collect();
    all.join(", ")
}

/// A time within a simulation.
pub(super) fn time(at: Duration) -> String {
    let secs = at.as_secs_f64();
    if secs < 100.0 && at.subsec_nanos() > 0 { format!("{secs:.1} s") } else { duration(rounded(secs)) }
}
