//! What the flows of a recording call, and how many of each false kills hit.

use std::cmp::Reverse;

use plimsoll_diagnose::words::rounded;
use plimsoll_simulate::{Called, FlowsOf};

use super::replayed::{LONG, Replayed};
use super::report::Report;

/// As many are told as fit a screen: those of which most flows are hit.
const MOST: usize = 10;

/// Flows that call the same port, under each setting.
#[derive(Debug)]
pub(super) struct Service<'a> {
    pub(super) name: String,
    /// Flows that came.
    pub(super) flows: u64,
    /// Those of them that were silent for longer than [`LONG`], and spoke again.
    pub(super) silent: u64,
    /// What came of them, in the order of the runs.
    pub(super) runs: Vec<&'a FlowsOf>,
}

/// The services of a replay, and how many more there are.
#[derive(Debug, Default)]
pub(super) struct Services<'a> {
    pub(super) told: Vec<Service<'a>>,
    pub(super) more: usize,
}

impl<'a> Services<'a> {
    /// Those hit most, by whichever setting; then those that are silent most.
    pub(super) fn of(report: &'a Report<'_>, recording: &Replayed) -> Self {
        let replay = recording.replay();
        let silent = replay.silent_for_longer_than(LONG);
        let all = replay.called().iter().zip(silent).enumerate().filter_map(|(place, (called, silent))| {
            let runs: Vec<_> = report.runs.iter().filter_map(|run| run.outcome.called.get(place)).collect();
            let flows = runs.iter().map(|run| run.flows).max()?;
            let silent = rounded(silent as f64 * replay.stands_for());
            (flows > 0).then(|| Service { name: name(*called), flows, silent, runs })
        });
        let mut told: Vec<_> = all.collect();
        told.sort_by_cached_key(|service| Reverse((service.most_hit(), service.silent, service.flows)));
        let more = told.len().saturating_sub(MOST);
        told.truncate(MOST);
        Self { told, more }
    }
}

impl Service<'_> {
    /// Flows that the setting that hits most of them hits.
    pub(super) fn most_hit(&self) -> u64 {
        self.runs.iter().map(|run| run.false_kills.flows_hit).max().unwrap_or(0)
    }
}

fn name(called: Called) -> String {
    match called.port {
        Some(port) => format!("{port}/{}", called.protocol),
        None => called.protocol.to_string(),
    }
}
