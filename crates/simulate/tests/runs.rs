//! Runs as a whole: what they depend on, how they are stopped, and what is chosen among them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plimsoll_model::Sysctl;
use plimsoll_simulate::{
    Bargain, Bounds, Completeness, Datagram, Datagrams, NotSet, Outcome, Setup, Workload, cheapest, run, sweep,
};
use plimsoll_twin::Memory;
use proptest::prelude::*;

use support::{QUERY, Record, scenario, setup, simulated, workload};

const REQUEST: &str = "> syn\n< syn-ack\n> ack\n> data 200\nwait ~3s\n< data 900\n> fin\n< fin\n> ack";

fn outcome(seed: u64, setup: &Setup) -> Outcome {
    let scenario = scenario("per_sec = 40", "", REQUEST);
    run(workload(&scenario, seed), setup, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn any_setup() -> impl Strategy<Value = Setup> {
    (50_u32..3000, 1_u32..40, 1_u32..20).prop_map(|(max, time_wait, established)| {
        setup(&[
            ("max", max),
            ("buckets", 512),
            ("tcp_timeout_time_wait", time_wait),
            ("tcp_timeout_established", established),
        ])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_same_seed_gives_the_same_outcome(setup in any_setup(), seed in any::<u64>()) {
        let (first, second) = (outcome(seed, &setup), outcome(seed, &setup));
        prop_assert_eq!(&first, &second);
        prop_assert!(first.peak.occupancy <= setup.host.capacity.0);
        prop_assert!(first.series.iter().all(|reading| reading.live <= reading.occupancy));
        prop_assert!(first.series.iter().all(|reading| reading.occupancy <= first.peak.occupancy));
        prop_assert!(first.series.is_sorted_by(|a, b| a.at < b.at && a.packets <= b.packets));
        prop_assert!(first.false_kills.flows_hit <= first.false_kills.total());
        prop_assert!(first.refused_flows <= first.flows);
        prop_assert_ne!(outcome(seed ^ 1, &setup), first);
    }

    #[test]
    fn a_sweep_is_its_runs(setups in prop::collection::vec(any_setup(), 1..5), threads in 1_usize..4) {
        let scenario = scenario("per_sec = 40", "", REQUEST);
        let threads = NonZeroUsize::new(threads).unwrap();
        let swept = sweep(&|| workload(&scenario, 3), &setups, threads, &|_, _| ControlFlow::Continue(())).unwrap();
        let single: Vec<_> = setups.iter().map(|setup| outcome(3, setup)).collect();
        prop_assert_eq!(swept, single);
    }

    /// What a scenario sends, recorded, is the same to the table, where no flow is refused and none has the ports of another
    /// that was before it.
    #[test]
    fn a_scenario_and_its_record_have_the_same_outcome(seed in any::<u64>(), established in 1_u32..9) {
        let scenario = scenario("per_sec = 20", "", REQUEST);
        let setup = setup(&[("tcp_timeout_established", established)]);
        let played = run(workload(&scenario, seed), &setup, &mut |_| ControlFlow::Continue(())).unwrap();
        let workload = Workload::Recorded(Box::new(Record::new(&scenario, seed)));
        let replayed = run(workload, &setup, &mut |_| ControlFlow::Continue(())).unwrap();
        let seen = |outcome: &Outcome, more| {
            (outcome.packets + more, outcome.flows + more, outcome.false_kills, outcome.invalid, outcome.refused_flows)
        };
        prop_assert_eq!(seen(&played, 1), seen(&replayed, 0));
        // gc's intervals depend on every entry, so that only the living are compared. The query lives for 30 s.
        let living = |outcome: &Outcome, less| -> BTreeMap<_, _> {
            let between = outcome.series.iter().filter(|reading| reading.at > Duration::ZERO && reading.at < outcome.lasted);
            between.map(|reading| (reading.at, reading.live - if reading.at.as_secs() < 30 { less } else { 0 })).collect()
        };
        let (played, replayed) = (living(&played, 0), living(&replayed, 1));
        let both: Vec<_> = played.iter().filter_map(|(at, live)| Some((live, replayed.get(at)?))).collect();
        prop_assert!(both.len() > 50);
        prop_assert!(both.iter().all(|(played, replayed)| played == replayed), "{:?}", both);
    }
}

#[test]
fn a_run_that_is_stopped_says_so() {
    let scenario = scenario("per_sec = 40", "", REQUEST);
    let stopped = run(workload(&scenario, 1), &setup(&[]), &mut |progress| {
        assert_eq!(progress.lasts, Some(Duration::from_mins(1)));
        if progress.at >= Duration::from_secs(20) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let stopped = stopped.unwrap();
    let Completeness::StoppedAt(at) = stopped.completeness else { panic!("{:?}", stopped.completeness) };
    assert!((20..22).contains(&at.as_secs()), "{at:?}");
    assert_eq!(stopped.lasted, at);
    assert!(stopped.flows > 0 && stopped.flows < 1200, "{}", stopped.flows);
    // Before anything comes, it has not begun.
    let none = run(workload(&scenario, 1), &setup(&[]), &mut |_| ControlFlow::Break(())).unwrap();
    assert_eq!((none.completeness, none.packets), (Completeness::StoppedAt(Duration::ZERO), 0));
    // It is the whole run's beginning.
    let whole = simulated(&scenario, &[]);
    assert_eq!(stopped.series[..80], whole.series[..80]);
    assert_eq!(cheapest(&[stopped], Bounds::default()), None);
    let alone = Bargain { place: 0, as_cheap: vec![] };
    assert_eq!(cheapest(&[whole], Bounds::default()), Some(alone));
}

#[test]
fn what_stands_from_the_begin_can_be_stopped() {
    let standing = "[[standing]]\nname = \"many\"\ncount = 20000\nstate = \"established\"\nidle_from_secs = 0\n\
                    idle_until_secs = 10\nclients = { in = \"10.2.0.0/16\" }\nservers = { in = \"192.0.2.9\", ports = 80 }";
    let scenario = scenario("per_sec = 40", standing, REQUEST);
    let mut told = 0;
    let stopped = run(workload(&scenario, 1), &setup(&[]), &mut |progress| {
        told += 1;
        if progress.occupancy > 5000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let stopped = stopped.unwrap();
    assert_eq!(stopped.completeness, Completeness::StoppedAt(Duration::ZERO));
    assert!((5000..10_000).contains(&stopped.peak.occupancy) && told > 1, "{} {told}", stopped.peak.occupancy);
}

#[test]
fn the_cheapest_within_bounds_is_chosen() {
    let scenario = scenario("per_sec = 40", "", REQUEST);
    let with = |established, max| {
        simulated(
            &scenario,
            &[("tcp_timeout_established", established), ("tcp_timeout_unacknowledged", established), ("max", max)],
        )
    };
    let outcomes = [with(300, 4096), with(1, 4096), with(300, 2500), with(300, 100)];
    assert!(outcomes[1].false_kill_rate() > 0.1 && outcomes[0].false_kill_rate() == 0.0);
    assert!(outcomes[3].refused_flows > 0);
    let most =
        |max_false_kill_rate, max_utilization| cheapest(&outcomes, Bounds { max_false_kill_rate, max_utilization });
    // A table that refuses flows is none of them.
    assert_ne!(most(None, None).map(|bargain| bargain.place), Some(3));
    // Of two that cost the same, the first.
    assert_eq!(most(Some(0.0), None), Some(Bargain { place: 0, as_cheap: vec![2] }));
    assert_eq!(most(Some(0.0), Some(0.01)), None);
}

#[test]
fn what_costs_a_hundredth_less_is_not_worth_a_false_kill() {
    let of = |bytes: u64, hit: u64| {
        let mut outcome = simulated(&scenario("count = 1", "", "> udp 10"), &[]);
        outcome.memory_peak = Memory { buckets_bytes: bytes, ..Memory::default() };
        outcome.false_kills.flows_hit = hit;
        outcome
    };
    let chosen = |outcomes: &[Outcome]| cheapest(outcomes, Bounds::default());
    let outcomes = [of(1000, 5), of(1010, 0), of(1011, 0), of(1010, 0)];
    assert_eq!(chosen(&outcomes), Some(Bargain { place: 1, as_cheap: vec![0, 3] }));
    assert_eq!(chosen(&[of(1000, 5), of(1011, 0)]), Some(Bargain { place: 0, as_cheap: vec![] }));
}

#[test]
fn a_series_is_bounded_however_long_it_is() {
    let bytes = QUERY.to_vec();
    // A query every minute for a week, and one that the clock had go back.
    let mut queries: Vec<_> = (0..10_080).map(|minute| (Duration::from_secs(60 * minute), bytes.clone())).collect();
    queries.push((Duration::from_mins(1), bytes));
    let workload = Workload::Recorded(Box::new(queries.iter()));
    // gc walks the buckets all week.
    let outcome = run(workload, &setup(&[("buckets", 512)]), &mut |_| ControlFlow::Continue(())).unwrap();
    assert!((100..=300).contains(&outcome.series.len()), "{}", outcome.series.len());
    assert_eq!(outcome.lasted, Duration::from_mins(10_079));
    // A minute is longer than the timeout and no silence of another flow.
    assert_eq!((outcome.flows, outcome.false_kills.total()), (1, 10_079));
}

#[test]
fn what_no_kernel_would_take_is_not_set() {
    let mut setup = setup(&[]);
    assert_eq!(setup.set(Sysctl::SYNCOOKIES, 1), Err(NotSet::Unknown));
    assert_eq!(setup.set(Sysctl::HELPER, 1), Err(NotSet::Unknown));
    assert_eq!(setup.set(Sysctl::BUCKETS, 0), Err(NotSet::OutOfRange { least: 1, most: 1 << 30 }));
    assert_eq!(setup.set(Sysctl::TCP_LOOSE, 2), Err(NotSet::OutOfRange { least: 0, most: 1 }));
    setup.set(Sysctl::BUCKETS, 1000).unwrap();
    setup.set(Sysctl::CAPACITY, 5).unwrap();
    assert_eq!((setup.host.buckets.0, setup.host.capacity.0), (1024, 5));
}

/// The same query, every millisecond.
#[derive(Default)]
struct Queries<'a> {
    number: u64,
    most: u64,
    read: Option<&'a AtomicU64>,
}

impl Datagrams for Queries<'_> {
    fn next_datagram(&mut self) -> Option<Datagram<'_>> {
        assert!(self.number <= self.most, "it has come to its end");
        self.number += 1;
        self.read.inspect(|read| read.store(self.number, Ordering::Relaxed));
        (self.number <= self.most).then_some(Datagram { at: Duration::from_millis(self.number), bytes: &QUERY })
    }
}

#[test]
fn a_capture_of_which_no_more_is_played_is_read_no_further() {
    let read = AtomicU64::new(0);
    let endless = Queries { most: u64::MAX, read: Some(&read), ..Queries::default() };
    let stopped = run(Workload::Recorded(Box::new(endless)), &setup(&[]), &mut |progress| {
        if progress.packets >= 100_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let stopped = stopped.unwrap();
    assert!(matches!(stopped.completeness, Completeness::StoppedAt(_)));
    let ahead = read.into_inner() - stopped.packets;
    assert!(ahead <= 9 * 1024, "{ahead} packets were read that were not played");
}

#[test]
fn a_capture_is_read_to_its_end_and_not_beyond() {
    for most in [0, 1, 1023, 1024, 1025, 9 * 1024] {
        let queries = Queries { most, ..Queries::default() };
        let outcome = run(Workload::Recorded(Box::new(queries)), &setup(&[]), &mut |_| ControlFlow::Continue(()));
        assert_eq!(outcome.unwrap().packets, most);
    }
}

/// Whoever reads a capture may fail in a way that nobody has thought of: then there is no outcome of half of it.
#[test]
fn what_goes_wrong_while_reading_is_not_taken_for_the_end() {
    struct Broken;
    impl Datagrams for Broken {
        fn next_datagram(&mut self) -> Option<Datagram<'_>> {
            panic!("it cannot be read")
        }
    }
    let played = || run(Workload::Recorded(Box::new(Broken)), &setup(&[]), &mut |_| ControlFlow::Continue(()));
    assert!(std::panic::catch_unwind(played).is_err());
}

/// Chunks of SCTP are more than is kept of another packet: an association that is opened by four packets among others is established.
#[test]
fn an_association_of_sctp_is_followed() {
    let sctp = |from_client: bool, tag: u32, chunk: &[u8]| {
        let [mut from, mut to] = [([10, 0, 0, 1], [0x80, 0]), ([192, 0, 2, 1], [0x0f, 0x0a])];
        if !from_client {
            std::mem::swap(&mut from, &mut to);
        }
        let mut bytes = vec![0x45, 0, 0, u8::try_from(32 + chunk.len()).unwrap(), 0, 0, 0, 0, 64, 132, 0, 0];
        bytes.extend(from.0.into_iter().chain(to.0).chain(from.1).chain(to.1).chain(tag.to_be_bytes()).chain([0; 4]));
        bytes.extend(chunk);
        bytes
    };
    // INIT with the client's tag, INIT ACK with the server's, COOKIE ECHO, COOKIE ACK (RFC 9260).
    let init = |kind: u8, tag: u8| [kind, 0, 0, 20, 0, 0, 0, tag, 0, 0, 255, 255, 0, 1, 0, 1, 0, 0, 0, 1];
    let handshake = [
        sctp(true, 0, &init(1, 1)),
        sctp(false, 1, &init(2, 2)),
        sctp(true, 2, &[10, 0, 0, 8, 1, 2, 3, 4]),
        sctp(false, 1, &[11, 0, 0, 4]),
    ];
    let mut packets = Vec::new();
    for (packet, secs) in handshake.into_iter().zip(1..) {
        packets.push((Duration::from_secs(secs), packet));
        packets.push((Duration::from_secs(secs), QUERY.to_vec()));
    }
    // Longer than queries or any of the handshake's states are waited for, and less than an established association is.
    packets.push((Duration::from_mins(1), QUERY.to_vec()));
    let workload = Workload::Recorded(Box::new(packets.iter()));
    let outcome = run(workload, &setup(&[]), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((outcome.flows, outcome.invalid), (2, 0));
    assert_eq!(outcome.series.last().unwrap().live, 1, "{:?}", outcome.series.last());
}

/// Every shipped scenario is simulated but for those with real TCP stacks.
#[test]
fn every_scenario_can_be_simulated() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).filter(|file| file.is_file()) {
        let name = file.display().to_string();
        let scenario = plimsoll_scenario::Scenario::parse(&name, &std::fs::read_to_string(&file).unwrap()).unwrap();
        let size = "0.05".parse().unwrap();
        let workload = Workload::Scenario { scenario: &scenario, seed: 1, size };
        let outcome = run(workload, &setup(&[]), &mut |_| ControlFlow::Continue(()));
        assert_eq!(outcome.is_ok(), scenario.proxy.is_none(), "{name}: {outcome:?}");
    }
}
