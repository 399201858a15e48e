//! Server-sent events.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use plimsoll_web::{Limits, Server};
use support::{Running, await_that, open};

/// Subscribes, and reads the answer's headers.
fn subscribe(web: &Running) -> BufReader<TcpStream> {
    let mut stream = web.connect();
    write!(stream, "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut events = BufReader::new(stream);
    let head = lines_until_empty(&mut events);
    assert_eq!(head.first().map(String::as_str), Some("HTTP/1.1 200 OK"));
    assert!(head.contains(&"content-type: text/event-stream".to_owned()), "{head:?}");
    events
}

fn lines_until_empty(stream: &mut impl BufRead) -> Vec<String> {
    let lines = stream.lines().map(|line| line.unwrap());
    lines.take_while(|line| !line.is_empty()).collect()
}

#[test]
fn all_get_each_event_at_once() {
    let web = open(Limits::default());
    let mut all: Vec<_> = (0..4).map(|_| subscribe(&web)).collect();
    for number in 0..3 {
        web.site.hub.send("status", &format!("{{\"number\":{number}}}"));
        for events in &mut all {
            let event = lines_until_empty(events);
            // Before the event's lines stands its length, as chunks have it.
            assert_eq!(
                event.get(1..),
                Some(&["event: status".to_owned(), format!("data: {{\"number\":{number}}}")][..])
            );
            let mut chunk_end = String::new();
            events.read_line(&mut chunk_end).unwrap();
        }
    }
    web.get("/api/events", "").assert_status(503);
    web.assert_well();
}

#[test]
fn who_vanishes_is_forgotten() {
    let web = open(Limits::default());
    for _ in 0..20 {
        let events: Vec<_> = (0..4).map(|_| subscribe(&web)).collect();
        drop(events);
        await_that("the hub has room again", || {
            web.site.hub.send("status", "{}");
            web.site.hub.subscribers() == 0
        });
    }
}

#[test]
fn who_does_not_read_is_dropped() {
    let web = open(Limits { taking: Duration::from_millis(300), ..Limits::default() });
    let _unread = subscribe(&web);
    let large = "x".repeat(1 << 20);
    await_that("the hub has dropped it", || {
        web.site.hub.send("status", &large);
        web.site.hub.subscribers() == 0
    });
    web.assert_well();
}

#[test]
fn a_subscription_does_not_hold_up_the_end() {
    let web = open(Limits::default());
    let mut events = subscribe(&web);
    Server::end(web.server);
    let mut rest = String::new();
    // Cut off, by an end or a reset.
    let _ = events.read_line(&mut rest);
    assert_eq!(rest, "");
}
