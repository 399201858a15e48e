//! The same scenarios through the lab and through the twin: how many entries there are over time, at most, and how many packets
//! are dropped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_host::{HostFs, NetFiles};
use plimsoll_lab::{Played, Router};
use plimsoll_model::{Capacity, Counter, CounterReading, Timeout};
use plimsoll_scenario::{Scenario, Size};
use plimsoll_simulate::{Outcome, Setup, Workload, run};
use plimsoll_twin::{Capabilities, Version};

const SEED: u64 = 1;

fn scenario(name: &str, secs: u64) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../scenarios/{name}.toml"));
    let mut scenario = Scenario::parse(name, &std::fs::read_to_string(path).unwrap()).unwrap();
    scenario.play.lasts = Duration::from_secs(secs);
    scenario
}

/// What the kernel made of a scenario.
struct Watched {
    /// Time since the begin, and the kernel's count.
    counts: Vec<(Duration, u32)>,
    counters: CounterReading,
    played: Played,
    capacity: u32,
}

/// Plays a scenario on this kernel and watches the count, which removes nothing.
fn watch(scenario: &Scenario, size: Size, timeouts: &[(Timeout, u32)]) -> Watched {
    let router = Router::build(scenario).unwrap();
    for (timeout, secs) in timeouts {
        router.namespace().set(&format!("net/netfilter/{}", timeout.sysctl().unwrap()), *secs).unwrap();
    }
    router.fill(&scenario.standing, SEED, size).unwrap();
    let over = AtomicBool::new(false);
    let count_until_over = || {
        let host = HostFs::new();
        let begun = Instant::now();
        let mut counts = Vec::new();
        while !over.load(Ordering::Relaxed) {
            counts.push((begun.elapsed(), host.occupancy().unwrap().0));
            thread::sleep(Duration::from_millis(50));
        }
        // Those of /proc: expectations are not counted in the answer over netlink.
        (counts, host.statistics(NetFiles::OfThread).unwrap().counters)
    };
    let (played, (counts, counters)) = thread::scope(|scope| {
        let watching = scope.spawn(|| router.namespace().enter(count_until_over).unwrap());
        let played = router.play(scenario, SEED, size, &AtomicBool::new(false)).unwrap();
        over.store(true, Ordering::Relaxed);
        (played, watching.join().unwrap())
    });
    Watched { counts, counters, played, capacity: router.capacity() }
}

fn simulate(scenario: &Scenario, size: Size, timeouts: &[(Timeout, u32)], capacity: u32) -> Outcome {
    simulate_with(scenario, size, timeouts, capacity, Duration::from_secs(1))
}

