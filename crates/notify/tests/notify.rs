//! What is told, to whom, and over which connection.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_model::{FindingId, Severity, Untrusted};
use plimsoll_notify::{News, Notifier, Outcome, Target};
use plimsoll_watch::alerts::{Alert, FirstStep, Notice, Trouble};

const PATIENCE: Duration = Duration::from_secs(30);

/// A request that came, and by which connection.
#[derive(Debug)]
struct Came {
    by: SocketAddr,
    line: String,
    body: String,
}

/// Answers each request with a status.
fn server(status: &'static str) -> (SocketAddr, Receiver<Came>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, came) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let sender = sender.clone();
            thread::spawn(move || answer(stream.unwrap(), status, &sender));
        }
    });
    (address, came)
}

fn answer(stream: TcpStream, status: &str, sender: &Sender<Came>) {
    let by = stream.peer_addr().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
            if header == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
        if sender.send(Came { by, line: line.trim().to_string(), body: String::from_utf8(body).unwrap() }).is_err() {
            return;
        }
    }
}

fn alert(severity: Severity) -> Alert {
    Alert {
        trouble: Trouble { finding: FindingId::TableFull, namespace: Some("host".to_string()) },
        severity,
        began_at: 1_795_670_766.0,
        title: "the table is full".to_string(),
        meaning: "new flows are refused".to_string(),
        first_step: Some(FirstStep { action: "make room".to_string(), command: Some("plimsoll relieve".to_string()) }),
    }
}

fn raised() -> News {
    News { raised: vec![alert(Severity::Critical)], notices: vec![Notice::Raised(alert(Severity::Critical))] }
}

fn resolved() -> News {
    News {
        raised: Vec::new(),
        notices: vec![Notice::Resolved { alert: alert(Severity::Critical), at: 1_795_670_866.0 }],
    }
}

type Log = Arc<Mutex<Vec<String>>>;

fn begin(target: Target) -> (Notifier, Log) {
    let log = Log::default();
    let told = Arc::clone(&log);
    let note = move |outcome: Outcome<'_>| {
        told.lock().unwrap().push(match outcome {
            Outcome::Recovered(target) => format!("recovered {target}"),
            Outcome::Failed(target, error) => format!("failed {target}: {error}"),
            Outcome::GivenUp(target, number) => format!("given up {target}: {number}"),
        });
    };
    let note: Arc<dyn Fn(Outcome<'_>) + Send + Sync> = Arc::new(note);
    (Notifier::begin(vec![target], &Untrusted::from("web-1"), &note).unwrap(), log)
}

#[test]
fn alertmanager_is_told_over_the_connection_that_was_opened_before() {
    let (address, came) = server("200 OK");
    let (notifier, log) = begin(Target::Alertmanager(format!("http://{address}/")));
    // It is opened before there is anything to tell.
    let opened = came.recv_timeout(PATIENCE).unwrap();
    assert_eq!(opened.line, "HEAD /api/v2/alerts HTTP/1.1");
    notifier.tell(&raised());
    let there = came.recv_timeout(PATIENCE).unwrap();
    notifier.tell(&resolved());
    let gone = came.recv_timeout(PATIENCE).unwrap();
    let connections: BTreeSet<SocketAddr> = [opened.by, there.by, gone.by].into();
    assert_eq!(connections.len(), 1, "it was kept");

    assert_eq!(there.line, "POST /api/v2/alerts HTTP/1.1");
    let alerts: serde_json::Value = serde_json::from_str(&there.body).unwrap();
    assert_eq!(alerts[0]["labels"]["finding"], "table-full");
    assert_eq!(alerts[0]["labels"]["instance"], "web-1");
    assert_eq!(alerts[0]["labels"]["severity"], "critical");
    assert_eq!(alerts[0]["startsAt"], "2026-11-26T05:26:06Z");
    assert!(
        alerts[0]["annotations"]["description"].as_str().unwrap().contains("First: make room (`plimsoll relieve`)")
    );
    let alerts: serde_json::Value = serde_json::from_str(&gone.body).unwrap();
    assert_eq!(alerts[0]["endsAt"], "2026-11-26T05:27:46Z");
    assert!(log.lock().unwrap().is_empty());
}

#[test]
fn a_webhook_gets_each_notice_once() {
    let (address, came) = server("204 No Content");
    let (notifier, _log) = begin(Target::Webhook(format!("http://{address}/hook?key=x")));
    assert_eq!(came.recv_timeout(PATIENCE).unwrap().line, "HEAD /hook?key=x HTTP/1.1");
    notifier.tell(&raised());
    // There still, and no news.
    notifier.tell(&News { notices: Vec::new(), ..raised() });
    notifier.tell(&resolved());
    for state in ["raised", "resolved"] {
        let notice: serde_json::Value = serde_json::from_str(&came.recv_timeout(PATIENCE).unwrap().body).unwrap();
        assert_eq!(notice["schema"], "plimsoll.notice/1");
        assert_eq!(notice["state"], state);
        assert!(notice["text"].as_str().unwrap().contains("web-1: the table is full"));
    }
}

#[test]
fn what_cannot_be_told_is_said_once_and_names_no_secret() {
    let (address, came) = server("500 Internal Server Error");
    let (notifier, log) = begin(Target::Webhook(format!("http://{address}/secret")));
    came.recv_timeout(PATIENCE).unwrap();
    notifier.tell(&raised());
    came.recv_timeout(PATIENCE).unwrap();
    notifier.tell(&resolved());
    let until = Instant::now() + PATIENCE;
    while log.lock().unwrap().is_empty() && Instant::now() < until {
        thread::yield_now();
    }
    let log = log.lock().unwrap().clone();
    let [failed] = &log[..] else { panic!("{log:#?}") };
    assert!(failed.starts_with(&format!("failed webhook http://{address}: ")) && failed.contains("500"), "{failed}");
    assert!(!failed.contains("secret"));
}

#[test]
fn a_command_gets_the_document_and_no_shell_is_between() {
    let folder = std::env::temp_dir().join(format!("plimsoll-notify-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (program, out) = (folder.join("tell"), folder.join("out"));
    fs::write(&program, "#!/bin/sh\ncat >\"$1.new\"\nmv \"$1.new\" \"$1\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let words = [program, out.clone()].map(|word| word.to_str().unwrap().to_string());
    let (notifier, log) = begin(Target::Command([&words[..], &["$(reboot); x".to_string()]].concat()));
    notifier.tell(&raised());
    let until = Instant::now() + PATIENCE;
    while !out.exists() {
        assert!(Instant::now() < until, "{:#?}", log.lock().unwrap());
        thread::yield_now();
    }
    let notice: serde_json::Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!(notice["finding"], "table-full");
    fs::remove_dir_all(&folder).unwrap();

    let (notifier, log) = begin(Target::Command(vec!["/nowhere/at-all".to_string()]));
    notifier.tell(&raised());
    while log.lock().unwrap().is_empty() {
        assert!(Instant::now() < until);
        thread::yield_now();
    }
    assert!(log.lock().unwrap()[0].contains("/nowhere/at-all: No such file"), "{:?}", log.lock().unwrap());
}
