//! Settings of `plimsoll watch` that are read anew: all of them are in force, or none. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;
#[path = "support/trouble.rs"]
mod trouble;

use std::fs;
use std::path::PathBuf;

use plimsoll_lab::LabNamespace;
use support::watching::{Daemon, Webhook, await_that, curl, figure, get};
use trouble::Troubled;

/// What a daemon's settings are, in these tests.
struct Settings {
    port: u16,
    socket: PathBuf,
    textfile: PathBuf,
    webhook: String,
    more: String,
}

impl Settings {
    fn text(&self) -> String {
        let Self { port, socket, textfile, webhook, more } = self;
        let (socket, textfile) = (socket.display(), textfile.display());
        format!(
            "listen = [\"127.0.0.1:{port}\", \"unix:{socket}\"]\nuntracked = true\ntextfile = \"{textfile}\"\n{more}\n\
             [[notify]]\nwebhook = \"{webhook}\"\n"
        )
    }

    /// Whether these are in force.
    fn are_in_force(&self, lab: &LabNamespace) -> bool {
        let Self { port, socket, textfile, .. } = self;
        let by_port = curl(lab, &[&format!("http://127.0.0.1:{port}/healthz")]).is_some();
        let by_socket = curl(lab, &["--unix-socket", socket.to_str().unwrap(), "http://localhost/healthz"]).is_some();
        let rules = lab.run(&["nft", "list", "table", "inet", "plimsoll-watch"]).unwrap_or_default();
        by_port && by_socket && rules.contains(&port.to_string()) && textfile.exists()
    }

    /// Whether something of these is.
    fn are_partly_in_force(&self, lab: &LabNamespace) -> bool {
        let Self { port, socket, textfile, .. } = self;
        let by_port = curl(lab, &[&format!("http://127.0.0.1:{port}/healthz")]).is_some();
        let rules = lab.run(&["nft", "list", "table", "inet", "plimsoll-watch"]).unwrap_or_default();
        by_port || socket.exists() || rules.contains(&port.to_string()) || textfile.exists()
    }
}

#[test]
fn a_failed_reload_changes_nothing_and_the_next_one_works() {
    let place = Troubled::not_yet();
    let lab = &place.0;
    let folder = lab.folder().unwrap();
    let config = folder.join("watch.toml");
    let [told_before, told_after] = [Webhook::begin(lab), Webhook::begin(lab)];
    let settings = |name: &str, port, webhook: &Webhook| Settings {
        port,
        socket: folder.join(format!("{name}.sock")),
        textfile: folder.join(format!("{name}.prom")),
        webhook: webhook.url.clone(),
        more: String::new(),
    };
    let before = settings("before", 9754, &told_before);
    fs::write(&config, before.text()).unwrap();
    let daemon = Daemon::begin(lab, &["--config", config.to_str().unwrap()]);
    await_that("the first settings", || before.are_in_force(lab));

    let after = || settings("after", 9755, &told_after);
    let elsewhere = "listen = [\"192.0.2.1:9754\"]\n";
    let faults = [
        // The listeners, which are tried when what may fail before has not.
        (Settings { socket: "/nowhere/x.sock".into(), ..after() }.text(), "/nowhere/x.sock"),
        (Settings { more: "web_config = \"/nowhere/web.yml\"".to_string(), ..after() }.text(), "/nowhere/web.yml"),
        (Settings { textfile: "/nowhere/x.prom".into(), ..after() }.text(), "/nowhere/x.prom"),
        (Settings { more: "unconfined = true".to_string(), ..after() }.text(), "only at the next start"),
        (Settings { more: "[govern]\nstart = 2.0".to_string(), ..after() }.text(), "start"),
        (Settings { more: "nonsense = 1".to_string(), ..after() }.text(), "unknown field `nonsense`"),
        (elsewhere.to_string(), "192.0.2.1:9754"),
    ];
    for (number, (text, complaint)) in faults.iter().enumerate() {
        fs::write(&config, text).unwrap();
        daemon.running.signal("-HUP");
        daemon.running.await_line("what was in force stays so", number + 1);
        let said = daemon.running.said();
        assert!(said.last().unwrap().contains(complaint), "{complaint}: {said:#?}");
        // It is written after each reading.
        fs::remove_file(&before.textfile).unwrap();
        await_that(&format!("what was in force before {complaint:?}"), || before.are_in_force(lab));
        assert!(!after().are_partly_in_force(lab), "{complaint}");
    }
    place.begin();
    await_that("the first webhook to be told", || told_before.notices().len() == 1);
    assert_eq!(told_after.notices().len(), 0);

    // The same but for the fault.
    fs::write(&config, after().text()).unwrap();
    daemon.running.signal("-HUP");
    daemon.running.await_line("read anew, and are in force", 1);
    await_that("the other settings", || after().are_in_force(lab));
    await_that("the other webhook to be told what is there", || told_after.notices().len() == 1);
    assert!(!before.are_partly_in_force(lab));
    place.end();
    await_that("the other webhook to be told of the end", || told_after.notices().len() == 2);
    assert_eq!(told_before.notices().len(), 1);
}

