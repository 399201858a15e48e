//! A scenario that was recorded, replayed under other settings, held against the scenario under those settings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]
#![allow(clippy::float_cmp, reason = "whole numbers")]

#[path = "support/recorder.rs"]
mod recorder;
#[path = "support/recording.rs"]
mod recording;
mod support;

use std::ops::ControlFlow;
use std::time::Duration;

use plimsoll_model::Timeouts;
use plimsoll_recording::Sources;
use plimsoll_scenario::Scenario;
use plimsoll_simulate::{Outcome, Replay, ReplayOptions, Workload, run};

use recorder::Recorder;
use support::{setup, workload};

/// Connections that are silent now and then, short ones, DNS, and streams of UDP.
const DAY: &str = r#"
name = "day"
title = "A day"
about = "What a router sees."
[play]
secs = 2400
[[traffic]]
name = "connections"
per_sec = 6
clients = { in = "10.1.0.0/16", hosts = 500 }
servers = { in = "192.0.2.1", ports = 5432 }
script = "connection"
[[traffic]]
name = "requests"
per_sec = 4
clients = { in = "10.2.0.0/16", hosts = 500 }
servers = { in = "192.0.2.2", ports = 443 }
script = "request"
[[traffic]]
name = "questions"
per_sec = 8
clients = { in = "10.3.0.0/16", hosts = 500 }
servers = { in = "192.0.2.3", ports = 53 }
script = "question"
[[traffic]]
name = "streams"
per_sec = 3
clients = { in = "10.4.0.0/16", hosts = 500 }
servers = { in = "192.0.2.4", ports = 4500 }
script = "stream"
[scripts.connection]
packets = """
> syn
< syn-ack
> ack
> data 200
< data 900
> ack
wait ~60s
> data 200
< data 900
> ack
wait ~150s
> data 200
< data 900
> ack
wait 5s
> fin
< fin
> ack
"""
[scripts.request]
packets = """
> syn
< syn-ack
> ack
> data 200
< data 900
> ack
> fin
< fin
> ack
"""
[scripts.question]
packets = """
> udp 30
< udp 90
"""
[scripts.stream]
packets = """
> udp 100
< udp 100
wait 3s
> udp 100
< udp 100
wait ~40s
> udp 100
< udp 100
wait ~40s
> udp 100
< udp 100
"""
[simulate]
"#;

const FROM: Duration = Duration::from_mins(15);
const UNTIL: Duration = Duration::from_mins(40);

const SETTINGS: [&[(&str, u32)]; 4] = [
    &[],
    &[("tcp_timeout_established", 100)],
    &[("tcp_timeout_established", 30), ("udp_timeout_stream", 60)],
    &[("udp_timeout", 10), ("tcp_timeout_time_wait", 30)],
];

/// Mean of what lives and of what is counted, and false kills, from a time on.
fn figures(outcome: &Outcome, from: Duration) -> [f64; 3] {
    let series: Vec<_> = outcome.series.iter().filter(|reading| reading.at >= from).copied().collect();
    let kills = series.last().unwrap().false_kills - series[0].false_kills;
    let mean = Outcome { series, ..outcome.clone() }.mean_occupancy();
    [mean.live, mean.counted, kills as f64]
}

/// Which of the entries are looked at is chance, and moves what a replay counts by about half a percent: so many are summed up.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=4;

fn compare(sources: Sources, tolerance: f64) {
    let mut sums = [([0.0; 3], [0.0; 3]); SETTINGS.len()];
    for seed in SEEDS {
        let (scenario, replay) = recorded(sources, seed);
        for (settings, (direct, replayed)) in SETTINGS.into_iter().zip(&mut sums) {
            let setup = setup(settings);
            let played = run(workload(&scenario, seed), &setup, &mut |_| ControlFlow::Continue(())).unwrap();
            *direct = sum(*direct, figures(&played, FROM));
            let played = run(Workload::Replayed(&replay), &setup, &mut |_| ControlFlow::Continue(())).unwrap();
            *replayed = sum(*replayed, figures(&played, Duration::ZERO));
        }
        // What was recorded lies beside it, and nothing of it was killed.
        let beside = replay.recorded_mean_occupancy().unwrap();
        let played = run(Workload::Replayed(&replay), &setup(&[]), &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(played.false_kills.total(), 0);
        assert!((played.mean_occupancy().counted / beside - 1.0).abs() < tolerance);
    }
    // What expired while it was recorded and spoke again is two flows to the recording.
    let not_seen = sums[0].0[2];
    for (settings, (direct, replayed)) in SETTINGS.into_iter().zip(sums) {
        for (direct, replayed) in direct.iter().zip(&replayed).take(2) {
            assert!((replayed / direct - 1.0).abs() < tolerance, "{settings:?}: {direct} {replayed}");
        }
        let differs = (direct[2] - not_seen - replayed[2]).abs();
        assert!(differs < 2.0 * tolerance * direct[2] + 100.0, "{settings:?}: {direct:?} {replayed:?}");
    }
}

fn recorded(sources: Sources, seed: u64) -> (Scenario, Replay) {
    let scenario = Scenario::parse("day.toml", DAY).unwrap();
    let looks_on = Recorder { from: FROM, until: UNTIL, looks_every: Duration::from_secs(3), one_of: 8, sources };
    let recorded = looks_on.record(&scenario, seed, &setup(&[]));
    let options = ReplayOptions { seed, most_flows: 1_000_000, in_force: Timeouts::default() };
    let replay = Replay::of(recorded.lives, recorded.gaps, recorded.readings, &options).unwrap();
    let told = replay.not_played();
    assert_eq!((told.flows, told.states, told.stray_gaps, told.flows_taken_as_silent), (0.0, 0.0, 0, 0.0));
    (scenario, replay)
}

fn sum(one: [f64; 3], other: [f64; 3]) -> [f64; 3] {
    std::array::from_fn(|figure| one[figure] + other[figure])
}

#[test]
fn with_events() {
    compare(Sources::EventsAndLooks, 0.03);
}

#[test]
fn with_looks_alone() {
    compare(Sources::Looks, 0.1);
}
