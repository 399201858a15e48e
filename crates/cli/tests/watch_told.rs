//! Who is told by `plimsoll watch`, whatever happens to it or to them. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;
#[path = "support/trouble.rs"]
mod trouble;

use std::fs;

use support::watching::{Daemon, Webhook, await_readings, await_that, figure, get};
use trouble::Troubled;

/// What a webhook was told, in its order.
fn states(webhook: &Webhook) -> Vec<String> {
    webhook.notices().iter().map(|notice| notice["state"].as_str().unwrap().to_string()).collect()
}

fn await_states(webhook: &Webhook, daemon: &Daemon, states: &[&str]) {
    let what = format!("{states:?}: {:#?}", daemon.running.said());
    await_that(&what, || self::states(webhook).len() >= states.len());
    assert_eq!(self::states(webhook), states, "{what} {:#?}", webhook.notices());
}

/// Ends a daemon by a signal, once it has written down that nobody waits for a word: else that one is told twice.
fn end_by(daemon: &mut Daemon, signal: &str) {
    let ledger = daemon.state_dir().join("told.jsonl");
    await_that("what was told to be written down", || !fs::read_to_string(&ledger).unwrap().contains("waiting"));
    daemon.running.end_by(signal);
}

#[test]
fn a_trouble_that_ends_while_the_daemon_is_down_is_told_to_be_over() {
    let place = Troubled::not_yet();
    let webhook = Webhook::begin(&place.0);
    let words = ["--webhook", &webhook.url];
    let mut daemon = Daemon::begin(&place.0, &words);
    place.begin();
    await_states(&webhook, &daemon, &["raised"]);
    end_by(&mut daemon, "-KILL");
    place.end();
    let daemon = Daemon::begin(&place.0, &words);
    await_states(&webhook, &daemon, &["raised", "resolved"]);
    let [raised, resolved] = &webhook.notices()[..] else { panic!("{:#?}", webhook.notices()) };
    assert_eq!(raised["began_at"], resolved["began_at"]);
}

#[test]
fn a_trouble_that_goes_on_over_restarts_is_told_once() {
    let place = Troubled::not_yet();
    let webhook = Webhook::begin(&place.0);
    let words = ["--webhook", &webhook.url];
    let mut daemon = Daemon::begin(&place.0, &words);
    place.begin();
    await_states(&webhook, &daemon, &["raised"]);
    for signal in ["-KILL", "-TERM"] {
        end_by(&mut daemon, signal);
        daemon = Daemon::begin(&place.0, &words);
        // More than a warning has to stay, and than one has to stay away.
        await_readings(&place.0, 8.0);
        assert_eq!(states(&webhook), ["raised"], "{:#?}", daemon.running.said());
    }
    place.end();
    await_states(&webhook, &daemon, &["raised", "resolved"]);
}

#[test]
fn without_a_file_nothing_is_kept() {
    let place = Troubled::not_yet();
    let webhook = Webhook::begin(&place.0);
    let words = ["--webhook", &webhook.url, "--no-history-file"];
    let mut daemon = Daemon::begin(&place.0, &words);
    place.begin();
    await_states(&webhook, &daemon, &["raised"]);
    daemon.running.end_by("-TERM");
    assert!(!daemon.state_dir().join("told.jsonl").exists());
    let daemon = Daemon::begin(&place.0, &words);
    await_states(&webhook, &daemon, &["raised", "raised"]);
}

