//! How fast simulated time passes, and how much memory a simulation takes: 10,000 new connections a second with nine packets each,
//! or as many queries with two. Each case runs in a process of its own, whose highest memory the kernel tells.
//!
//! What is timed is the processor's time of the thread; of a capture, which one thread reads and another plays, the time by the wall
//! clock.
//!
//! `cargo bench -p plimsoll-simulate`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a bench fails by it")]

#[path = "instructions/pcap.rs"]
mod pcap;
#[path = "../tests/support/recording.rs"]
mod recording;
#[path = "../tests/support/mod.rs"]
mod support;

use std::fs::File;
use std::io::BufWriter;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::process::Command;
use std::time::Duration;

use pcap::Replayed;
use plimsoll_model::{Sysctl, TcpState, Timeout};
use plimsoll_recording::{End, IdleGap, Life, TableReading};
use plimsoll_scenario::{Scenario, Size};
use plimsoll_simulate::{Datagram, Datagrams, Replay, ReplayOptions, Setup, Workload, run, sweep};
use plimsoll_twin::packet::{Content, Packet};
use plimsoll_twin::parse::{self, Checksums};
use plimsoll_twin::{Arrival, Capabilities, NoRules, Twin};
use recording::{FIN_WAIT, LAST_ACK, TIME_WAIT, at, connection, ends, gap, options, readings, then};
use rustix::time::{ClockId, clock_gettime};
use support::{Record, queries, requests};
use tempfile::NamedTempFile;

struct Case {
    name: &'static str,
    secs: u32,
    limit_and_buckets: u32,
    time_wait_secs: u32,
    by: By,
}

enum By {
    Scenario,
    /// A scenario of queries over UDP, of two packets each.
    Queries,
    /// The same packets, made beforehand, and nothing but the twin.
    TwinAlone,
    /// A file.
    Capture,
    /// Lives of as many requests.
    Lives,
    /// Lives of 100,000 connections that are silent for some minutes now and then.
    Idle,
}

const CASES: [Case; 9] = [
    Case { name: "262,144 entries", secs: 180, limit_and_buckets: 262_144, time_wait_secs: 120, by: By::Scenario },
    Case { name: "2,097,152 entries", secs: 180, limit_and_buckets: 2_097_152, time_wait_secs: 120, by: By::Scenario },
    Case { name: "queries", secs: 180, limit_and_buckets: 2_097_152, time_wait_secs: 120, by: By::Queries },
    Case { name: "a capture", secs: 30, limit_and_buckets: 2_097_152, time_wait_secs: 120, by: By::Capture },
    Case {
        name: "few living of 1.2 million",
        secs: 120,
        limit_and_buckets: 262_144,
        time_wait_secs: 5,
        by: By::Scenario,
    },
    Case {
        name: "few living of 4.8 million",
        secs: 480,
        limit_and_buckets: 262_144,
        time_wait_secs: 5,
        by: By::Scenario,
    },
    Case {
        name: "its begin, the twin alone",
        secs: 30,
        limit_and_buckets: 262_144,
        time_wait_secs: 5,
        by: By::TwinAlone,
    },
    Case { name: "1.8 million lives", secs: 180, limit_and_buckets: 2_097_152, time_wait_secs: 120, by: By::Lives },
    Case { name: "100,000 idle lives", secs: 3600, limit_and_buckets: 262_144, time_wait_secs: 120, by: By::Idle },
];

fn main() {
    // `cargo bench` hands on `--bench`.
    if let Some(number) = std::env::args().nth(1).and_then(|argument| argument.parse::<usize>().ok()) {
        return case(number);
    }
    println!("{:<32}{:>12}{:>14}{:>12}{:>12}{:>14}", "", "× real time", "packets/s", "peak", "MiB", "bytes an entry");
    for number in 0..=CASES.len() {
        let status = Command::new(std::env::current_exe().unwrap()).arg(number.to_string()).status().unwrap();
        assert!(status.success());
    }
}

