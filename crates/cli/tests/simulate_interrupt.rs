//! `plimsoll simulate`, interrupted. No rights are needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Output, Stdio};

use plimsoll_recording::{Life, Sight};
use support::recorded::{Recorded, lives, rows, setting};
use support::{KERNEL, PLIMSOLL};

/// A simulation that would take hours, once it takes signals and has been at work for a while.
fn begin(arguments: &[&str]) -> Child {
    begin_any(&[&["founding-short-requests", "--for", "1d"], arguments, &KERNEL].concat())
}

fn begin_any(arguments: &[&str]) -> Child {
    let mut command = Command::new(PLIMSOLL);
    command.arg("simulate").args(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("plimsoll runs");
    let status = format!("/proc/{}/status", child.id());
    let takes_interrupts = || {
        let status = fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & 0b10 != 0
    };
    let stat = format!("/proc/{}/stat", child.id());
    let has_worked = || {
        let stat = fs::read_to_string(&stat).unwrap();
        // proc_pid_stat(5): user time is the 14th field, in hundredths of a second.
        stat.split_whitespace().nth(13).unwrap().parse::<u64>().unwrap() >= 10
    };
    while !(takes_interrupts() && has_worked()) {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
        std::thread::yield_now();
    }
    child
}

fn interrupt_once(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

fn interrupt(child: Child) -> Output {
    interrupt_once(&child);
    child.wait_with_output().unwrap()
}

#[test]
fn an_interrupt_gives_the_result_so_far_marked_as_partial() {
    for (format, mark) in [
        (&[][..], "PARTIAL: It was stopped at "),
        (&["--json"], "\"complete\": false"),
        (&["--csv"], ",false\n"),
        (&["--svg", "-"], ">PARTIAL, stopped at "),
        (&["--sweep", "nf_conntrack_max=1000,2000", "--max-utilization", "0.5"], "is not known: not all was simulated"),
    ] {
        let output = interrupt(begin(format));
        let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!((output.status.code(), stderr.as_str()), (Some(3), ""), "{format:?}");
        assert!(stdout.contains(mark), "{format:?}: {stdout}");
    }
}

/// Connections that talk for years, twice a second.
#[test]
fn an_interrupted_replay_tells_how_far_it_came() {
    const YEARS: f64 = 1e8;
    let busy = (1..=8).map(|number| Life { sight: Sight::Looks, ..rows::connection(number, 5.0) });
    let busy: Vec<_> = busy.map(|life| rows::ends(life, YEARS, plimsoll_recording::End::Open)).collect();
    let small = [setting("buckets", 1024), setting("tcp_timeout_established", 1)];
    let recorded = Recorded::new(small.into_iter().chain(support::recorded::counted(8)).chain(lives(&busy)));
    let output = interrupt(begin_any(&["--from", recorded.path()]));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{stdout}");
    for told in
        ["PARTIAL: It was stopped at ", "in force then: not known, since not all was simulated; the kernel counted 8.0"]
    {
        let shown = stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains(told), "{told}: {stdout}");
    }
    let output = interrupt(begin_any(&[recorded.path(), "--json"]));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("\"complete\": false") && stdout.contains("\"replayed_mean_occupancy\": null"), "{stdout}");
}

fn many_limits() -> String {
    let values: Vec<_> = (1000..1064).map(|value| value.to_string()).collect();
    format!("nf_conntrack_max={}", values.join(","))
}

/// One of them is begun for each CPU: with 64 some never are.
#[test]
fn of_an_interrupted_sweep_it_is_told_how_far_each_run_came() {
    let output = interrupt(begin(&["--sweep", &many_limits()]));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("  simulated  ") && text.contains(" of 1 d "), "{text}");
    if text.contains("not begun") {
        let row = text.lines().find(|line| line.contains("not begun")).unwrap();
        assert!(row.split("not begun").nth(1).unwrap().split_whitespace().all(|cell| cell == "-"), "{row}");
    }
    assert!(!text.contains("Nothing was dropped"), "{text}");
}

/// The result is more than a pipe holds, and nobody reads it.
#[test]
fn a_second_interrupt_ends_it_at_once() {
    let mut child = begin(&["--json", "--sweep", &many_limits()]);
    interrupt_once(&child);
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    interrupt_once(&child);
    assert_eq!(child.wait().unwrap().code(), Some(3));
}