#[test]
fn what_waits_at_the_end_is_tried_once_more_and_else_told_after_the_next_start() {
    let place = Troubled::not_yet();
    let webhook = Webhook::begin(&place.0);
    let words = ["--webhook", &webhook.url];
    webhook.answer_with("503 Service Unavailable");
    let mut daemon = Daemon::begin(&place.0, &words);
    place.begin();
    daemon.running.await_line("cannot be told: it answered 503", 1);
    webhook.answer_with("200 OK");
    assert!(daemon.running.end_by("-TERM").success());
    // It came twice, once in vain.
    assert_eq!(states(&webhook), ["raised", "raised"], "{:#?}", daemon.running.said());

    webhook.answer_with("503 Service Unavailable");
    let mut daemon = Daemon::begin(&place.0, &words);
    place.end();
    daemon.running.await_line("cannot be told: it answered 503", 1);
    assert!(daemon.running.end_by("-TERM").success());
    daemon.running.await_line("that could not be told: 1; they are told after the next start", 1);
    let before = states(&webhook).len();

    // And once more, by one that is killed.
    let mut daemon = Daemon::begin(&place.0, &words);
    daemon.running.await_line("cannot be told: it answered 503", 1);
    daemon.running.end_by("-KILL");
    webhook.answer_with("200 OK");
    let daemon = Daemon::begin(&place.0, &words);
    await_that(&format!("the end: {:#?}", daemon.running.said()), || states(&webhook).len() >= before + 2);
    assert_eq!(states(&webhook)[2..].iter().filter(|state| *state != "resolved").count(), 0);
    let told = "plimsoll_notices_total{target_kind=\"webhook\",outcome=\"told\"}";
    await_that("it to be counted", || get(&place.0, "/metrics").and_then(|text| figure(&text, told)) == Some(1.0));
}

#[test]
fn what_waited_for_a_target_that_is_configured_no_more_is_said_to_be_dropped() {
    let place = Troubled::not_yet();
    let webhook = Webhook::begin(&place.0);
    webhook.answer_with("503 Service Unavailable");
    let mut daemon = Daemon::begin(&place.0, &["--webhook", &webhook.url]);
    place.begin();
    daemon.running.await_line("cannot be told: it answered 503", 1);
    assert!(daemon.running.end_by("-TERM").success());
    let daemon = Daemon::begin(&place.0, &[]);
    daemon.running.await_line("is not told any more; notices that waited for it are dropped: 1", 1);
}

#[test]
fn what_makes_no_sense_of_what_was_told_is_said_and_no_more() {
    let place = Troubled::not_yet();
    let webhook = Webhook::begin(&place.0);
    let words = ["--webhook", &webhook.url];
    let mut daemon = Daemon::begin(&place.0, &words);
    place.begin();
    await_states(&webhook, &daemon, &["raised"]);
    end_by(&mut daemon, "-KILL");
    let ledger = daemon.state_dir().join("told.jsonl");
    let told = fs::read(&ledger).unwrap();
    fs::write(&ledger, &told[..told.len() / 3]).unwrap();
    let mut daemon = Daemon::begin(&place.0, &words);
    daemon.running.await_line("1 lines make no sense", 1);
    await_states(&webhook, &daemon, &["raised", "raised"]);
    assert!(daemon.running.end_by("-TERM").success());
    let daemon = Daemon::begin(&place.0, &words);
    await_readings(&place.0, 1.0);
    assert!(daemon.running.said().iter().all(|line| !line.contains("no sense")), "{:#?}", daemon.running.said());
}

#[test]
fn a_refusal_is_said_and_counted_and_blocks_nothing() {
    let place = Troubled::not_yet();
    let webhook = Webhook::begin(&place.0);
    webhook.answer_with("404 Not Found");
    let daemon = Daemon::begin(&place.0, &["--webhook", &webhook.url]);
    place.begin();
    daemon.running.await_line("does not take a notice, and is not told it again: it answered 404", 1);
    webhook.answer_with("200 OK");
    place.end();
    await_states(&webhook, &daemon, &["raised", "resolved"]);
    let metric = |name: &str| {
        let labels = name.replace('(', "{target_kind=\"webhook\"").replace(')', "}");
        get(&place.0, "/metrics").and_then(|text| figure(&text, &labels))
    };
    let refused = "plimsoll_notices_total(,outcome=\"refused\")";
    let told = "plimsoll_notices_total(,outcome=\"told\")";
    await_that("both to be counted", || metric(refused) == Some(1.0) && metric(told) == Some(1.0));
    assert_eq!(metric("plimsoll_notices_total(,outcome=\"dropped\")"), Some(0.0));
    assert_eq!(metric("plimsoll_notices_waiting()"), Some(0.0));
}
