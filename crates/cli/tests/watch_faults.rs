//! `plimsoll watch` where things go wrong: it goes on, and its memory stays flat. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

#[path = "../../host/tests/support/names.rs"]
mod names;
mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use plimsoll_lab::{LabNamespace, mixed_entries};
use support::PLIMSOLL;
use support::watching::{ADDRESS, Daemon, Running, await_readings, await_that, figure, get, status};

/// What a daemon may grow by and still be called flat.
const FLAT_KIB: u64 = 4096;

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Namespaces that go with the test.
struct Many(Vec<String>);

impl Many {
    fn make(round: u32) -> Self {
        let names: Vec<String> = (0..100).map(|n| format!("{}-{round}-{n}", names::own("many"))).collect();
        batch("add", &names);
        Self(names)
    }
}

impl Drop for Many {
    fn drop(&mut self) {
        batch("del", &self.0);
    }
}

fn batch(verb: &str, names: &[String]) {
    let commands: Vec<String> = names.iter().map(|name| format!("ip netns {verb} {name}")).collect();
    let status = Command::new("sh").args(["-c", &commands.join("\n")]).status().unwrap();
    assert!(status.success());
}

#[test]
fn namespaces_come_and_go_by_the_hundred() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(mixed_entries(5000)).unwrap();
    let daemon = Daemon::begin(&lab, &[]);
    status(&lab);
    let mut before = 0;
    for round in 0..6 {
        let many = Many::make(round);
        await_that("a hundred namespaces", || {
            let metrics = get(&lab, "/metrics").unwrap_or_default();
            figure(&metrics, "plimsoll_namespaces") >= Some(100.0)
        });
        drop(many);
        await_readings(&lab, 2.0);
        if round == 2 {
            before = resident_kib(daemon.running.pid());
        }
    }
    let after = resident_kib(daemon.running.pid());
    assert!(after <= before + FLAT_KIB, "{before} KiB, then {after} KiB");
    let metrics = get(&lab, "/metrics").unwrap();
    assert!(!metrics.contains("plimsoll-many"), "what is gone is not told");
}

#[test]
fn ten_thousand_scrapes_in_a_row_cost_no_memory() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(mixed_entries(5000)).unwrap();
    let daemon = Daemon::begin(&lab, &[]);
    status(&lab);
    scrape(&lab, 1000);
    let before = resident_kib(daemon.running.pid());
    scrape(&lab, 10_000);
    let after = resident_kib(daemon.running.pid());
    assert!(after <= before + FLAT_KIB, "{before} KiB, then {after} KiB");
    let scrapes = figure(&get(&lab, "/metrics").unwrap(), "plimsoll_scrapes_total").unwrap();
    assert!(scrapes >= 11_000.0, "{scrapes}");
    await_readings(&lab, 2.0);
}

/// Asks so often for the metrics, over one connection.
fn scrape(lab: &LabNamespace, times: usize) {
    let ask = || {
        let mut stream = TcpStream::connect(ADDRESS).unwrap();
        let mut answer = Vec::new();
        let mut buffer = vec![0; 65_536];
        for _ in 0..times {
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            answer.clear();
            while !is_whole(&answer) {
                let read = stream.read(&mut buffer).unwrap();
                assert!(read > 0, "the connection ended");
                answer.extend_from_slice(&buffer[..read]);
            }
        }
    };
    lab.enter(ask).unwrap();
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    body.len() >= length.parse::<usize>().unwrap()
}

#[test]
fn a_full_disk_costs_the_file_and_not_the_watch() {
    let lab = LabNamespace::tracking().unwrap();
    let folder = lab.folder().unwrap();
    // In a mount namespace of its own, so that nothing is left of it. It is full after a few readings.
    let disk = folder.join("disk");
    fs::create_dir_all(&disk).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=8k,mode=0700 none {disk} && exec {PLIMSOLL} watch --interval 1s --state-dir {disk}/state --textfile {disk}/x.prom",
        disk = disk.display()
    );
    let running = Running::begin(&lab, &["unshare", "--mount", "sh", "-c", &script]);
    running.await_line("No space left on device", 1);
    await_readings(&lab, 5.0);
    let complaints = running.said().iter().filter(|line| line.contains("No space left")).count();
    assert!(complaints <= 2, "told again and again: {:#?}", running.said());
}
