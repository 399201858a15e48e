//! Who will not take a notice, who cannot now, and who takes too long.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use plimsoll_model::Severity;
use plimsoll_notify::News;
use plimsoll_watch::alerts::Notice;
use support::{NOW, PATIENCE, Server, alert, answer, await_that, begin, raised, resolved, telling, there};

#[test]
fn what_is_refused_is_not_tried_again_and_the_next_goes_on() {
    let server = Server::answering(|came| {
        if came.body.contains("raised") {
            answer("400 Bad Request", "no such field: \"host\"\n at /hook")
        } else {
            answer("200 OK", "")
        }
    });
    let (notifier, said) = begin(vec![server.webhook()]);
    notifier.tell(&raised());
    notifier.tell(&resolved());
    assert_eq!(
        [server.next_post(), server.next_post()].map(|came| came.json()["state"].clone()),
        ["raised", "resolved"]
    );
    let refused = said.await_line("refused");
    assert!(refused.ends_with("it answered 400: no such field: \"host\" at …"), "{refused}");
    said.await_line("recovered");
    let telling = telling(&notifier);
    assert_eq!((telling.told, telling.refused, telling.dropped, telling.waiting), (1, 1, 0, 0));
    assert!(server.posts().is_empty());
}

#[test]
fn nobody_is_told_whom_an_answer_names() {
    let elsewhere = Server::with("200 OK");
    let location = format!("307 Temporary Redirect\r\nlocation: http://{}/stolen", elsewhere.address);
    let server = Server::answering(move |_| answer(&location, ""));
    let (notifier, said) = begin(vec![server.webhook()]);
    notifier.tell(&raised());
    let refused = said.await_line("refused");
    assert!(refused.contains("307") && refused.contains("not followed"), "{refused}");
    notifier.tell(&resolved());
    await_that("the second refusal", || telling(&notifier).refused == 2);
    assert_eq!(server.posts().len(), 2);
    assert!(elsewhere.posts().is_empty());
}

#[test]
fn who_cannot_take_it_now_is_told_again() {
    let statuses = [
        "408 Request Timeout",
        "425 Too Early",
        "429 Too Many Requests\r\nretry-after: 1",
        "500 Internal Server Error",
        "503 Service Unavailable",
    ];
    let servers = statuses.map(|status| {
        let has_come = AtomicBool::new(false);
        Server::answering(move |_| {
            let status = if has_come.swap(true, Ordering::Relaxed) { "200 OK" } else { status };
            answer(status, "")
        })
    });
    let (notifier, said) = begin(servers.iter().map(Server::webhook).collect());
    notifier.tell(&raised());
    for server in &servers {
        let [first, second] = [server.next_post(), server.next_post()];
        assert_eq!(first.body, second.body);
    }
    await_that("all to be told", || telling(&notifier).told == 5);
    let refused = said.all().into_iter().filter(|line| line.starts_with("refused")).count();
    assert_eq!((refused, telling(&notifier).waiting), (0, 0));
}

#[test]
fn an_alertmanager_that_refuses_is_said_once_and_told_what_comes() {
    let server = Server::with("400 Bad Request");
    let (notifier, said) = begin(vec![server.alertmanager()]);
    for news in [raised(), resolved(), raised(), resolved()] {
        notifier.tell(&news);
        server.next_post();
    }
    await_that("all to be refused", || telling(&notifier).refused == 4);
    assert_eq!(said.all().len(), 1, "{:?}", said.all());
    // Nothing is there, and what was refused is not told again.
    notifier.tell(&News::default());
    assert_eq!(telling(&notifier).waiting, 0);
}

#[test]
fn of_too_many_that_wait_the_oldest_are_given_up_and_counted() {
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let is_first = Arc::new(AtomicBool::new(true));
    let server = Server::answering(move |_| {
        if is_first.swap(false, Ordering::Relaxed) {
            released.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
        answer("200 OK", "")
    });
    let (notifier, said) = begin(vec![server.webhook()]);
    let numbered = |number: u32| {
        let alert = plimsoll_watch::alerts::Alert { title: format!("number {number}."), ..alert(Severity::Critical) };
        News { raised: Vec::new(), notices: vec![Notice::Raised(alert)], at: NOW }
    };
    // A target that is new hears of what is there, which is nothing.
    notifier.tell(&News::default());
    notifier.tell(&numbered(0));
    server.next_post();
    for number in 1..=1099 {
        notifier.tell(&numbered(number));
    }
    assert_eq!(said.all(), [format!("overflowing webhook http://{}", server.address)]);
    let before = telling(&notifier);
    assert_eq!((before.dropped, before.waiting), (99, 1001));
    release.send(()).unwrap();
    assert!(server.next_post().body.contains("number 100."));
    await_that("the others to be told", || telling(&notifier).told == 1001);
    assert_eq!(said.all()[1..], [format!("given up webhook http://{}: 99", server.address)]);
    notifier.tell(&there());
    assert_eq!(telling(&notifier).dropped, 99);
}
