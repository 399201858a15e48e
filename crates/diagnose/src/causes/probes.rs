//! `probe-churn`: the kubelet's probes, each a connection of its own that is over at once.
//!
//! The kubelet asks each pod from an address of the node's, at the pod's own address and port, and untranslated. A container has at most three
//! probes, each at most once a second. So a target that is asked from this machine's own addresses alone, and no oftener than that, is probed;
//! where a program is seen to ask, it has to be the kubelet.

use std::collections::{HashMap, HashSet};

use plimsoll_model::{
    Confidence, Drawn, Entry, Evidence, Finding, FindingId, Protocol, Sample, Service, Side, TcpState, Timeout,
};

use super::part::{Part, Said};
use super::short;
use super::table::Table;
use crate::evidence::{advice, number};
use crate::thresholds::{PROBES_PER_SEC, PROBES_STEADY};
use crate::words::{duration, rate};

/// Programs that probe: the kubelet, and those that it is part of, by the fifteen bytes of their names.
const KUBELETS: [&str; 6] = ["kubelet", "kubelite", "k3s", "k3s-server", "k3s-agent", "rke2"];

/// What is probed.
pub(super) struct Probed(HashSet<Service>);

impl Probed {
    /// Of connections that are over, those that are probes' by their targets; none where it is not known what surrounds the table.
    pub(super) fn of(table: &Table<'_>, over: &[&Drawn]) -> Self {
        let Some(around) = &table.ns.surroundings else { return Self(HashSet::new()) };
        let mut targets: HashMap<Service, Vec<&Drawn>> = HashMap::new();
        for drawn in over.iter().filter(|drawn| drawn.entry.original.protocol == Protocol::TCP) {
            if let Some(target) = drawn.entry.original.service().filter(|target| around.is_pod(target.address)) {
                targets.entry(target).or_default().push(drawn);
            }
        }
        let held_secs = f64::from(table.ns.timeouts.get_secs(TIME_WAIT).unwrap_or(COMPILED_IN_SECS)).max(1.0);
        let is_probed = |asked: &[&Drawn]| {
            let is_plain = |entry: &Entry| entry.translation().backend.is_none();
            let from_here = asked.iter().all(|drawn| around.own.contains(drawn.entry.original.source));
            let seldom = table.census.count_drawn(asked.len()).entries.low as f64 <= PROBES_PER_SEC * held_secs;
            let by_others = asked.iter().any(|drawn| asker(table, drawn) == Asker::Other);
            from_here && seldom && !by_others && asked.iter().all(|drawn| is_plain(&drawn.entry))
        };
        Self(targets.into_iter().filter(|(_, asked)| is_probed(asked)).map(|(target, _)| target).collect())
    }

    /// Whether a connection is a probe.
    pub(super) fn is_probe(&self, entry: &Entry) -> bool {
        entry.original.service().is_some_and(|target| self.0.contains(&target))
    }
}

const TIME_WAIT: Timeout = Timeout::Tcp(TcpState::TimeWait);
/// Of `TIME_WAIT`, where it could not be read.
const COMPILED_IN_SECS: u32 = 120;

#[derive(PartialEq, Eq)]
enum Asker {
    Kubelet,
    Other,
    Unknown,
}

fn asker(table: &Table<'_>, drawn: &Drawn) -> Asker {
    let program = drawn.ends.and_then(|ends| ends.of(Side::Client).by()).and_then(|id| table.census.program(id));
    match program {
        Some(program) if KUBELETS.contains(&program.owner.command.as_str()) => Asker::Kubelet,
        Some(_) => Asker::Other,
        None => Asker::Unknown,
    }
}

/// The finding, of the part that is probes.
pub(super) fn finding(part: &Part<'_>) -> Finding {
    let targets = part.tally(|entry| entry.original.service()).len();
    let is_kubelets = part.drawn.iter().any(|drawn| asker(part.table, drawn) == Asker::Kubelet);
    let mut evidence = vec![part.services(), part.most("sources", "sources", |entry| Some(entry.original.source))];
    evidence.extend(period(part, targets));
    let steady = steadiness(part);
    evidence.extend(steady.as_ref().map(Steadiness::evidence));
    let mut remedies = vec![
        advice(
            "Probe less often: what probes hold falls as `periodSeconds` rises, from 1 s to 10 s to a tenth. A failing pod is then noticed \
             later, by `periodSeconds` times `failureThreshold`.",
        ),
        advice(
            "Let probes that are asked often run in the container (`exec`): they open no connection through the node, but start a process \
             each time. HTTP keep-alive is no way out: the kubelet opens a connection for each probe, also for gRPC and TCP ones.",
        ),
    ];
    remedies.extend(short::shorter_time_wait(part.table));
    part.finding(Said {
        id: FindingId::ProbeChurn,
        confidence: match (is_kubelets, steady.is_some_and(|steady| steady.holds())) {
            (true, _) => Confidence::Certain,
            (false, true) => Confidence::Likely,
            (false, false) => Confidence::Possible,
        },
        what: format!("this host probes {targets} ports of pods, a connection each time"),
        evidence,
        meaning: format!(
            "The kubelet's liveness, readiness and startup probes: each is over at once and keeps its entry {}. They come however idle the \
             pods are, and grow with their number.",
            short::held(part.table, "TIME_WAIT", TIME_WAIT)
        ),
        remedies,
    })
}

/// How often each target is asked, on average.
fn period(part: &Part<'_>, targets: usize) -> Option<Evidence> {
    let per_sec = part.flow.per_sec.filter(|per_sec| per_sec.low > 0.0)?;
    let secs = |per_sec: f64| targets as f64 / per_sec;
    Some(number(
        "probe_period_secs",
        secs(per_sec.value),
        format!(
            "each of {targets} targets is asked every {} s ({} to {}), on average",
            rate(secs(per_sec.value)),
            rate(secs(per_sec.high)),
            rate(secs(per_sec.low))
        ),
    ))
}

/// Of the connections that keep `TIME_WAIT`'s time, how many were closed in the later half of it: half of them where they come steadily.
struct Steadiness {
    later: plimsoll_model::Interval,
    half_secs: u32,
}

impl Steadiness {
    fn holds(&self) -> bool {
        self.later.low <= 0.5 + PROBES_STEADY && self.later.high >= 0.5 - PROBES_STEADY
    }

    fn evidence(&self) -> Evidence {
        let half = duration(self.half_secs.into());
        number(
            "later_half_ratio",
            self.later.value,
            format!(
                "{:.0}% ({:.0} to {:.0}) of them came within the last {half}, the others in the {half} before",
                100.0 * self.later.value,
                100.0 * self.later.low,
                100.0 * self.later.high
            ),
        )
    }
}

fn steadiness(part: &Part<'_>) -> Option<Steadiness> {
    let held_secs = part.table.ns.timeouts.get_secs(TIME_WAIT)?;
    let half_secs = held_secs / 2;
    let is_waiting = |entry: &Entry| entry.state == plimsoll_model::ProtocolState::Tcp(TcpState::TimeWait);
    let waiting = part.drawn.iter().map(|drawn| &drawn.entry).filter(|entry| is_waiting(entry));
    let left: Vec<u32> = waiting.filter_map(|entry| entry.remaining_secs).collect();
    let later = left.iter().filter(|secs| **secs >= held_secs - half_secs).count();
    // Few tell little: the interval is that of a draw from many.
    let sample = Sample { read: left.len() as u64, live: plimsoll_model::Range::exact(u64::from(u32::MAX)) };
    (!left.is_empty()).then(|| Steadiness { later: sample.share(later as u64), half_secs })
}
