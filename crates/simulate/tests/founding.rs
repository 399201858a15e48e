//! The figures of the operators' guide that Plimsoll carries out, each from its shipped scenario.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use plimsoll_model::Counter;
use plimsoll_scenario::Scenario;
use plimsoll_simulate::{Completeness, Outcome, Setup, Workload, run};
use plimsoll_twin::{Capabilities, RemovedBy};

fn scenario(name: &str) -> Scenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../scenarios/simulated/{name}.toml"));
    let scenario = Scenario::parse(name, &std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(scenario.name.to_string(), name);
    scenario
}

/// Under the settings that the scenario is made for, and others.
fn simulated(name: &str, size: &str, others: &[(&str, u32)]) -> Outcome {
    let scenario = scenario(name);
    let mut setup = Setup::stock(Capabilities::LINUX_6_18, 1);
    for (sysctl, value) in &scenario.simulate.as_ref().unwrap().sysctls {
        setup.set(sysctl.as_str().parse().unwrap(), *value).unwrap();
    }
    for (sysctl, value) in others {
        setup.set(sysctl.parse().unwrap(), *value).unwrap();
    }
    let workload = Workload::Scenario { scenario: &scenario, seed: 1, size: size.parse().unwrap() };
    let outcome = run(workload, &setup, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(outcome.completeness, Completeness::Whole);
    outcome
}

#[track_caller]
fn within_a_fiftieth(is: u32, should_be: u32) {
    assert!(is.abs_diff(should_be) * 50 <= should_be, "{is} is not within 2 % of {should_be}");
}

/// Living entries, from the begin of the level on.
#[track_caller]
fn levels_off_at(outcome: &Outcome, living: u32, from: Duration) {
    for reading in outcome.series.iter().filter(|reading| reading.at >= from) {
        within_a_fiftieth(reading.live, living);
    }
    assert_eq!((outcome.refused_flows, outcome.false_kills.total()), (0, 0));
}

const SECOND: Duration = Duration::from_secs(1);

/// At half the size, for the time that it takes; what a table holds is in proportion to what comes.
#[test]
fn short_requests_level_off_at_1_200_000() {
    levels_off_at(&simulated("founding-short-requests", "0.5", &[]), 600_000, 122 * SECOND);
}

/// At a tenth of the size.
#[test]
fn at_a_time_wait_of_30_s_it_is_a_quarter() {
    levels_off_at(&simulated("founding-short-requests-30", "0.1", &[]), 30_000, 32 * SECOND);
}

#[test]
fn a_syn_flood_fills_524_288_in_52_s() {
    let outcome = simulated("founding-syn-flood", "1", &[]);
    let saturated = outcome.saturated_at.unwrap().as_secs_f64();
    assert!((50.0..54.0).contains(&saturated), "{saturated}");
    assert_eq!(outcome.peak.occupancy, 524_288);
    // From then on each new one takes another's place.
    let after = outcome.flows - 524_288;
    let evicted = outcome.removals.by(RemovedBy::EarlyDrop) + outcome.removals.by(RemovedBy::PressureUnassured);
    assert!(evicted + outcome.refused_flows >= after, "{evicted} of {after}");
}

/// 100 probes a second and 66.5 scrapes, each two minutes in the table: 12,000 and 8,000.
#[test]
fn probes_of_1_000_pods_hold_thousands() {
    levels_off_at(&simulated("founding-probes", "1", &[]), 19_980, 122 * SECOND);
}

#[test]
fn a_nodeport_takes_one_entry_a_connection() {
    let outcome = simulated("founding-nodeport", "1", &[]);
    assert!(outcome.flows > 29_000, "{}", outcome.flows);
    assert_eq!(u64::from(outcome.series.last().unwrap().occupancy), outcome.flows);
    assert_eq!((outcome.refused_flows, outcome.invalid), (0, 0));
}

#[test]
fn dns_holds_60_000_or_20_000() {
    levels_off_at(&simulated("founding-dns", "1", &[]), 60_000, 32 * SECOND);
    let shorter = simulated("founding-dns", "1", &[("net.netfilter.nf_conntrack_udp_timeout", 10)]);
    levels_off_at(&shorter, 20_000, 12 * SECOND);
}

#[test]
fn a_sip_call_holds_three_entries() {
    let outcome = simulated("founding-sip", "1", &[]);
    // While no media have expired: what is there is what came, but for calls that have not got so far.
    let reading = outcome.series.iter().rfind(|reading| reading.at <= 150 * SECOND).unwrap();
    let per_call = f64::from(reading.live) / (5.0 * reading.at.as_secs_f64());
    assert!((2.7..3.3).contains(&per_call), "{per_call}");
    // RTP and RTCP of each were expected; a call is its own flow and theirs.
    let calls = outcome.flows / 3;
    let fulfilled = outcome.counters.get(Counter::ExpectNew);
    assert!(fulfilled.abs_diff(2 * calls) <= 4, "{fulfilled} of {calls} calls");
    // At the end, an entry for each call that was, and media of those of the last 300 s.
    within_a_fiftieth(outcome.series.last().unwrap().live, u32::try_from(calls).unwrap() + 2 * 5 * 300);
    assert_eq!(outcome.false_kills.total(), 0);
}
