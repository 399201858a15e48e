//! The JSON documents of `simulate`.

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll_model::{Counter, Untrusted};
use plimsoll_scenario::Scenario;
use plimsoll_simulate::{Bounds, Completeness, FalseKills, Harm, Outcome};
use plimsoll_twin::Capabilities;
use serde::Serialize;
use serde_json::Value;

use super::base::Origin;
use super::candidates::Whence;
use super::knowledge::Knowledge;
use super::names::{Counted, DROPS, ENDS, EVICTIONS, FALSE_KILLS};
use super::replayed::{LONG, Replayed};
use super::report::{Choice, Report, Run};
use super::services::{Service, Services};
use super::workload::Source;

/// Rises when a key changes its meaning or goes away; new keys do not raise it.
const SCHEMA: &str = "plimsoll.simulate/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    complete: bool,
    workload: Workload<'a>,
    base: Base<'a>,
    skipped: Option<Vec<SkippedFor>>,
    clock_jumps: Option<u64>,
    replay: Option<ReplayOf>,
    bounds: Option<BoundsOf>,
    /// The place in `runs`.
    cheapest: Option<usize>,
    runs: Vec<RunOf>,
}

#[derive(Serialize)]
struct Workload<'a> {
    kind: &'static str,
    name: Untrusted,
    title: Option<&'a Untrusted>,
    seed: Option<u64>,
    size: Option<f64>,
    secs: Option<f64>,
}

#[derive(Serialize)]
struct Base<'a> {
    settings_of: &'static str,
    kernel: Untrusted,
    ram_bytes: Option<u64>,
    behaves_as: Untrusted,
    known_by: &'static str,
    agreement_at_least: Option<f64>,
    capabilities: BTreeMap<&'static str, &'static str>,
    over: &'a [String],
    notes: &'a [String],
}

#[derive(Serialize)]
struct SkippedFor {
    reason: String,
    count: u64,
}

#[derive(Serialize)]
struct ReplayOf {
    stands_for: f64,
    not_played: NotPlayedOf,
    flows_taken_as_silent: f64,
    silent_for_longer_than_secs: f64,
    recorded_mean_occupancy: Option<f64>,
    replayed_mean_occupancy: Option<f64>,
}

#[derive(Serialize)]
struct NotPlayedOf {
    flows: f64,
    states: f64,
    stray_gaps: u64,
}

#[derive(Serialize)]
struct BoundsOf {
    max_false_kill_rate: Option<f64>,
    max_utilization: Option<f64>,
    /// Null if not all was simulated.
    met: Option<bool>,
}

#[derive(Serialize)]
struct RunOf {
    swept: BTreeMap<String, u32>,
    settings: BTreeMap<String, SettingOf>,
    complete: bool,
    lasted_secs: f64,
    capacity: u32,
    peak: PeakOf,
    mean_occupancy: f64,
    utilization: Option<f64>,
    saturated_at_secs: Option<f64>,
    memory_bytes: MemoryOf,
    chains: ChainsOf,
    packets: u64,
    flows: u64,
    refused_flows: u64,
    standing_not_made: u64,
    invalid: u64,
    drops: BTreeMap<&'static str, u64>,
    evictions: BTreeMap<&'static str, u64>,
    ends: BTreeMap<&'static str, u64>,
    false_kills: FalseKillsOf,
    /// Null but for a recording.
    services: Option<Vec<ServiceOf>>,
    counters: BTreeMap<&'static str, u64>,
    series: Vec<ReadingOf>,
}

#[derive(Serialize)]
struct SettingOf {
    value: u32,
    from: Whence,
}

#[derive(Serialize)]
struct PeakOf {
    at_secs: f64,
    occupancy: u32,
}

#[derive(Serialize)]
struct MemoryOf {
    total: u64,
    buckets: u64,
    objects: u64,
    extensions: u64,
}

#[derive(Serialize)]
struct ChainsOf {
    at_secs: f64,
    occupancy: u32,
    longest: usize,
    mean_lookup: f64,
}

#[derive(Serialize)]
struct FalseKillsOf {
    #[serde(flatten)]
    by_harm: BTreeMap<&'static str, u64>,
    flows_hit: u64,
    rate: f64,
}

