//! What the scenarios make of a real kernel's table. Each is played small, and for a few seconds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use plimsoll_ctnetlink::{Counter, Dump, Status, Unknowns, cpu_statistics};
use plimsoll_lab::{Played, Stage};
use plimsoll_scenario::{Amount, Needs, Scenario};

/// What is in the table after a scenario was played.
#[derive(Default)]
struct Table {
    entries: u64,
    /// By protocol and state.
    states: BTreeMap<String, u64>,
    assured: u64,
    expected: u64,
    source_nat: u64,
    destination_nat: u64,
    idle_for_an_hour: u64,
    /// Counters that speak of harm, where they are not 0.
    harm: BTreeMap<&'static str, u64>,
    played: Played,
}

/// Entries to which a share of the limit is taken here: a full table takes its time, and holds the same entries.
const CAPACITY: u32 = 20_000;

/// Plays a scenario at a size for some seconds.
fn play(name: &str, size: f64, secs: u64) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../scenarios/{name}.toml"));
    let mut scenario = Scenario::parse(name, &std::fs::read_to_string(path).unwrap()).unwrap();
    scenario.play.lasts = Duration::from_secs(secs);
    // Its flows come also where the hash is too large for what they are to show.
    scenario.needs = Needs::default();
    let size = size.to_string().parse().unwrap();
    for standing in &mut scenario.standing {
        standing.amount = Amount::Count(standing.count(size, CAPACITY));
    }
    let stage = Stage::build(&scenario).unwrap();
    stage.fill(&scenario, 1, "1".parse().unwrap()).unwrap();
    let played = stage.play(&scenario, 1, size, &AtomicBool::new(false)).unwrap();
    stage.namespace().enter(|| read(played)).unwrap()
}

fn read(played: Played) -> Table {
    let mut table = Table { played, ..Table::default() };
    let mut dump = Dump::start().unwrap();
    while let Some(batch) = dump.next_batch().unwrap() {
        for entry in batch.entries(&mut Unknowns::default()) {
            let entry = entry.unwrap().entry;
            table.entries += 1;
            *table.states.entry(format!("{} {}", entry.original.protocol, entry.state)).or_default() += 1;
            let has = |status| u64::from(entry.status.has(status));
            table.assured += has(Status::ASSURED);
            table.expected += has(Status::EXPECTED);
            table.source_nat += has(Status::SRC_NAT);
            table.destination_nat += has(Status::DST_NAT);
            let is_established = entry.state.to_string() == "ESTABLISHED";
            // With data that is not acknowledged yet an entry has 300 s at most.
            let is_old = (301..432_000 - 3600).contains(&entry.remaining_secs.unwrap());
            table.idle_for_an_hour += u64::from(is_established && is_old);
        }
    }
    let counters = cpu_statistics().unwrap();
    let harmless = |counter| {
        matches!(counter, Counter::Insert | Counter::ExpectNew | Counter::ExpectCreate | Counter::ExpectDelete)
    };
    for counter in Counter::ALL.into_iter().filter(|counter| !harmless(*counter)) {
        if let Some(count @ 1..) = counters.total(counter) {
            table.harm.insert(counter.name(), count);
        }
    }
    table
}

impl Table {
    fn share(&self, state: &str) -> f64 {
        self.states.get(state).copied().unwrap_or(0) as f64 / self.entries as f64
    }

    fn assured_share(&self) -> f64 {
        self.assured as f64 / self.entries as f64
    }

    #[track_caller]
    fn is_mostly(&self, state: &str, least: f64) {
        assert!(self.share(state) >= least, "{state}: {:?}", self.states);
    }

    /// Nothing was refused, and nothing was sent that the kernel takes for invalid.
    #[track_caller]
    fn is_clean(&self) {
        assert_eq!((self.played.refused, &self.harm), (0, &BTreeMap::new()));
    }
}

#[test]
fn healthy_services_open_and_close() {
    let web = play("healthy-web", 1.0, 2);
    web.is_clean();
    assert!(web.share("tcp TIME_WAIT") > 0.2 && web.share("tcp ESTABLISHED") > 0.1, "{:?}", web.states);
    assert!(web.share("udp -") > 0.1, "{:?}", web.states);
    assert!(web.assured_share() > 0.5, "{}", web.assured_share());

    let idle = play("idle", 1.0, 2);
    idle.is_clean();
    assert!((1..20).contains(&idle.entries), "{}", idle.entries);

    let load = play("loadtest-keepalive", 0.3, 3);
    load.is_clean();
    load.is_mostly("tcp ESTABLISHED", 0.99);
    assert!(load.played.packets > 6 * load.played.flows, "{:?}", load.played);

    let stable = play("big-but-stable", 0.1, 1);
    stable.is_clean();
    stable.is_mostly("tcp ESTABLISHED", 0.99);
    assert_eq!(stable.idle_for_an_hour, 0);
    assert!(stable.assured >= 12_000, "{}", stable.assured);
}