fn case(number: usize) {
    let Some(Case { name, secs, limit_and_buckets: limit, time_wait_secs, by }) = CASES.get(number) else {
        return sweeps();
    };
    let arriving = if matches!(by, By::Queries) { queries } else { requests };
    let scenario = arriving(*secs, 10_000);
    let mut setup = Setup::stock(Capabilities::LINUX_6_18, 1);
    setup.set(Sysctl::CAPACITY, *limit).unwrap();
    setup.set(Sysctl::BUCKETS, *limit).unwrap();
    setup.set("nf_conntrack_tcp_timeout_time_wait".parse().unwrap(), *time_wait_secs).unwrap();
    let began = time(ClockId::ThreadCPUTime);
    let replay = match by {
        By::TwinAlone => return twin_alone(name, &scenario, &setup),
        By::Scenario | By::Queries | By::Capture => None,
        By::Lives => Some(lives(*secs)),
        By::Idle => Some(idle(*secs)),
    };
    if let Some(replay) = &replay {
        println!("{:<32}{:>12.1} s to make ready, {} flows", "", time(ClockId::ThreadCPUTime) - began, replay.flows());
    }
    let capture = matches!(by, By::Capture).then(|| TemporaryCapture::of(&scenario));
    let workload = || match by {
        By::Lives | By::Idle => Workload::Replayed(replay.as_ref().unwrap()),
        By::Scenario | By::Queries | By::TwinAlone => {
            Workload::Scenario { scenario: &scenario, seed: 1, size: Size::default() }
        }
        By::Capture => Workload::Recorded(Box::new(capture.as_ref().unwrap().packets())),
    };
    let clock = if capture.is_some() { ClockId::Monotonic } else { ClockId::ThreadCPUTime };
    let (outcome, took) = best(clock, || run(workload(), &setup, &mut |_| ControlFlow::Continue(())).unwrap());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let highest = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = highest.trim().trim_end_matches(" kB").parse().unwrap();
    println!(
        "{name:<32}{:>12.1}{:>14.0}{:>12}{:>12}{:>14}",
        outcome.lasted.as_secs_f64() / took,
        outcome.packets as f64 / took,
        outcome.peak.occupancy,
        kib / 1024,
        kib * 1024 / u64::from(outcome.peak.occupancy.max(1)),
    );
    if let Some(capture) = &capture {
        let (packets, took) = best(clock, || {
            let (mut file, mut packets) = (capture.packets(), 0_u64);
            while file.next_datagram().is_some() {
                packets += 1;
            }
            packets
        });
        println!("{:<32}{:>12}{:>14.0}", "its reader alone", "", packets as f64 / took);
    }
}

/// How fast the twin takes a scenario's packets from memory, when nobody asks what becomes of them.
fn twin_alone(name: &str, scenario: &Scenario, setup: &Setup) {
    let mut record = Record::new(scenario, 1);
    let mut packets = Vec::new();
    while let Some(Datagram { at, bytes }) = record.next_datagram() {
        if let Some((tuple, segment)) = parse::segment(bytes, Checksums::Ignored) {
            packets.push((at, Packet::Flow { tuple, content: Content::Tcp(segment) }));
        }
    }
    let first = packets[0].0;
    let (last, took) = best(ClockId::ThreadCPUTime, || {
        let mut twin = Twin::new(setup.host);
        let place = twin.add_namespace(setup.settings.clone()).into();
        let (mut arrivals, mut verdicts) = (Vec::new(), Vec::new());
        let mut at = Duration::ZERO;
        for batch in packets.chunks(1 << 10) {
            arrivals.extend(batch.iter().map(|(time, packet)| Arrival {
                at: time.saturating_sub(first),
                place,
                packet: *packet,
            }));
            at = arrivals.last().unwrap().at;
            twin.pass_batch(&arrivals, &mut NoRules, &mut verdicts);
            arrivals.clear();
            verdicts.clear();
        }
        at
    });
    println!("{name:<32}{:>12.1}{:>14.0}", last.as_secs_f64() / took, packets.len() as f64 / took);
}

