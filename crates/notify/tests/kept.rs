//! What becomes of what waits: at the end, when targets change, and over a restart.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use plimsoll_model::Severity;
use plimsoll_notify::{News, Target};
use plimsoll_watch::Ledger;
use plimsoll_watch::alerts::Notice;
use support::{
    GONE_AT, NOW, PATIENCE, Server, alert, answer, await_that, begin, begin_with, raised, resolved, telling, there,
};

/// A server that takes nothing until it is told to.
fn unwilling() -> (Server, Arc<AtomicBool>) {
    let is_willing = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&is_willing);
    let server = Server::answering(move |_| {
        let status = if asked.load(Ordering::Relaxed) { "200 OK" } else { "503 Service Unavailable" };
        answer(status, "")
    });
    (server, is_willing)
}

/// A server that takes what comes, and does not answer.
fn silent() -> Server {
    Server::answering(|_| {
        std::thread::sleep(PATIENCE);
        answer("503 Service Unavailable", "")
    })
}

#[test]
fn at_the_end_what_waits_is_tried_once_more() {
    let (server, is_willing) = unwilling();
    let (mut notifier, said) = begin(vec![server.webhook()]);
    notifier.tell(&raised());
    notifier.tell(&resolved());
    said.await_line("failed");
    is_willing.store(true, Ordering::Relaxed);
    assert_eq!(notifier.end(PATIENCE), []);
    let states: Vec<_> = server.posts().iter().map(|came| came.json()["state"].clone()).collect();
    assert_eq!(states, ["raised", "raised", "resolved"]);
    assert_eq!(notifier.waiting()[&server.webhook().key()], []);
}

#[test]
fn at_the_end_what_cannot_be_told_is_known_and_kept() {
    let ((refusing, _), silent) = (unwilling(), silent());
    let targets = vec![refusing.webhook(), silent.webhook(), refusing.alertmanager(), silent.alertmanager()];
    let (mut notifier, said) = begin(targets.clone());
    notifier.tell(&raised());
    said.await_line(&format!("failed {}", refusing.webhook()));
    said.await_line(&format!("failed {}", refusing.alertmanager()));
    silent.next_post();
    silent.next_post();
    // Of each it is known at any time: how long is waited changes nothing.
    let each: Vec<_> = targets.into_iter().map(|target| (target, 1)).collect();
    assert_eq!(notifier.end(Duration::from_millis(100)), each);
    let waiting = notifier.waiting();
    assert_eq!(waiting[&silent.webhook().key()], raised().notices);
    assert_eq!(waiting[&refusing.webhook().key()], raised().notices);
}

#[test]
fn at_the_end_a_program_that_runs_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("echo $$ >{0}.new && mv {0}.new {0} && exec sleep 600", file.display());
    let command = Target::Command(["sh", "-c", &script].map(ToString::to_string).to_vec());
    let (mut notifier, said) = begin(vec![command.clone()]);
    notifier.tell(&raised());
    await_that(&format!("the program: {:?}", said.all()), || file.exists());
    let pid = fs::read_to_string(&file).unwrap().trim().to_string();
    assert!(Path::new("/proc").join(&pid).exists());
    assert_eq!(notifier.end(Duration::from_millis(100)), [(command, 1)]);
    assert!(said.await_line("failed").contains("was killed"));
    await_that("its end", || !Path::new("/proc").join(&pid).exists());
}