#[test]
fn short_connections_wait_for_their_end() {
    for name in ["http-churn", "burst-that-ends"] {
        let churn = play(name, 0.2, 1);
        churn.is_clean();
        churn.is_mostly("tcp TIME_WAIT", 0.9);
        assert!(churn.assured_share() > 0.9, "{}", churn.assured_share());
    }
}

#[test]
fn what_is_never_answered_or_never_finished_is_not_assured() {
    for (name, state) in [
        ("syn-flood", "tcp SYN_RECV"),
        ("syn-flood-few-sources", "tcp SYN_SENT"),
        ("scan", "tcp SYN_SENT"),
        ("dns-unreplied", "udp -"),
    ] {
        let table = play(name, 0.2, 1);
        table.is_clean();
        table.is_mostly(state, 0.9);
        assert!(table.assured_share() < 0.1, "{name}: {}", table.assured_share());
    }
    let both = play("flood-and-churn", 0.2, 1);
    both.is_clean();
    assert!(both.share("tcp SYN_SENT") > 0.5 && both.share("tcp TIME_WAIT") > 0.3, "{:?}", both.states);
}

#[test]
fn forgotten_connections_are_as_old_as_they_should_be() {
    let idle = play("idle-established", 0.05, 1);
    idle.is_clean();
    idle.is_mostly("tcp ESTABLISHED", 0.99);
    assert_eq!(idle.idle_for_an_hour, 4000);
    let scanned = play("scan-and-idle", 0.05, 2);
    scanned.is_clean();
    assert_eq!(scanned.idle_for_an_hour, 4000);
    assert!(scanned.states["tcp SYN_SENT"] > 150, "{:?}", scanned.states);
}

#[test]
fn half_closed_connections_stay_so() {
    let table = play("half-closed", 0.2, 1);
    table.is_clean();
    table.is_mostly("tcp CLOSE_WAIT", 0.85);
}

#[test]
fn full_tables_hold_what_they_are_said_to_hold() {
    let live = play("namespace-full", 1.0, 1);
    live.is_mostly("tcp ESTABLISHED", 0.99);
    assert_eq!(live.idle_for_an_hour, 0);
    let pressed = play("gc-pressure", 1.0, 1);
    assert!((0.38..0.42).contains(&pressed.share("tcp TIME_WAIT")), "{:?}", pressed.states);
    assert!(pressed.assured_share() > 0.99);
    let half_open = play("full-of-half-open", 1.0, 1);
    half_open.is_mostly("tcp SYN_SENT", 0.99);
    assert!(half_open.assured_share() < 0.01);
    let queries = play("chain-cap", 0.2, 1);
    queries.is_mostly("udp -", 0.99);
}

#[test]
fn a_proxy_has_many_connections_or_few_as_it_is_configured() {
    let churning = play("proxy-without-keepalive", 0.5, 2);
    churning.is_clean();
    churning.is_mostly("tcp TIME_WAIT", 0.9);
    assert!(churning.entries > churning.played.flows * 8 / 10, "{} of {}", churning.entries, churning.played.flows);
    let keeping = play("proxy-with-keepalive", 0.5, 2);
    keeping.is_clean();
    assert!((50..200).contains(&keeping.entries), "{:?}", keeping.states);
    assert_eq!(keeping.played.flows, 800);
}

#[test]
fn translated_connections_are_played_to_their_end() {
    let table = play("kubernetes", 0.2, 1);
    assert_eq!(table.played.refused, 0);
    assert!(!table.harm.contains_key("invalid"), "{:?}", table.harm);
    table.is_mostly("tcp TIME_WAIT", 0.9);
    assert_eq!((table.source_nat, table.destination_nat), (table.entries, table.entries));
}

#[test]
fn ports_that_are_used_up_refuse_flows() {
    let table = play("snat-ports", 5.0, 2);
    assert_eq!(table.entries, 2048, "{:?}", table.states);
    assert!(table.played.refused > 500, "{:?}", table.played);
}

#[test]
fn the_helper_expects_data_connections() {
    let table = play("ftp-helper", 0.5, 2);
    table.is_clean();
    assert!(table.expected as f64 / table.entries as f64 > 0.5, "{} of {}", table.expected, table.entries);
    assert_eq!(table.played.flows, table.entries, "each data connection is an entry");
}
