//! Requests as they should be, and as they should not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::io::{Read, Write};

use plimsoll_web::{Access, Limits};
use support::{Running, await_that, open, serve};

fn running() -> Running {
    open(Limits::default())
}

#[test]
fn a_page_has_its_bytes_and_headers() {
    let web = running();
    let page = web.get("/metrics", "");
    page.assert_status(200);
    assert_eq!(page.body().lines().count(), 1000);
    assert_eq!(page.header("content-length").unwrap(), page.body().len().to_string());
    assert_eq!(page.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(web.get("/script", "").header("cache-control"), Some("private, max-age=3600"));
}

#[test]
fn every_answer_is_guarded() {
    let web = running();
    for (path, status) in [("/metrics", 200), ("/nowhere", 404), ("/healthz", 503)] {
        let page = web.get(path, "");
        page.assert_status(status);
        assert_eq!(
            page.header("content-security-policy"),
            Some(
                "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            )
        );
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    }
}

#[test]
fn head_is_get_without_the_body() {
    let web = running();
    let page = web.get("/metrics", "");
    let head = web.ask(format!("HEAD /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", web.address));
    head.assert_status(200);
    assert_eq!(head.header("content-length"), page.header("content-length"));
    assert_eq!(head.body(), "");
}

#[test]
fn the_site_sees_query_and_accept() {
    let web = running();
    let echo = web.get("/echo?a=b&netns=net%3A%5B4026531840%5D", "Accept: application/openmetrics-text\r\n");
    assert_eq!(echo.body(), r#"Some("net:[4026531840]") application/openmetrics-text"#);
}

#[test]
fn nothing_but_get_and_head() {
    let web = running();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT", "PROPFIND"] {
        let target = if method == "CONNECT" { "example.org:443" } else { "/metrics" };
        let host = web.address;
        let refused = web.ask(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        if method == "CONNECT" {
            // Another host, by its line.
            refused.assert_status(421);
        } else {
            refused.assert_status(405);
            assert_eq!(refused.header("allow"), Some("GET, HEAD"));
        }
    }
}

#[test]
fn a_request_has_no_body() {
    let web = running();
    let host = web.address;
    web.ask(format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n\r\nhello")).assert_status(413);
    web.ask(format!(
        "GET /metrics HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    ))
    .assert_status(413);
    let mut endless =
        format!("POST /metrics HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000000\r\n\r\n").into_bytes();
    endless.resize(1 << 20, b'x');
    let refused = web.ask(&endless);
    // The answer, unless the reset that closing on unread bytes makes has overtaken it.
    assert!(matches!(refused.status(), Some(405) | None), "{refused:?}");
    web.assert_well();
}

#[test]
fn a_connection_is_kept() {
    let web = running();
    let mut stream = web.connect();
    for _ in 0..3 {
        write!(stream, "GET /script HTTP/1.1\r\nHost: {}\r\n\r\n", web.address).unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n1") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            bytes.extend(byte);
        }
        assert!(bytes.starts_with(b"HTTP/1.1 200"));
    }
}

#[test]
fn loopback_knows_its_names() {
    let web = running();
    let status =
        |host: &str| web.ask(format!("GET /script HTTP/1.1\r\n{host}Connection: close\r\n\r\n")).status().unwrap();
    assert_eq!(status("Host: localhost:9630\r\n"), 200);
    assert_eq!(status("Host: [::1]:9630\r\n"), 200);
    assert_eq!(status("Host: rebound.example:9630\r\n"), 421);
    assert_eq!(status("Host: \r\n"), 421);
    assert_eq!(status("Host: localhost\r\nHost: rebound.example\r\n"), 400);
    assert_eq!(status(""), 400);
    let absolute =
        web.ask("GET http://rebound.example/script HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    absolute.assert_status(421);
    web.ask("GET /script HTTP/1.0\r\n\r\n").assert_status(200);
}

#[test]
fn names_can_be_allowed() {
    let web = serve(Access { web_config: None, names: vec!["status.example.org".to_owned()] }, Limits::default());
    let status = |host| web.ask(format!("GET /script HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).status();
    assert_eq!(status("Status.Example.org:443"), Some(200));
    assert_eq!(status("other.example.org"), Some(421));
}

#[test]
fn what_is_no_request_is_refused() {
    let web = running();
    let host = web.address;
    web.ask("\r\n\r\nnonsense\r\n\r\n").assert_status(400);
    web.ask(format!("GET /\u{1} HTTP/1.1\r\nHost: {host}\r\n\r\n")).assert_status(400);
    web.ask(format!("GET / HTTP/9.9\r\nHost: {host}\r\n\r\n")).assert_status(400);
    web.ask(format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1\r\n\r\n")).assert_status(400);
    web.get("/metrics", &"X: 1\r\n".repeat(100)).assert_status(431);
    let long = web.get("/metrics", &format!("X: {}\r\n", "x".repeat(1 << 20)));
    assert!(matches!(long.status(), Some(431) | None), "{long:?}");
    let long = web.get(&format!("/{}", "x".repeat(1 << 20)), "");
    assert!(matches!(long.status(), Some(414 | 431) | None), "{long:?}");
    web.assert_well();
}

#[test]
fn noise_does_no_harm() {
    let web = running();
    let mut state = 7_u64;
    for length in 1..400 {
        let noise: Vec<u8> = (0..length)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                u8::try_from(state >> 56).unwrap()
            })
            .collect();
        let mut stream = web.connect();
        let _ = stream.write_all(&noise);
        drop(stream);
        // The same behind a beginning that is right.
        let mut stream = web.connect();
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ");
        let _ = stream.write_all(&noise);
    }
    await_that("it answers", || web.get("/metrics", "").status() == Some(200));
}
