//! `plimsoll watch` on the real kernel, in namespaces of the test's own. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use plimsoll_lab::{Kind, LabNamespace, entries, mixed_entries};
use plimsoll_model::TcpState;
use support::watching::{
    ADDRESS, Daemon, PATIENCE, Running, Webhook, await_that, curl, figure, get, promtool_complains, status,
};
use support::{PLIMSOLL, plimsoll_in};

/// A namespace, and what daemons in it write, removed when dropped.
struct Place(LabNamespace);

impl Place {
    fn new() -> Self {
        Self(LabNamespace::tracking().unwrap())
    }

    fn of_host(&self, metrics: &str, name: &str) -> Option<f64> {
        figure(metrics, &format!("{name}{{netns=\"{}\"}}", self.0.name()))
    }
}

fn limit() -> u32 {
    fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max").unwrap().trim().parse().unwrap()
}

#[test]
fn metrics_say_what_a_check_says_and_promtool_has_no_complaint() {
    let place = Place::new();
    let lab = &place.0;
    lab.fill(mixed_entries(30_000)).unwrap();
    let daemon = Daemon::begin(lab, &["--compat-metrics", "--notify-command", "/bin/true"]);
    status(lab);
    let metrics = get(lab, "/metrics").unwrap();
    assert_eq!(promtool_complains(&metrics, &daemon.folder), "");
    let documented = include_str!("../../../docs/monitoring.md");
    for name in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(documented.contains(&format!("`{name}`")) || name.starts_with("node_nf_conntrack_stat_"), "{name}");
    }
    let open =
        curl(lab, &["-H", "Accept: application/openmetrics-text", &format!("http://{ADDRESS}/metrics")]).unwrap();
    assert!(open.ends_with("# EOF\n"));

    let check = plimsoll_in(lab, &["check", "--netns", "this", "--exact", "--interval", "0", "--json"]).json();
    let census = &support::namespace(&check, lab.name())["census"];
    for group in census["states"].as_array().unwrap() {
        let (key, seen) = (group["key"].as_str().unwrap(), group["seen"].as_f64().unwrap());
        let (protocol, state) = key.split_once(' ').unwrap_or((key, "-"));
        let labels = format!("{{netns=\"{}\",protocol=\"{protocol}\",state=\"{state}\"}}", lab.name());
        let of = |name: &str| figure(&metrics, &format!("{name}{labels}"));
        if seen < 500.0 {
            continue;
        }
        // The beginning of the table is a sample, of 2,000: its interval is at 95 %, and there are many states here.
        let (low, high) = (of("plimsoll_state_entries_low").unwrap(), of("plimsoll_state_entries_high").unwrap());
        let slack = (high - low) / 2.0;
        assert!(low - slack <= seen && seen <= high + slack, "{key}: {seen} is not within {low} to {high}");
        assert!((low..=high).contains(&of("plimsoll_state_entries").unwrap()), "{key}");
    }
    let entries = place.of_host(&metrics, "plimsoll_entries").unwrap();
    assert!((29_000.0..=30_200.0).contains(&entries), "{entries}");
    assert_eq!(figure(&metrics, "node_nf_conntrack_entries"), Some(entries));
    assert_eq!(place.of_host(&metrics, "plimsoll_entries_limit"), Some(f64::from(limit())));
    assert!(place.of_host(&metrics, "plimsoll_memory_bytes").unwrap() >= entries * 256.0);
}

#[test]
fn a_restart_goes_on_with_the_history_whoever_was_killed() {
    let place = Place::new();
    let lab = &place.0;
    lab.fill(mixed_entries(1000)).unwrap();
    let points = |history: &str| -> Vec<serde_json::Value> {
        let document: serde_json::Value = serde_json::from_str(history).unwrap();
        document["fine"]["points"].as_array().unwrap().clone()
    };
    let path = format!("/api/history?netns={}", lab.name());
    let history = || get(lab, &path).map(|history| points(&history)).unwrap_or_default();
    let mut daemon = Daemon::begin(lab, &[]);
    await_that("three readings", || history().len() >= 3);
    let before = history();
    daemon.running.end_by("-KILL");
    let _again = Daemon::begin(lab, &[]);
    await_that("the history", || history().len() > before.len());
    assert_eq!(history()[..before.len() - 1], before[..before.len() - 1]);
    assert!(get(lab, "/api/history?netns=nowhere").is_none());
}

