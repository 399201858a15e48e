//! What is told, to whom, and over which connection.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use plimsoll_model::Severity;
use plimsoll_notify::{News, Target};
use plimsoll_watch::alerts::Notice;
use support::{NOW, Server, alert, await_that, begin, raised, resolved, telling, there};

#[test]
fn alertmanager_is_told_over_the_connection_that_was_opened_before() {
    let server = Server::with("200 OK");
    let (notifier, said) = begin(vec![Target::Alertmanager(format!("http://{}/", server.address))]);
    // It is opened before there is anything to tell.
    let opened = server.next();
    assert_eq!(opened.line, "HEAD /api/v2/alerts HTTP/1.1");
    notifier.tell(&raised());
    let there = server.next();
    notifier.tell(&resolved());
    let gone = server.next();
    let connections: BTreeSet<SocketAddr> = [opened.by, there.by, gone.by].into();
    assert_eq!(connections.len(), 1, "it was kept");

    assert_eq!(there.line, "POST /api/v2/alerts HTTP/1.1");
    let alerts = there.json();
    assert_eq!(alerts[0]["labels"]["finding"], "table-full");
    assert_eq!(alerts[0]["labels"]["instance"], "web-1");
    assert_eq!(alerts[0]["labels"]["severity"], "critical");
    assert_eq!(alerts[0]["startsAt"], "2026-11-26T05:26:06Z");
    assert!(
        alerts[0]["annotations"]["description"].as_str().unwrap().contains("First: make room (`plimsoll relieve`)")
    );
    let alerts = gone.json();
    assert_eq!(alerts[0]["endsAt"], "2026-11-26T05:27:46Z");
    assert!(said.all().is_empty());
}

#[test]
fn alertmanager_is_told_the_end_of_one_severity_with_the_other() {
    let server = Server::with("200 OK");
    let (notifier, _said) = begin(vec![server.alertmanager()]);
    let of = |severity, notices| News { raised: vec![alert(severity)], notices, at: NOW };
    let told = |news| {
        notifier.tell(&news);
        let alerts = server.next_post().json();
        let of = |alert: &serde_json::Value| {
            let ends_at = alert["endsAt"].as_str().unwrap();
            let is_over = ends_at == "2026-11-26T05:26:40Z";
            format!("{}{}", alert["labels"]["severity"].as_str().unwrap(), if is_over { " is over" } else { "" })
        };
        alerts.as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let (warning, critical) = (alert(Severity::Warning), alert(Severity::Critical));
    assert_eq!(told(of(Severity::Warning, vec![Notice::Raised(warning)])), ["warning"]);
    let risen = of(Severity::Critical, vec![Notice::Raised(critical)]);
    assert_eq!(told(risen), ["critical", "warning is over"]);
    let fallen = of(Severity::Warning, Vec::new());
    assert_eq!(told(fallen), ["warning", "critical is over"]);
}

#[test]
fn a_webhook_gets_each_notice_once() {
    let server = Server::with("204 No Content");
    let (notifier, _said) = begin(vec![Target::Webhook(format!("http://{}/hook?key=x", server.address))]);
    assert_eq!(server.next().line, "HEAD /hook?key=x HTTP/1.1");
    notifier.tell(&raised());
    notifier.tell(&there());
    notifier.tell(&resolved());
    for state in ["raised", "resolved"] {
        let notice = server.next().json();
        assert_eq!(notice["schema"], "plimsoll.notice/1");
        assert_eq!(notice["state"], state);
        assert!(notice["text"].as_str().unwrap().contains("web-1: the table is full"));
    }
    await_that("both to be counted", || telling(&notifier).told == 2);
    assert_eq!(telling(&notifier).waiting, 0);
}

#[test]
fn what_cannot_be_told_is_said_once_and_names_no_secret() {
    let server = Server::with("500 Internal Server Error");
    let (notifier, said) = begin(vec![Target::Webhook(format!("http://{}/secret", server.address))]);
    server.next();
    notifier.tell(&raised());
    server.next();
    notifier.tell(&resolved());
    let failed = said.await_line("failed");
    assert_eq!(said.all().len(), 1);
    assert!(failed.starts_with(&format!("failed webhook http://{}: ", server.address)), "{failed}");
    assert!(failed.contains("500") && !failed.contains("secret"), "{failed}");
    assert_eq!(telling(&notifier).waiting, 2);
}

#[test]
fn a_command_gets_the_document_and_no_shell_is_between() {
    let folder = tempfile::tempdir().unwrap();
    let [program, out] = ["tell", "out"].map(|name| folder.path().join(name));
    fs::write(&program, "#!/bin/sh\ncat >\"$1.new\"\nmv \"$1.new\" \"$1\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let words = [program, out.clone()].map(|word| word.to_str().unwrap().to_string());
    let (notifier, said) = begin(vec![Target::Command([&words[..], &["$(reboot); x".to_string()]].concat())]);
    notifier.tell(&raised());
    await_that(&format!("the document: {:?}", said.all()), || out.exists());
    let notice: serde_json::Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!(notice["finding"], "table-full");

    let (notifier, said) = begin(vec![Target::Command(vec!["/nowhere/at-all".to_string()])]);
    notifier.tell(&raised());
    assert!(said.await_line("failed").contains("/nowhere/at-all: No such file"));
}