#[test]
fn a_broken_web_configuration_and_another_address_at_once_leave_it_listening() {
    let place = Troubled::not_yet();
    let lab = &place.0;
    let folder = lab.folder().unwrap();
    let (config, web) = (folder.join("watch.toml"), folder.join("web.yml"));
    let settings = |port: u16| format!("listen = [\"127.0.0.1:{port}\"]\nweb_config = \"{}\"\n", web.display());
    let answers = |port: u16| curl(lab, &[&format!("http://127.0.0.1:{port}/api/status")]).is_some();
    fs::write(&web, "").unwrap();
    fs::write(&config, settings(9754)).unwrap();
    let daemon = Daemon::begin(lab, &["--config", config.to_str().unwrap()]);
    await_that("a reading", || answers(9754));

    fs::write(&web, "nonsense: 1\n").unwrap();
    fs::write(&config, settings(9755)).unwrap();
    daemon.running.signal("-HUP");
    daemon.running.await_line("what was in force stays so", 1);
    assert!(answers(9754) && !answers(9755), "{:#?}", daemon.running.said());

    fs::write(&web, "").unwrap();
    daemon.running.signal("-HUP");
    daemon.running.await_line("read anew, and are in force", 1);
    assert!(answers(9755) && !answers(9754), "{:#?}", daemon.running.said());
}

#[test]
fn listeners_move_to_addresses_that_overlap() {
    let place = Troubled::not_yet();
    let lab = &place.0;
    let folder = lab.folder().unwrap();
    let config = folder.join("watch.toml");
    fs::write(&config, "").unwrap();
    let daemon = Daemon::begin(lab, &["--config", config.to_str().unwrap()]);
    let answers = |address: &str| curl(lab, &[&format!("http://{address}/api/status")]).is_some();
    await_that("a reading", || answers("127.0.0.1:9754"));
    let moves = [
        ("0.0.0.0:9754", "127.0.0.2:9754", "[::1]:9754"),
        ("[::1]:9754", "[::1]:9754", "127.0.0.1:9754"),
        ("127.0.0.1:9755", "127.0.0.1:9755", "[::1]:9754"),
        ("127.0.0.1:9754", "127.0.0.1:9754", "127.0.0.1:9755"),
    ];
    for (number, (place, there, gone)) in moves.iter().enumerate() {
        fs::write(&config, format!("listen = [\"{place}\"]\n")).unwrap();
        daemon.running.signal("-HUP");
        daemon.running.await_line("read anew, and are in force", number + 1);
        assert!(answers(there) && !answers(gone), "{place}: {:#?}", daemon.running.said());
    }
}

#[test]
fn notices_wait_over_a_reload_and_those_of_a_target_that_is_gone_are_said_to_be_dropped() {
    let place = Troubled::not_yet();
    let lab = &place.0;
    let folder = lab.folder().unwrap();
    let config = folder.join("watch.toml");
    let [stays, goes] = [Webhook::begin(lab), Webhook::begin(lab)];
    stays.answer_with("503 Service Unavailable");
    goes.answer_with("503 Service Unavailable");
    let targets = |webhooks: &[&Webhook]| {
        let each = webhooks.iter().map(|webhook| format!("{{ webhook = \"{}\" }}", webhook.url));
        format!("notify = [{}]\n", each.collect::<Vec<_>>().join(", "))
    };
    fs::write(&config, targets(&[&goes, &stays])).unwrap();
    let daemon = Daemon::begin(lab, &["--config", config.to_str().unwrap()]);
    place.begin();
    daemon.running.await_line("cannot be told: it answered 503", 2);
    let notices = |what: &str| {
        get(lab, "/metrics").and_then(|text| figure(&text, &what.replace('(', "{target_kind=\"webhook\"")))
    };
    await_that("both to wait", || notices("plimsoll_notices_waiting(}") == Some(2.0));

    fs::write(&config, targets(&[&stays])).unwrap();
    daemon.running.signal("-HUP");
    daemon.running.await_line("is not told any more; notices that waited for it are dropped: 1", 1);
    let dropped = "plimsoll_notices_total(,outcome=\"dropped\"}";
    await_that("it to be counted", || notices(dropped) == Some(1.0));
    assert_eq!(notices("plimsoll_notices_waiting(}"), Some(1.0));
    stays.answer_with("200 OK");
    daemon.running.await_line("can be told again", 1);
    assert!(stays.notices().len() >= 2);
    let before = goes.notices().len();
    place.end();
    daemon.running.await_line("resolved timeout-risky", 1);
    await_that("the end to be told", || stays.notices().last().is_some_and(|notice| notice["state"] == "resolved"));
    assert_eq!(goes.notices().len(), before);
}
