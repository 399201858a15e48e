//! `plimsoll watch --govern` on the real kernel: a table that fills has shorter timeouts, and they come back whatever ends the daemon.
//! Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;

use plimsoll_lab::{Kind, LabNamespace, entries};
use plimsoll_model::TcpState;
use support::watching::{Daemon, await_that, figure, get, status};

const TIME_WAIT: &str = "net/netfilter/nf_conntrack_tcp_timeout_time_wait";

fn limit() -> u32 {
    fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max").unwrap().trim().parse().unwrap()
}

fn time_wait(lab: &LabNamespace) -> u32 {
    lab.enter(|| fs::read_to_string(format!("/proc/sys/{TIME_WAIT}")).unwrap().trim().parse().unwrap()).unwrap()
}

#[test]
fn timeouts_shrink_while_the_table_fills_and_come_back_whoever_is_killed() {
    let lab = LabNamespace::tracking().unwrap();
    lab.set(TIME_WAIT, 120).unwrap();
    // Four fifths full, of connections that live: between 60 % and 120 % that is two thirds of the way left, in tenths.
    lab.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, limit() / 5 * 4)).unwrap();

    let mut daemon = Daemon::begin(&lab, &["--govern"]);
    status(&lab);
    await_that("the timeouts to shrink", || time_wait(&lab) == 72);
    daemon.running.await_line("governor: shrink", 1);
    let scale = format!("plimsoll_governor_scale{{netns=\"{}\"}}", lab.name());
    await_that("the scale", || get(&lab, "/metrics").and_then(|metrics| figure(&metrics, &scale)) == Some(0.6));
    daemon.running.end_by("-KILL");
    await_that("the watchdog", || time_wait(&lab) == 120);

    let mut daemon = Daemon::begin(&lab, &["--govern", "--govern-profile", "http-proxy"]);
    await_that("the timeouts to shrink", || time_wait(&lab) == 72);
    assert!(daemon.running.end_by("-TERM").success());
    assert_eq!(time_wait(&lab), 120);
    daemon.running.await_line("governor: restore", 1);
}

#[test]
fn what_is_governed_no_more_after_a_reload_is_not_told_of() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, 1000)).unwrap();
    let config = lab.folder().unwrap().join("watch.toml");
    fs::write(&config, "[govern]\n").unwrap();
    let daemon = Daemon::begin(&lab, &["--config", config.to_str().unwrap()]);
    let tells = || get(&lab, "/metrics").map(|metrics| metrics.contains("plimsoll_governor"));
    await_that("the governor to be told of", || tells() == Some(true));
    fs::write(&config, "").unwrap();
    daemon.running.signal("-HUP");
    daemon.running.await_line("read anew, and are in force", 1);
    await_that("it to be told of no more", || tells() == Some(false));
}

#[test]
fn without_being_asked_nothing_is_governed() {
    let lab = LabNamespace::tracking().unwrap();
    lab.set(TIME_WAIT, 120).unwrap();
    lab.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, limit() / 5 * 4)).unwrap();
    let daemon = Daemon::begin(&lab, &[]);
    let readings = || {
        let metrics = get(&lab, "/metrics").unwrap_or_default();
        assert!(!metrics.contains("plimsoll_governor"));
        figure(&metrics, "plimsoll_readings_total").unwrap_or(0.0)
    };
    await_that("four readings", || readings() >= 4.0);
    assert_eq!(time_wait(&lab), 120);
    // No journal: the history and what was told, alone.
    let names = fs::read_dir(daemon.state_dir()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let others: Vec<String> =
        names.filter(|name| !["history.jsonl", "told.jsonl"].iter().any(|own| name.starts_with(own))).collect();
    assert_eq!(others, Vec::<String>::new());
}
