//! What was simulated, and what came of it.

use std::time::Duration;

use anyhow::bail;
use plimsoll_diagnose::words::{duration, grouped, percent, rounded};
use plimsoll_simulate::{Bargain, Bounds, Completeness, Fault, Outcome};

use super::base::Base;
use super::candidates::Candidate;
use super::captured::PassedOver;
use super::fidelity::Fidelity;
use super::replayed::Replayed;
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
    /// How true a replay is, where the kernel's count was recorded.
    pub(super) fidelity: Option<Fidelity>,
    pub(super) choice: Choice,
}

/// A setting, and what came of it.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) candidate: Candidate,
    pub(super) outcome: Outcome,
}

/// How far a run was simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    /// Stopped there.
    Until(Duration),
    /// Stopped before anything came: its figures say nothing.
    NotBegun,
}

/// Which setting is the cheapest within the bounds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Choice {
    /// There were no bounds.
    NotAsked,
    /// Not everything was simulated.
    NotKnown(Bounds),
    /// The places of the setting and of those that cost as much.
    Cheapest(Bounds, Bargain),
    /// None keeps to them.
    None(Bounds),
}

impl Report<'_> {
    /// Whether all was simulated to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.runs.iter().all(|run| run.outcome.completeness == Completeness::Whole)
    }

    /// A capture or recording of which nothing was simulated says nothing of any setting: an error, with why.
    pub(super) fn refuse_nothing(&self) -> anyhow::Result<()> {
        if !self.is_whole() || self.runs.iter().any(|run| run.outcome.flows > 0) {
            return Ok(());
        }
        if let Some(only) = self.source.as_recording().and_then(Replayed::only) {
            bail!("{}: no flow comes in the first {} of it", self.source.name(), time(only))
        }
        let Some(passed_over) = &self.passed_over else { return Ok(()) };
        let packets = self.runs.iter().map(|run| run.outcome.packets).max().unwrap_or(0);
        let without_flow = (packets > 0).then(|| format!("{} packets of no flow", grouped(packets)));
        let there: Vec<_> = passed_over.listed().into_iter().chain(without_flow).collect();
        let there =
            if there.is_empty() { "it holds none".to_string() } else { format!("it holds {}", there.join(", ")) };
        bail!("{}: no packet in it can be used: {there}", self.source.name())
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
    /// How far it was simulated.
    pub(super) fn extent(&self) -> Extent {
        match self.outcome.completeness {
            Completeness::Whole => Extent::Whole,
            Completeness::StoppedAt(Duration::ZERO) => Extent::NotBegun,
            Completeness::StoppedAt(at) => Extent::Until(at),
        }
    }

    /// Why it does not keep to the bounds.
    pub(super) fn faults(&self, bounds: Bounds) -> Vec<String> {
        bounds.faults(&self.outcome).into_iter().map(fault).collect()
    }
}

fn fault(fault: Fault) -> String {
    match fault {
        Fault::Stopped => "was not simulated to its end".to_string(),
        Fault::RefusesFlows(flows) => format!("refuses {} flows", grouped(flows)),
        Fault::HasNoRoom(entries) => format!("has no room for {} entries at the begin", grouped(entries)),
        Fault::KillsFlows(share) => format!("false kills hit {} of the flows", percent(share)),
        Fault::IsFull(share) => format!("{} full", percent(share)),
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
    const SOME: Duration = Duration::from_millis(50);
    let secs = at.as_secs_f64();
    if !at.is_zero() && at < SOME {
        return format!("{:.1} ms", secs * 1000.0);
    }
    if secs < 100.0 && at.subsec_nanos() > 0 { format!("{secs:.1} s") } else { duration(rounded(secs)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_time_is_not_written_as_none() {
        assert_eq!(
            [0, 4, 49, 50, 1500, 60_000, 150_400].map(|millis| time(Duration::from_millis(millis))),
            ["0 s", "4.0 ms", "49.0 ms", "0.1 s", "1.5 s", "1 min", "2 min 30 s"]
        );
    }
}
