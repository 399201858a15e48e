//! How fast simulated time passes, and how much memory a simulation takes: short connections, 10,000 new ones a second with
//! nine packets each. Each case runs in a process of its own, whose highest memory the kernel tells.
//!
//! `cargo bench -p plimsoll-simulate`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a bench fails by it")]

#[path = "../tests/support/recording.rs"]
mod recording;
#[path = "../tests/support/mod.rs"]
mod support;

use std::ops::ControlFlow;
use std::process::Command;
use std::time::Instant;

use plimsoll_model::{Sysctl, TcpState, Timeout};
use plimsoll_recording::{End, IdleGap, Life, TableReading};
use plimsoll_scenario::{Scenario, Size};
use plimsoll_simulate::{Replay, ReplayOptions, Setup, Workload, run};
use plimsoll_twin::Capabilities;
use recording::{FIN_WAIT, LAST_ACK, TIME_WAIT, at, connection, ends, gap, options, readings, then};
use support::Record;

struct Case {
    name: &'static str,
    secs: u32,
    limit_and_buckets: u32,
    time_wait_secs: u32,
    by: By,
}

enum By {
    Scenario,
    Record,
    /// Lives of as many requests.
    Lives,
    /// Lives of 100,000 connections that are silent for some minutes now and then.
    Idle,
}

const CASES: [Case; 7] = [
    Case { name: "262,144 entries", secs: 180, limit_and_buckets: 262_144, time_wait_secs: 120, by: By::Scenario },
    Case { name: "2,097,152 entries", secs: 180, limit_and_buckets: 2_097_152, time_wait_secs: 120, by: By::Scenario },
    Case { name: "the same, recorded", secs: 180, limit_and_buckets: 2_097_152, time_wait_secs: 120, by: By::Record },
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
    Case { name: "1.8 million lives", secs: 180, limit_and_buckets: 2_097_152, time_wait_secs: 120, by: By::Lives },
    Case { name: "100,000 idle lives", secs: 3600, limit_and_buckets: 262_144, time_wait_secs: 120, by: By::Idle },
];

fn main() {
    // `cargo bench` hands on `--bench`.
    if let Some(number) = std::env::args().nth(1).and_then(|argument| argument.parse::<usize>().ok()) {
        return case(number);
    }
    println!("{:<32}{:>12}{:>14}{:>12}{:>12}{:>14}", "", "× real time", "packets/s", "peak", "MiB", "bytes an entry");
    for number in 0..CASES.len() {
        let status = Command::new(std::env::current_exe().unwrap()).arg(number.to_string()).status().unwrap();
        assert!(status.success());
    }
}

fn case(number: usize) {
    let Case { name, secs, limit_and_buckets: limit, time_wait_secs, by } = &CASES[number];
    let scenario = scenario(*secs);
    let mut setup = Setup::stock(Capabilities::LINUX_6_18, 1);
    setup.set(Sysctl::CAPACITY, *limit).unwrap();
    setup.set(Sysctl::BUCKETS, *limit).unwrap();
    setup.set("nf_conntrack_tcp_timeout_time_wait".parse().unwrap(), *time_wait_secs).unwrap();
    let reads = Instant::now();
    let replay = match by {
        By::Scenario | By::Record => None,
        By::Lives => Some(lives(*secs)),
        By::Idle => Some(idle(*secs)),
    };
    if let Some(replay) = &replay {
        println!("{:<32}{:>12.1} s to make ready, {} flows", "", reads.elapsed().as_secs_f64(), replay.flows());
    }
    let workload = match by {
        By::Lives | By::Idle => Workload::Replayed(replay.as_ref().unwrap()),
        By::Scenario => Workload::Scenario { scenario: &scenario, seed: 1, size: Size::default() },
        By::Record => Workload::Recorded(Box::new(Record::new(&scenario, 1))),
    };
    let begin = Instant::now();
    let outcome = run(workload, &setup, &mut |_| ControlFlow::Continue(())).unwrap();
    let took = begin.elapsed().as_secs_f64();
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

fn scenario(secs: u32) -> Scenario {
    let text = format!(
        r#"
name = "speed"
title = "Short connections"
about = "10,000 new ones a second."
[play]
secs = {secs}
[[traffic]]
name = "requests"
per_sec = 10_000
clients = {{ in = "10.0.0.0/8", ports = "1024-65535" }}
servers = {{ in = "192.0.2.10", ports = 443 }}
script = "request"
[scripts.request]
rtt_ms = 20
packets = """
> syn
< syn-ack
> ack
> data 400
< data 1200
> ack
> fin
< fin
> ack
"""
[simulate]
"#
    );
    Scenario::parse("speed.toml", &text).unwrap()
}
