//! `plimsoll simulate`, interrupted. No rights are needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Output, Stdio};

use support::{KERNEL, PLIMSOLL};

/// A simulation that would take hours, once it takes signals and has been at work for a while.
fn begin(arguments: &[&str]) -> Child {
    let mut command = Command::new(PLIMSOLL);
    command.args(["simulate", "founding-short-requests", "--for", "1d"]).args(arguments).args(KERNEL);
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