/// Settings one after the other, and as many at once as there are processors.
fn sweeps() {
    const SETTINGS: u32 = 8;
    let replay = lives(20);
    let setups: Vec<_> = (1..=SETTINGS)
        .map(|number| {
            let mut setup = Setup::stock(Capabilities::LINUX_6_18, 1);
            setup.set("nf_conntrack_tcp_timeout_time_wait".parse().unwrap(), 5 * number).unwrap();
            setup
        })
        .collect();
    let swept = |threads| {
        let before = [ClockId::Monotonic, ClockId::ProcessCPUTime].map(|clock| (clock, time(clock)));
        sweep(&|| Workload::Replayed(&replay), &setups, threads, &|_, _| ControlFlow::Continue(())).unwrap();
        before.map(|(clock, before)| time(clock) - before)
    };
    let all = std::thread::available_parallelism().unwrap();
    let [_, one_by_one] = swept(NonZeroUsize::MIN);
    let [lasts, at_once] = swept(all);
    println!(
        "a sweep of {SETTINGS} in {all} threads: {:.2} processors at work, {:.2} times the processor's time of one thread",
        at_once / lasts,
        at_once / one_by_one
    );
}

/// What a clock shows, in seconds.
fn time(clock: ClockId) -> f64 {
    Duration::try_from(clock_gettime(clock)).expect("no negative time").as_secs_f64()
}

/// What the quickest of some runs made, and its seconds.
fn best<T>(clock: ClockId, mut run: impl FnMut() -> T) -> (T, f64) {
    const RUNS: u32 = 3;
    let mut timed = || {
        let began = time(clock);
        let made = run();
        (made, time(clock) - began)
    };
    (1..RUNS).fold(timed(), |best, _| {
        let next = timed();
        if next.1 < best.1 { next } else { best }
    })
}

/// A file that is removed in the end.
struct TemporaryCapture(NamedTempFile);

impl TemporaryCapture {
    fn of(scenario: &Scenario) -> Self {
        let mut file = NamedTempFile::new().unwrap();
        pcap::write(&mut Record::new(scenario, 1), &mut BufWriter::new(&mut file)).unwrap();
        Self(file)
    }

    fn packets(&self) -> Replayed<File> {
        Replayed::new(self.0.reopen().unwrap())
    }
}

fn made(lives: impl Iterator<Item = Life>, gaps: impl Iterator<Item = IdleGap>, secs: f64) -> Replay {
    let readings = [0.0, secs].map(|secs| TableReading { at: at(secs), ..readings()[0].clone() });
    Replay::of(lives, gaps, readings, &ReplayOptions { most_flows: 4_000_000, ..options() }).unwrap()
}

fn lives(secs: u32) -> Replay {
    let life = |number: u64| {
        let begins = number as f64 / 10_000.0;
        let closes = then(then(connection(number, begins), begins + 0.06, FIN_WAIT), begins + 0.07, LAST_ACK);
        ends(then(closes, begins + 0.08, TIME_WAIT), begins + 120.0, End::Expired)
    };
    made((0..u64::from(secs) * 10_000).map(life), std::iter::empty(), secs.into())
}

/// One of a hundred is looked at.
fn idle(secs: u32) -> Replay {
    let held_by = Timeout::Tcp(TcpState::Established);
    let life = |number: u64| connection(number, number as f64 / 1_000.0);
    let gaps = (0..100_000).step_by(100).flat_map(|number| {
        let first = (number / 100 % 300) as f64 + 100.0;
        let gap = |from| IdleGap { weight: 100.0, ..gap(&life(number), held_by, from, from + 200.0) };
        (0..12).map(move |turn| gap(first + f64::from(turn) * 260.0)).collect::<Vec<_>>()
    });
    let ends_with_it = |number| ends(life(number), secs.into(), End::Open);
    made((0..100_000).map(ends_with_it), gaps, secs.into())
}
