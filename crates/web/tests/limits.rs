//! Clients that are slow, many, or gone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use plimsoll_web::Limits;
use support::{LARGE, PATIENCE, await_that, open};

/// Times short enough to be waited for.
fn short() -> Limits {
    let moment = Duration::from_millis(300);
    Limits { request: moment, idle: moment * 4, taking: moment, ..Limits::default() }
}

/// Reads until the server closes; how long that took.
fn until_closed(stream: &mut TcpStream) -> Duration {
    let since = Instant::now();
    let mut rest = Vec::new();
    if let Err(error) = stream.read_to_end(&mut rest) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "the server did not close within {PATIENCE:?}");
    }
    since.elapsed()
}

#[test]
fn half_a_request_is_waited_for_only_so_long() {
    let web = open(short());
    for half in ["G", "GET /metrics HTTP/1.1\r\n", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut stream = web.connect();
        stream.write_all(half.as_bytes()).unwrap();
        assert!(until_closed(&mut stream) >= Duration::from_millis(250));
    }
    web.assert_well();
}

#[test]
fn a_byte_now_and_then_does_not_help() {
    let web = open(short());
    let mut stream = web.connect();
    let mut writer = stream.try_clone().unwrap();
    let since = Instant::now();
    let dripping = std::thread::spawn(move || {
        while since.elapsed() < PATIENCE && writer.write_all(b"X").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
        since.elapsed()
    });
    until_closed(&mut stream);
    stream.shutdown(Shutdown::Both).ok();
    assert!(dripping.join().unwrap() < PATIENCE / 2);
}

#[test]
fn an_idle_connection_ends() {
    let web = open(short());
    let mut silent = web.connect();
    assert!(until_closed(&mut silent) >= Duration::from_secs(1));
    let mut kept = web.connect();
    write!(kept, "GET /script HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(until_closed(&mut kept) >= Duration::from_secs(1), "longer than a request is given");
}

#[test]
fn who_does_not_take_an_answer_is_cut_off() {
    let web = open(Limits { idle: PATIENCE * 2, ..short() });
    let mut stream = web.connect();
    write!(stream, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut first = [0; 16];
    stream.read_exact(&mut first).unwrap();
    // Taken a little now and then, the page would last for hours.
    let since = Instant::now();
    let mut taken = 0;
    let mut some = [0; 4096];
    while since.elapsed() < PATIENCE {
        match stream.read(&mut some) {
            Ok(0) | Err(_) => break,
            Ok(read) => taken += read,
        }
        if since.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    assert!(taken < LARGE, "all of it was sent");
    assert!(since.elapsed() < PATIENCE);
    web.assert_well();
}

#[test]
fn a_large_page_is_sent_whole_to_who_takes_it() {
    let web = open(short());
    assert_eq!(web.get("/large", "").body().len(), LARGE);
}

#[test]
fn two_hundred_at_once() {
    let web = open(Limits::default());
    let mut all: Vec<TcpStream> = (0..200).map(|_| web.connect()).collect();
    let statuses: Vec<String> = all
        .iter_mut()
        .map(|stream| {
            let _ = write!(stream, "GET /script HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let mut status = [0; 12];
            stream.read_exact(&mut status).unwrap();
            String::from_utf8_lossy(&status).into_owned()
        })
        .collect();
    let number = |wanted| statuses.iter().filter(|status| *status == wanted).count();
    assert_eq!((number("HTTP/1.1 200"), number("HTTP/1.1 503")), (32, 168), "one peer has half of the places");
    drop(all);
    await_that("there is room again", || web.get("/metrics", "").status() == Some(200));
}

#[test]
fn places_are_given_back() {
    let web = open(Limits { connections: 4, ..short() });
    for round in 0..50 {
        let half: Vec<TcpStream> = (0..2).map(|_| web.connect()).collect();
        for mut stream in &half {
            let _ = stream.write_all(if round % 2 == 0 {
                b"GET /met"
            } else {
                b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"
            });
        }
    }
    await_that("there is room again", || web.get("/metrics", "").status() == Some(200));
}

#[test]
fn ending_does_not_wait_for_clients() {
    let web = open(Limits::default());
    let _half = {
        let mut stream = web.connect();
        stream.write_all(b"GET /").unwrap();
        stream
    };
    let mut idle = web.connect();
    write!(idle, "GET /script HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut status = [0; 12];
    idle.read_exact(&mut status).unwrap();
    let since = Instant::now();
    web.server.end();
    assert!(since.elapsed() < Duration::from_secs(5));
    until_closed(&mut idle);
    assert!(TcpStream::connect(web.address).is_err());
}
