//! Memory stays flat. A process of its own: others would be counted too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;

use plimsoll_web::Limits;
use support::open;

/// What this process has resident, in KiB.
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn ten_thousand_scrapes_and_as_many_failures() {
    let web = open(Limits::default());
    let round = |number: usize| {
        let mut kept = BufReader::new(web.connect());
        for _ in 0..number {
            write!(kept.get_mut(), "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            let mut length = 0;
            loop {
                let mut line = String::new();
                kept.read_line(&mut line).unwrap();
                if let Some(value) = line.strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
            }
            kept.by_ref().take(length).read_to_end(&mut Vec::new()).unwrap();
        }
        for failure in 0..number {
            let mut stream = web.connect();
            let _ = match failure % 4 {
                0 => stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                1 => stream.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                2 => stream.write_all(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                _ => stream.write_all(&[0xff; 9000]),
            };
            let _ = stream.shutdown(Shutdown::Both);
            web.site.hub.send("status", "{}");
            // Whoever fails is quicker than who must answer: so that the queue of connections does not overflow, and those
            // that are refused a place do not wait for a second to be tried again.
            if failure % 32 == 31 {
                web.get("/script", "");
            }
        }
    };
    round(1000);
    let before = resident_kib();
    round(10_000);
    let after = resident_kib();
    assert!(after < before + 2048, "{before} KiB before, {after} KiB after");
}