#[test]
fn a_full_table_blinds_scrapes_by_tracked_connections_and_no_other_way() {
    let place = Place::new();
    let lab = &place.0;
    let folder = lab.folder().unwrap();
    let (socket, textfile) = (folder.join("watch.sock"), folder.join("plimsoll.prom"));
    let unix = format!("unix:{}", socket.display());
    let webhook = Webhook::begin(lab);
    let words =
        ["--listen", ADDRESS, "--listen", &unix, "--textfile", textfile.to_str().unwrap(), "--webhook", &webhook.url];
    let mut daemon = Daemon::begin(lab, &words);
    status(lab);

    // Entries that the kernel does not kill to make room; a few too many, of which the last are refused.
    lab.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, limit() + 10)).unwrap_err();
    await_that("the table to be full", || get(lab, "/healthz").is_none());

    let by_socket = || curl(lab, &["--unix-socket", socket.to_str().unwrap(), "http://localhost/metrics"]);
    let in_file = || fs::read_to_string(&textfile).ok();
    // What ends leaves the table, of which some is gone after ten seconds: that room is filled again.
    let mut next = limit() + 10;
    let mut keep_full = || {
        lab.fill(entries(Kind::AssuredTcp(TcpState::Established), next, 64)).unwrap_err();
        next += 64;
    };
    let full = |metrics: Option<String>| {
        let metrics = metrics.unwrap_or_default();
        let lost = format!("plimsoll_lost_packets_total{{netns=\"{}\",reason=\"table_full\"}}", lab.name());
        place.of_host(&metrics, "plimsoll_entries") >= Some(f64::from(limit()))
            && figure(&metrics, &lost) > Some(0.0)
            && metrics.contains("id=\"table-full\",severity=\"critical\"")
    };
    await_that("the socket to tell of it", || {
        keep_full();
        full(by_socket())
    });
    await_that("the file to tell of it", || {
        keep_full();
        full(in_file())
    });
    assert!(!in_file().unwrap().contains("\nprocess_"), "node_exporter has those of its own");
    daemon.running.await_line("CRITICAL table-full", 1);
    await_that("word by the connection that was opened before", || {
        webhook.notices().iter().any(|notice| notice["finding"] == "table-full")
    });
    keep_full();
    assert!(get(lab, "/metrics").is_none(), "a scrape gets through, so nothing was tested");
    assert!(daemon.running.end_by("-TERM").success());
    assert!(!socket.exists());

    let mut words = words.to_vec();
    words.push("--untracked");
    let mut daemon = Daemon::begin(lab, &words);
    await_that("a scrape to get through", || {
        keep_full();
        full(get(lab, "/metrics"))
    });
    let table = || lab.run(&["nft", "list", "table", "inet", "plimsoll-watch"]);
    assert!(table().unwrap().contains("notrack"));
    daemon.running.end_by("-KILL");
    await_that("the rules to go", || table().is_err());
}

#[test]
fn rules_that_are_gone_are_made_anew_as_soon_as_they_can_be() {
    let place = Place::new();
    let lab = &place.0;
    let folder = lab.folder().unwrap();
    let (programs, state) = (folder.join("programs"), folder.join("state"));
    fs::create_dir_all(&programs).unwrap();
    let found = Command::new("sh").args(["-c", "command -v nft"]).output().unwrap().stdout;
    let (found, nft) = (String::from_utf8(found).unwrap(), programs.join("nft"));
    let install = || symlink(found.trim(), &nft).unwrap();
    install();
    let path = format!("PATH={}", programs.display());
    let words = ["env", &path, PLIMSOLL, "watch", "--interval", "1s", "--untracked", "--state-dir"];
    let running = Running::begin(lab, &[&words[..], &[state.to_str().unwrap()]].concat());
    running.await_line("reading every", 1);
    let is_there = || lab.run(&["nft", "list", "table", "inet", "plimsoll-watch"]).is_ok();
    assert!(is_there());
    let kill = || {
        let killed = Command::new("pkill").args(["-KILL", "-P", &running.pid().to_string(), "-x", "nft"]).status();
        assert!(killed.unwrap().success());
    };
    kill();
    running.await_line("were gone, and are made anew", 1);
    assert!(is_there());

    fs::remove_file(&nft).unwrap();
    kill();
    running.await_line("connections are tracked: running nft", 1);
    let readings = || figure(&get(lab, "/metrics").unwrap(), "plimsoll_readings_total").unwrap();
    let then = readings();
    await_that("three readings", || readings() >= then + 3.0);
    install();
    running.await_line("connections are not tracked again", 1);
    assert!(is_there());
    assert_eq!(running.said().iter().filter(|line| line.contains("connections are tracked")).count(), 1);
}