fn simulate_with(
    scenario: &Scenario,
    size: Size,
    timeouts: &[(Timeout, u32)],
    capacity: u32,
    first_collection: Duration,
) -> Outcome {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut setup = Setup::stock(Capabilities::guess(Version::of_release(&release).unwrap()), SEED);
    setup.host.capacity = Capacity(capacity);
    setup.host.first_collection = first_collection;
    setup.host.buckets = HostFs::new().buckets().unwrap();
    setup.settings.timeouts = timeouts.iter().copied().collect();
    run(Workload::Scenario { scenario, seed: SEED, size }, &setup, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// The readings that lie about a moment.
fn around(outcome: &Outcome, at: Duration, slack: Duration) -> impl Iterator<Item = (u32, u32)> {
    let near = outcome.series.iter().filter(move |reading| reading.at.abs_diff(at) <= slack);
    near.map(|reading| (reading.occupancy, reading.live))
}

/// Plays and simulates a scenario in which nothing expires meanwhile, and holds the two against each other.
fn is_foretold(name: &str, secs: u64, size: &str) {
    let (scenario, size) = (scenario(name, secs), size.parse().unwrap());
    let kernel = watch(&scenario, size, &[]);
    let twin = simulate(&scenario, size, &[], kernel.capacity);
    let capacity = f64::from(kernel.capacity);

    let mut furthest: f64 = 0.0;
    for (at, count) in &kernel.counts {
        // Two threads on two cores: the count may be of a moment before or behind.
        let slack = kernel.played.latest + Duration::from_millis(120);
        let apart = around(&twin, *at, slack).map(|(occupancy, _)| (f64::from(*count) - f64::from(occupancy)).abs());
        if let Some(least) = apart.reduce(f64::min) {
            furthest = furthest.max(least / capacity);
        }
    }
    let peak = kernel.counts.iter().map(|(_, count)| *count).max().unwrap();
    let (peak, of_twin) = (f64::from(peak), f64::from(twin.peak.occupancy));
    let dropped = kernel.counters.total(Counter::Drop).unwrap() as f64;
    let drops_of_twin = twin.counters.get(Counter::Drop) as f64;
    println!(
        "{name}: furthest apart {:.3}% of capacity; peak {peak}, twin {of_twin}; drops {dropped}, twin {drops_of_twin}; refused \
         {}, twin {}",
        furthest * 100.0,
        kernel.played.refused,
        twin.refused_flows
    );
    assert!(furthest < 0.02, "{name}: {furthest}");
    assert!((peak / of_twin - 1.0).abs() < 0.01, "{name}: peak {peak}, twin {of_twin}");
    let error = (0.05 * dropped).max(3.0 * dropped.sqrt()).max(1.0);
    assert!((dropped - drops_of_twin).abs() <= error, "{name}: drops {dropped}, twin {drops_of_twin}");
    assert_eq!(kernel.played.flows, twin.flows, "{name}");
    for counter in [Counter::ExpectNew, Counter::ExpectCreate, Counter::ExpectDelete, Counter::Invalid] {
        assert_eq!(kernel.counters.total(counter), Some(twin.counters.get(counter)), "{name}: {}", counter.name());
    }
}

#[test]
fn entries_peaks_and_drops_are_as_the_twin_foretells_them() {
    is_foretold("http-churn", 8, "1");
    is_foretold("syn-flood", 8, "1");
    is_foretold("kubernetes", 6, "1");
    is_foretold("ftp-helper", 6, "1");
    is_foretold("half-closed", 6, "1");
    is_foretold("snat-ports", 8, "1");
    is_foretold("namespace-full", 8, "1");
}

/// gc may come at once or not at all in so short a time: what is dropped lies between the two.
#[test]
fn what_gc_frees_under_pressure_bounds_what_is_dropped() {
    let (scenario, size) = (scenario("gc-pressure", 8), Size::default());
    let kernel = watch(&scenario, size, &[]);
    let [soon, late] = [Duration::from_secs(1), Duration::from_mins(1)].map(|first_collection| {
        let twin = simulate_with(&scenario, size, &[], kernel.capacity, first_collection);
        twin.counters.get(Counter::Drop) as f64
    });
    let dropped = kernel.counters.total(Counter::Drop).unwrap() as f64;
    println!("gc-pressure: drops {dropped}; twin {soon} with gc, {late} without");
    let error = (0.05 * dropped).max(3.0 * dropped.sqrt());
    assert!(soon < late, "gc makes room");
    assert!((soon - error..=late + error).contains(&dropped), "{dropped}, twin {soon} to {late}");
}

/// What has expired is counted until gc comes by, and nobody knows when it will: the count lies between what lives and what came
/// within the longest that gc may take.
#[test]
fn what_expires_is_counted_no_longer_than_gc_takes() {
    const UDP_SECS: u32 = 4;
    /// gc's longest interval, and what a walk takes.
    const LAG: Duration = Duration::from_secs(63);
    let (scenario, size) = (scenario("dns-unreplied", 20), "0.5".parse().unwrap());
    let timeouts = [(Timeout::Udp, UDP_SECS)];
    let kernel = watch(&scenario, size, &timeouts);
    let twin = simulate(&scenario, size, &timeouts, kernel.capacity);
    let capacity = f64::from(kernel.capacity);
    let mut freed = 0;
    for (at, count) in &kernel.counts {
        let count = f64::from(*count);
        let slack = kernel.played.latest + Duration::from_millis(150);
        let lives = around(&twin, *at, slack).map(|(_, live)| f64::from(live));
        let Some(least) = lives.reduce(f64::min) else { continue };
        let began = at.saturating_sub(LAG);
        // Nothing had expired before gc could have come: all that came since then may be there.
        let most = twin.series.iter().filter(|reading| reading.at <= *at + slack).map(|reading| reading.packets);
        let most = most.max().unwrap_or(0) as f64;
        assert!(count > least - 0.02 * capacity, "{at:?}: {count} counted, {least} live");
        assert!(began.is_zero() && count < most + 0.02 * capacity, "{at:?}: {count} counted, {most} came");
        freed += u64::from(count < most * 0.9);
    }
    println!("{} of {} readings were taken after gc had freed something", freed, kernel.counts.len());
    assert!(twin.counters.get(Counter::Drop) == 0 && kernel.counters.total(Counter::Drop) == Some(0));
}