#[test]
fn what_waits_for_a_target_that_stays_waits_still_and_a_new_one_hears_what_is_there() {
    let ((stays, is_willing), (goes, _), new) = (unwilling(), unwilling(), Server::with("200 OK"));
    let (mut notifier, said) = begin(vec![goes.webhook(), stays.webhook()]);
    notifier.tell(&raised());
    said.await_line(&format!("failed {}", stays.webhook()));
    said.await_line(&format!("failed {}", goes.webhook()));

    let invited = notifier.invite(vec![stays.webhook(), new.webhook(), new.webhook()]).unwrap();
    notifier.adopt(invited);
    assert_eq!(said.all().last(), Some(&format!("removed {}: 1", goes.webhook())));
    let told = telling(&notifier);
    assert_eq!((told.dropped, told.waiting), (1, 1));
    let keys: Vec<String> = notifier.waiting().into_keys().collect();
    assert_eq!(keys, [stays.webhook().key()], "the new one has heard of nothing yet");

    is_willing.store(true, Ordering::Relaxed);
    notifier.tell(&there());
    notifier.tell(&resolved());
    for server in [&new, &stays] {
        let until_over: Vec<_> = std::iter::repeat_with(|| server.next_post().json()["state"].clone())
            .take(if server.address == new.address { 2 } else { 3 })
            .collect();
        assert_eq!(until_over[until_over.len() - 2..], ["raised", "resolved"]);
    }
    await_that("all to be counted", || telling(&notifier).told == 4);
    assert_eq!(goes.posts().len(), 1);
    assert!(new.posts().is_empty(), "a target that is named twice is told once");
}

#[test]
fn what_is_on_its_way_to_a_target_that_goes_is_counted() {
    let silent = silent();
    let (mut notifier, said) = begin(vec![silent.alertmanager()]);
    notifier.tell(&raised());
    silent.next_post();
    assert_eq!(telling(&notifier).waiting, 1);
    let invited = notifier.invite(Vec::new()).unwrap();
    notifier.adopt(invited);
    assert!(said.all().contains(&format!("removed {}: 1", silent.alertmanager())), "{:?}", said.all());
    assert_eq!((telling(&notifier).dropped, telling(&notifier).waiting), (1, 0));
}

#[test]
fn who_is_invited_and_not_adopted_hears_nothing() {
    let (before, invited) = (Server::with("200 OK"), Server::with("200 OK"));
    let (notifier, _said) = begin(vec![before.webhook()]);
    drop(notifier.invite(vec![invited.webhook()]).unwrap());
    notifier.tell(&raised());
    before.next_post();
    await_that("it to be counted", || telling(&notifier).told == 1);
    assert!(invited.posts().is_empty());
}

#[test]
fn what_an_earlier_run_left_is_told() {
    let (webhook, new, alertmanager) = (Server::with("200 OK"), Server::with("200 OK"), Server::with("200 OK"));
    let targets = vec![webhook.webhook(), new.webhook(), alertmanager.alertmanager()];
    let gone = Notice::Resolved { alert: alert(Severity::Critical), at: GONE_AT };
    let ledger = Ledger {
        told: vec![alert(Severity::Warning)],
        waiting: [
            (webhook.webhook().key(), vec![gone.clone()]),
            (alertmanager.alertmanager().key(), vec![gone]),
            ("webhook-of-another".to_string(), raised().notices),
            ("webhook-who-was-told-all".to_string(), Vec::new()),
        ]
        .into(),
    };
    let (notifier, said) = begin_with(targets, &ledger);
    assert_eq!(said.all(), ["forgotten webhook-of-another: 1"]);
    assert_eq!(webhook.next_post().json()["state"], "resolved");
    let alerts = alertmanager.next_post().json();
    assert_eq!((alerts.as_array().unwrap().len(), &alerts[0]["endsAt"]), (1, &"2026-11-26T05:27:46Z".into()));

    // It went on, and has become worse meanwhile.
    await_that("what was left to be settled", || notifier.waiting().values().all(Vec::is_empty));
    let news = News { at: NOW, ..raised() };
    assert_eq!(notifier.waiting_with(&news)[&webhook.webhook().key()], news.notices);
    assert!(!notifier.waiting().contains_key(&new.webhook().key()));
    notifier.tell(&news);
    assert_eq!(webhook.next_post().json()["severity"], "critical");
    assert_eq!(new.next_post().json()["severity"], "critical");
    let alerts = alertmanager.next_post().json();
    let severities: Vec<_> = alerts.as_array().unwrap().iter().map(|alert| &alert["labels"]["severity"]).collect();
    assert_eq!(severities, ["critical", "warning"]);
    assert_eq!(alerts[1]["endsAt"], "2026-11-26T05:26:40Z");
}