#[derive(Serialize)]
struct ServiceOf {
    service: String,
    flows: u64,
    silent_flows: u64,
    false_kills: FalseKillsOf,
}

#[derive(Serialize)]
struct ReadingOf {
    at_secs: f64,
    occupancy: u32,
    live: u32,
    packets: u64,
    dropped: u64,
    false_kills: u64,
}

pub(super) fn render(report: &Report<'_>) -> anyhow::Result<String> {
    let base = report.base;
    let services = report.source.as_recording().map(|recording| Services::of(report, recording));
    let capabilities = report.runs.first().map(|run| run.candidate.setup.host.capabilities);
    let document = Document {
        schema: SCHEMA,
        complete: report.is_whole(),
        workload: workload(report.source),
        base: Base {
            settings_of: match base.origin {
                Origin::ThisHost => "this_host",
                Origin::Recording => "recording",
                Origin::KernelDefaults => "kernel_defaults",
            },
            kernel: Untrusted::from(base.kernel.as_str()),
            ram_bytes: base.ram.map(|ram| ram.bytes),
            behaves_as: base.knowledge.behaves_as(),
            known_by: match &base.knowledge {
                Knowledge::Version(_) => "version",
                Knowledge::Measured(_) => "conform",
            },
            agreement_at_least: match &base.knowledge {
                Knowledge::Version(_) => None,
                Knowledge::Measured(measured) => measured.agreement_at_least,
            },
            capabilities: capabilities.iter().flat_map(Capabilities::named).collect(),
            over: &report.over,
            notes: &base.notes,
        },
        skipped: report.passed_over.as_ref().map(|passed_over| {
            passed_over.skipped.iter().map(|(reason, count)| SkippedFor { reason: reason.to_string(), count }).collect()
        }),
        clock_jumps: report.passed_over.as_ref().map(|passed_over| passed_over.clock_jumps),
        replay: report.source.as_recording().map(|recording| replay_of(report, recording)),
        bounds: bounds(&report.choice),
        cheapest: match &report.choice {
            Choice::Cheapest(_, bargain) => Some(bargain.place),
            Choice::NotAsked | Choice::NotKnown(_) | Choice::None(_) => None,
        },
        runs: (0..)
            .zip(&report.runs)
            .map(|(place, run)| run_of(report, run, services.as_ref().map(|services| services_of(services, place))))
            .collect(),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// Every scenario that can be simulated.
pub(super) fn list(scenarios: &[Scenario]) -> anyhow::Result<String> {
    let scenarios: Vec<Value> = scenarios
        .iter()
        .map(|scenario| {
            serde_json::json!({
                "name": scenario.name,
                "title": scenario.title,
                "about": scenario.about.iter().map(Untrusted::as_str).collect::<Vec<_>>().join("\n"),
                "secs": secs(scenario.play.lasts),
            })
        })
        .collect();
    Ok(serde_json::to_string_pretty(&serde_json::json!({ "schema": SCHEMA, "scenarios": scenarios }))? + "\n")
}

fn workload(source: &Source) -> Workload<'_> {
    match source {
        Source::Scenario { scenario, seed, size } => Workload {
            kind: "scenario",
            name: source.name(),
            title: Some(&scenario.title),
            seed: Some(*seed),
            size: Some(size.factor()),
            secs: Some(secs(scenario.play.lasts)),
        },
        Source::Capture { captured, seed } => Workload {
            kind: "capture",
            name: source.name(),
            title: None,
            seed: Some(*seed),
            size: None,
            secs: captured.only().map(secs),
        },
        Source::Recording { recording, seed } => Workload {
            kind: "recording",
            name: source.name(),
            title: None,
            seed: Some(*seed),
            size: None,
            secs: Some(secs(recording.replay().lasts())),
        },
    }
}

fn replay_of(report: &Report<'_>, recording: &Replayed) -> ReplayOf {
    let replay = recording.replay();
    let not_played = replay.not_played();
    ReplayOf {
        stands_for: replay.stands_for(),
        not_played: NotPlayedOf {
            flows: not_played.flows,
            states: not_played.states,
            stray_gaps: not_played.stray_gaps,
        },
        flows_taken_as_silent: not_played.flows_taken_as_silent,
        silent_for_longer_than_secs: secs(LONG),
        recorded_mean_occupancy: report.fidelity.map(|fidelity| fidelity.recorded),
        replayed_mean_occupancy: report.fidelity.and_then(|fidelity| fidelity.replayed),
    }
}

/// What became of them in a run.
fn services_of(services: &Services<'_>, place: usize) -> Vec<ServiceOf> {
    let of = |service: &Service<'_>| {
        let run = service.runs.get(place)?;
        Some(ServiceOf {
            service: service.name.clone(),
            flows: run.flows,
            silent_flows: service.silent,
            false_kills: false_kills_of(&run.false_kills, run.flows),
        })
    };
    services.told.iter().filter_map(of).collect()
}

