//! A sweep runs as many settings at once as it has threads, and they share what they read.
//!
//! Each test is to be a process of its own, as cargo-nextest has it: what a process takes is looked at.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

#[path = "support/recording.rs"]
mod recording;
mod support;

use std::collections::HashSet;
use std::fs;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use plimsoll_model::Sysctl;
use plimsoll_simulate::{Replay, ReplayOptions, Setup, Workload, sweep};

use recording::{FIN_WAIT, LAST_ACK, TIME_WAIT, connection, options, readings, then};
use support::setup;

fn setups(count: u32) -> Vec<Setup> {
    (1..=count).map(|number| setup(&[("tcp_timeout_established", 100 * number)])).collect()
}

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

/// The first two runs wait for each other: one after the other, the first would wait in vain.
#[test]
fn settings_run_at_the_same_time() {
    let replay = recording::replay(&[connection(1, 1.0)], &[]);
    let (begun, changed) = (Mutex::new(HashSet::new()), Condvar::new());
    let meet = |number, _| {
        let mut begun = begun.lock().unwrap();
        begun.insert(number);
        changed.notify_all();
        let wait = changed.wait_timeout_while(begun, Duration::from_mins(1), |begun| begun.len() < 2).unwrap();
        assert!(!wait.1.timed_out(), "the other run has not begun");
        ControlFlow::Continue(())
    };
    sweep(&|| Workload::Replayed(&replay), &setups(4), threads(2), &meet).unwrap();
    assert_eq!(begun.lock().unwrap().len(), 4);
}

/// A recording of tens of megabytes, and tables of a few hundred kilobytes: four runs at once take far less than the recording.
#[test]
fn runs_share_the_recording() {
    const FLOWS: u64 = 200_000;
    let lives = (0..FLOWS).map(|number| {
        let secs = number as f64 / 1_000.0;
        let closes = then(then(connection(number, secs), secs + 0.1, FIN_WAIT), secs + 0.2, LAST_ACK);
        then(closes, secs + 0.3, TIME_WAIT)
    });
    let before = kib("VmRSS");
    let options = ReplayOptions { most_flows: FLOWS, ..options() };
    let replay = Replay::of(lives, std::iter::empty(), readings(), &options).unwrap();
    assert_eq!(replay.flows(), FLOWS);
    let recording = kib("VmRSS") - before;
    let mut setups = setups(4);
    for setup in &mut setups {
        setup.set(Sysctl::CAPACITY, 1_000).unwrap();
        setup.set(Sysctl::BUCKETS, 512).unwrap();
    }
    // From here on the highest is counted anew (proc_pid_clear_refs(5)).
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = kib("VmRSS");
    let outcomes =
        sweep(&|| Workload::Replayed(&replay), &setups, threads(4), &|_, _| ControlFlow::Continue(())).unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.flows == FLOWS));
    let taken = kib("VmHWM").saturating_sub(before);
    println!("a recording of {recording} KiB; four runs at once took {taken} KiB more");
    assert!(
        recording > 20_000 && taken < recording / 2,
        "{taken} KiB for four runs, {recording} KiB for the recording"
    );
}

/// What the kernel says of this process's memory.
fn kib(which: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}