#[test]
fn the_service_manager_is_told_of_the_beginning_and_of_each_reading() {
    let place = Place::new();
    let folder = place.0.folder().unwrap();
    let socket = folder.join("notify.sock");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let notify = format!("NOTIFY_SOCKET={}", socket.display());
    let words = ["env", &notify, PLIMSOLL, "watch", "--interval", "1s", "--no-history-file", "--listen", "none"];
    let mut running = Running::begin(&place.0, &words);
    let mut buffer = [0; 256];
    let mut next = || {
        let read = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..read]).trim().to_string()
    };
    assert_eq!(next(), "READY=1");
    assert_eq!(next(), "WATCHDOG=1");
    assert_eq!(next(), "WATCHDOG=1");
    running.signal("-TERM");
    while next() != "STOPPING=1" {}
    assert!(running.end_by("-CONT").success());
}

#[test]
fn what_it_gives_up_does_not_blind_it_to_namespaces_without_a_name() {
    let place = Place::new();
    let lab = &place.0;
    let unnamed = Running::begin(lab, &["unshare", "--net", "sleep", "600"]);
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let of_lab = lab.enter(|| fs::read_link("/proc/thread-self/ns/net").unwrap()).unwrap();
    let namespace = || fs::read_link(format!("/proc/{}/ns/net", unnamed.pid())).unwrap();
    await_that("the namespace", || ![&own, &of_lab].contains(&&namespace()));
    let _daemon = Daemon::begin(lab, &[]);
    status(lab);
    let name = namespace().display().to_string();
    let inode = name.trim_start_matches("net:[").trim_end_matches(']').to_string();
    let metrics = get(lab, "/metrics").unwrap();
    assert!(metrics.contains(&format!("inode=\"{inode}\"")), "{inode} is not among {metrics}");
    let unseen = status(lab)["unseen"].to_string();
    assert!(!unseen.contains("enter the network namespace") && !unseen.contains("Permission denied"), "{unseen}");
}

#[test]
fn settings_are_read_anew_and_bad_ones_change_nothing() {
    let place = Place::new();
    let lab = &place.0;
    let folder = lab.folder().unwrap();
    let config = folder.join("watch.toml");
    fs::write(&config, "compat_metrics = false\n").unwrap();
    let daemon = Daemon::begin(lab, &["--config", config.to_str().unwrap()]);
    status(lab);
    assert!(!get(lab, "/metrics").unwrap().contains("node_nf_conntrack"));

    fs::write(&config, "compat_metrics = true\nlisten = [\"127.0.0.1:9754\", \"127.0.0.1:9755\"]\n").unwrap();
    daemon.running.signal("-HUP");
    daemon.running.await_line("read anew", 1);
    await_that("the names", || get(lab, "/metrics").is_some_and(|metrics| metrics.contains("node_nf_conntrack")));
    assert!(curl(lab, &["http://127.0.0.1:9755/healthz"]).is_some());

    for (bad, complaint) in [
        ("interval = \"10s\"\nlisten = 7\n", "line 2"),
        ("intervall = \"10s\"\n", "unknown field `intervall`"),
        ("interval = \"0.5s\"\n", "line 1, interval: readings may come once a second at most"),
        ("listen = [\"nowhere\"]\n", "line 1, listen: takes ADDRESS:PORT"),
        ("listen = [\"192.0.2.1:9754\"]\n", "192.0.2.1:9754"),
        ("[[notify]]\nwebhook = \"ftp://x\"\n", "line 1, notify: an address"),
    ] {
        fs::write(&config, bad).unwrap();
        daemon.running.signal("-HUP");
        daemon.running.await_line(complaint, 1);
        await_that("what was in force", || {
            get(lab, "/metrics").is_some_and(|metrics| metrics.contains("node_nf_conntrack"))
        });
    }
}

#[test]
fn what_cannot_be_begun_is_said_with_what_to_do() {
    let place = Place::new();
    let begun = |arguments: &[&str]| plimsoll_in(&place.0, &[&["watch", "--no-history-file"], arguments].concat());
    for (arguments, complaint) in [
        (&["--listen", "192.0.2.1:9754"][..], "192.0.2.1:9754"),
        (&["--config", "/nowhere/watch.toml"], "/nowhere/watch.toml"),
        (&["--interval", "0.1"], "once a second at most"),
        (&["--textfile", "/tmp/metrics.txt"], ".prom"),
        (&["--listen", "none", "--textfile", "/nowhere/x.prom"], "/nowhere/x.prom"),
        (&["--web-config", "/nowhere/web.yml"], "/nowhere/web.yml"),
        (&["--alertmanager", "10.0.0.1:9093"], "http://"),
    ] {
        let run = begun(arguments);
        assert_eq!(run.code, 3, "{run:?}");
        assert!(run.stderr.contains(complaint), "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    }
}