fn bounds(choice: &Choice) -> Option<BoundsOf> {
    let (Bounds { max_false_kill_rate, max_utilization }, met) = match choice {
        Choice::NotAsked => return None,
        Choice::NotKnown(bounds) => (*bounds, None),
        Choice::Cheapest(bounds, _) => (*bounds, Some(true)),
        Choice::None(bounds) => (*bounds, Some(false)),
    };
    Some(BoundsOf { max_false_kill_rate, max_utilization, met })
}

fn run_of(report: &Report<'_>, Run { candidate, outcome }: &Run, services: Option<Vec<ServiceOf>>) -> RunOf {
    let settings = candidate.settings(report.base);
    RunOf {
        swept: candidate.swept.iter().map(|(sysctl, value)| (sysctl.to_string(), *value)).collect(),
        settings: settings.map(|(sysctl, value, from)| (sysctl.to_string(), SettingOf { value, from })).collect(),
        complete: outcome.completeness == Completeness::Whole,
        lasted_secs: secs(outcome.lasted),
        capacity: outcome.capacity.0,
        peak: PeakOf { at_secs: secs(outcome.peak.at), occupancy: outcome.peak.occupancy },
        mean_occupancy: outcome.mean_occupancy().counted,
        utilization: outcome.utilization(),
        saturated_at_secs: outcome.saturated_at.map(secs),
        memory_bytes: MemoryOf {
            total: outcome.memory_peak.total_bytes(),
            buckets: outcome.memory_peak.buckets_bytes,
            objects: outcome.memory_peak.objects_bytes,
            extensions: outcome.memory_peak.extensions_bytes,
        },
        chains: ChainsOf {
            at_secs: secs(outcome.chains.at),
            occupancy: outcome.chains.occupancy,
            longest: outcome.chains.longest,
            mean_lookup: outcome.chains.mean_lookup,
        },
        packets: outcome.packets,
        flows: outcome.flows,
        refused_flows: outcome.refused_flows,
        standing_not_made: outcome.standing_not_made,
        invalid: outcome.invalid,
        drops: counts(DROPS, outcome),
        evictions: counts(EVICTIONS, outcome),
        ends: counts(ENDS, outcome),
        false_kills: false_kills_of(&outcome.false_kills, outcome.flows),
        services,
        counters: Counter::ALL.iter().map(|counter| (counter.name(), outcome.counters.get(*counter))).collect(),
        series: outcome
            .series
            .iter()
            .map(|reading| ReadingOf {
                at_secs: secs(reading.at),
                occupancy: reading.occupancy,
                live: reading.live,
                packets: reading.packets,
                dropped: reading.dropped,
                false_kills: reading.false_kills,
            })
            .collect(),
    }
}

/// Harms have the order of their names.
fn false_kills_of(kills: &FalseKills, flows: u64) -> FalseKillsOf {
    FalseKillsOf {
        by_harm: FALSE_KILLS.iter().zip(Harm::ALL).map(|(counted, harm)| (counted.key, kills.by(harm))).collect(),
        flows_hit: kills.flows_hit,
        rate: kills.flows_hit as f64 / flows.max(1) as f64,
    }
}

fn counts(counted: &[Counted], outcome: &Outcome) -> BTreeMap<&'static str, u64> {
    counted.iter().map(|counted| (counted.key, (counted.of)(outcome))).collect()
}

fn secs(span: Duration) -> f64 {
    span.as_secs_f64()
}
