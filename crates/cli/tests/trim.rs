//! `plimsoll trim` as its users run it. Needs root, `ip`, `nft`, `conntrack` and `script`, and fails without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::process::{Command, Stdio};

use plimsoll_ctnetlink::{Dump, NewEntry, TcpState, Unknowns, table_statistics};
use plimsoll_host::HostFs;
use plimsoll_lab::{Kind, LabNamespace, entries};
use serde_json::{Value, json};
use support::{PLIMSOLL, as_nobody, plimsoll, plimsoll_in};

const TIME_WAIT: &str = "nf_conntrack_tcp_timeout_time_wait";

/// Entries that wait: `stale` for 40 of the 120 seconds of before, `fresh` for 5, where 30 are in force.
fn waiting(stale: u32, fresh: u32) -> LabNamespace {
    let namespace = LabNamespace::tracking().unwrap();
    namespace.set(&format!("net/netfilter/{TIME_WAIT}"), 30).unwrap();
    let made = |first, count, timeout_secs| {
        let waiting = entries(Kind::AssuredTcp(TcpState::TimeWait), first, count);
        waiting.map(move |entry| NewEntry { timeout_secs, ..entry })
    };
    namespace.fill(made(0, stale, 80)).unwrap();
    namespace.fill(made(stale, fresh, 115)).unwrap();
    namespace
}

fn occupancy(namespace: &LabNamespace) -> u32 {
    namespace.enter(|| table_statistics().unwrap().occupancy.0).unwrap()
}

/// How many entries have at most ten seconds left.
fn expiring(namespace: &LabNamespace) -> usize {
    let count = || {
        let (mut unknowns, mut dump, mut count) = (Unknowns::default(), Dump::start().unwrap(), 0);
        while let Some(batch) = dump.next_batch().unwrap() {
            count += batch
                .entries(&mut unknowns)
                .filter(|dumped| dumped.unwrap().entry.remaining_secs.is_some_and(|secs| secs <= 10))
                .count();
        }
        count
    };
    namespace.enter(count).unwrap()
}

#[test]
fn without_yes_it_says_what_would_go_and_changes_nothing() {
    let namespace = waiting(300, 50);
    let run = plimsoll(&["trim", "--netns", namespace.name()]);
    assert_eq!((run.code, run.stderr.as_str()), (1, ""), "{run:?}");
    let title = format!("300 entries would be trimmed in {}. Nothing was changed.\n", namespace.name());
    assert!(run.stdout.starts_with(&title), "{}", run.stdout);
    for said in [
        "  tcp TIME_WAIT      350    300\n",
        "            50  may have seen a packet within their timeout\n",
        "The same command with --yes does it. It cannot be undone.",
        "net.netfilter.nf_conntrack",
    ] {
        let said = if said.starts_with("net.") { TIME_WAIT } else { said };
        assert!(run.stdout.contains(said), "{said:?} is not in {}", run.stdout);
    }
    assert_eq!((occupancy(&namespace), expiring(&namespace)), (350, 0));

    // The same where it is started, and for programs.
    let document = plimsoll_in(&namespace, &["trim", "--json", "--dry-run"]);
    assert_eq!(document.code, 1);
    let document = document.json();
    let states = json!([{ "state": "tcp TIME_WAIT", "read": 350, "stale": 300, "changed": null }]);
    for (key, value) in [
        ("schema", json!("plimsoll.trim/1")),
        ("manner", json!("expire")),
        ("grace_secs", json!(10)),
        ("occupancy", json!(350)),
        ("policies", json!("none")),
        ("read", json!(350)),
        ("stale", json!(300)),
        ("ambiguous", json!(0)),
        ("states", states),
        ("left", json!({ "fresh": 50 })),
        ("done", Value::Null),
    ] {
        assert_eq!(document[key], value, "{key} in {document:#}");
    }
    assert_eq!((occupancy(&namespace), expiring(&namespace)), (350, 0));
}

#[test]
fn what_is_let_go_has_expired_and_is_freed_at_the_end() {
    let namespace = waiting(300, 50);
    let run = plimsoll(&["trim", "--netns", namespace.name(), "--yes"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    for said in [
        "300 entries were left 10 seconds, in which a packet would have brought them back.",
        "The kernel counted 350 before, and counts 50 of ",
        "  tcp TIME_WAIT      350    300      300\n",
    ] {
        assert!(run.stdout.contains(said), "{said:?} is not in {}", run.stdout);
    }
    assert_eq!(occupancy(&namespace), 50);
    let again = plimsoll(&["trim", "--netns", namespace.name(), "--source", "10.255.0.0", "--yes"]);
    assert_eq!(again.code, 0);
    assert!(again.stdout.starts_with("Nothing was trimmed"), "{}", again.stdout);
}

#[test]
fn with_now_it_deletes_and_stops_where_it_is_told_to() {
    let namespace = waiting(300, 50);
    let limit = HostFs::new().capacity().unwrap().0;
    let share = (200.5 / f64::from(limit)).to_string();
    let run = plimsoll(&["trim", "--netns", namespace.name(), "--yes", "--now", "--until", &share, "--json"]);
    assert_eq!(run.code, 0, "{run:?}");
    let done = &run.json()["done"];
    for (key, value) in [
        ("changed", json!(150)),
        ("gone", json!(0)),
        ("ended", json!("few_enough")),
        ("waited", json!(true)),
        ("until", json!(200)),
        ("occupancy_before", json!(350)),
        ("occupancy_after", json!(200)),
        ("live_after", Value::Null),
    ] {
        assert_eq!(done[key], value, "{key} in {done:#}");
    }
    // Fewer than are fresh cannot be had.
    let share = (20.5 / f64::from(limit)).to_string();
    let run = plimsoll(&["trim", "--netns", namespace.name(), "--yes", "--now", "--until", &share]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stdout.contains("That is more than the 20 that were asked for"), "{}", run.stdout);
    assert_eq!(occupancy(&namespace), 50);
}

/// Law 5: nothing here needs a connection that would have to be tracked.
#[test]
fn a_full_table_of_stale_entries_is_relieved() {
    let namespace = waiting(0, 0);
    let limit = HostFs::new().capacity().unwrap().0;
    assert!(limit <= 300_000, "the test fills a table to the limit of {limit}");
    let stale = entries(Kind::AssuredTcp(TcpState::TimeWait), 0, limit);
    namespace.fill(stale.map(|entry| NewEntry { timeout_secs: 80, ..entry })).unwrap();
    assert_eq!(namespace.send_udp(1000..=1009).unwrap(), 10, "no new flow is had");

    let run = plimsoll_in(&namespace, &["trim", "--yes", "--now", "--until", "80%", "--json"]);
    assert_eq!(run.code, 0, "{run:?}");
    let left = occupancy(&namespace);
    assert!(f64::from(left) <= 0.8 * f64::from(limit), "{left} of {limit}");
    assert!(f64::from(left) > 0.79 * f64::from(limit), "no more than was asked for: {left} of {limit}");
    assert_eq!(namespace.send_udp(1000..=1009).unwrap(), 0);
}

#[test]
fn other_timeouts_and_selections_are_taken() {
    let namespace = waiting(300, 50);
    let stale = |arguments: &[&str]| {
        let all: Vec<&str> = ["trim", "--netns", namespace.name(), "--json"].iter().chain(arguments).copied().collect();
        plimsoll(&all).json()["stale"].as_u64().unwrap()
    };
    let (as_if, armed) = (format!("net.netfilter.{TIME_WAIT}=3"), format!("{TIME_WAIT}=81"));
    assert_eq!(stale(&[]), 300);
    assert_eq!(stale(&["--as-if", &as_if]), 350);
    assert_eq!(stale(&["--armed", &armed]), 0);
    assert_eq!(stale(&["--state", "time_wait"]), 300);
    assert_eq!(stale(&["--state", "close", "--state", "TIME_WAIT"]), 300);
    assert_eq!(stale(&["--state", "close"]), 0);
    assert_eq!(stale(&["--proto", "udp"]), 0);
    assert_eq!(stale(&["--proto", "6"]), 300);
    assert_eq!(stale(&["--service", "192.0.2.1:443"]), 300);
    assert_eq!(stale(&["--service", "192.0.2.1:80"]), 0);
    assert_eq!(stale(&["--prefix", "10.0.0.0/8"]), 300);
    assert_eq!(stale(&["--prefix", "2001:db8::/32"]), 0);
    assert_eq!(stale(&["--source", "10.0.0.0"]), 16);
    assert_eq!(stale(&["--idle-over", "2m"]), 0);
    assert_eq!(stale(&["--unreplied"]), 0);
}

#[test]
fn policies_leave_nothing_to_be_known_and_it_says_so() {
    let namespace = waiting(10, 0);
    let policy = "table ip t { ct timeout brief { protocol tcp; l3proto ip; policy = { time_wait : 60 }; }; }\n";
    namespace.nft(policy).unwrap();
    let run = plimsoll(&["trim", "--netns", namespace.name(), "--yes", "--now"]);
    assert_eq!(run.code, 0);
    assert!(run.stdout.contains("cannot be judged: there is a timeout policy in this namespace"), "{}", run.stdout);
    assert_eq!(occupancy(&namespace), 10);
}

#[test]
fn an_interrupt_ends_the_wait_and_tells_what_was_done() {
    let namespace = waiting(300, 50);
    let mut command = Command::new(PLIMSOLL);
    command.args(["trim", "--yes", "--netns", namespace.name()]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    // Written, and signals are taken from before that on.
    while expiring(&namespace) < 300 {
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.starts_with("300 entries were trimmed") && text.contains("Nobody waited for the ten seconds"),
        "{text}"
    );
}

#[test]
fn a_person_on_a_terminal_is_asked_once() {
    for (answer, left) in [("\n", 60), ("n\n", 60), ("yes\n", 10)] {
        let namespace = waiting(50, 10);
        let trim = format!("{PLIMSOLL} trim --now --netns {}", namespace.name());
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &trim, "/dev/null"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), answer.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("Trim these 50 entries? It cannot be undone. [y/N]"), "{text}");
        assert_eq!(occupancy(&namespace), left, "{answer:?}: {text}");
        assert_eq!(output.status.code(), Some(i32::from(left == 60)), "{answer:?}: {text}");
    }
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_touched() {
    for (arguments, said) in [
        (&["--state", "timewait"][..], "the nearest is time_wait"),
        (&["--proto", "tpc"], "must be a protocol's name"),
        (&["--proto", "300"], "must be a protocol's name"),
        (&["--service", "443"], "invalid socket address"),
        (&["--source", "10.0.0.0/8"], "invalid IP address"),
        (&["--prefix", "10.1.2.3/8"], "the network is 10.0.0.0/8"),
        (&["--prefix", "::/129"], "has 128 bits"),
        (&["--idle-over", "soon"], "must be a number of seconds"),
        (&["--as-if", "nf_conntrack_max=5"], "there is no timeout \"nf_conntrack_max\""),
        (&["--as-if", "nf_conntrack_tcp_timeout_time_wait=0"], "above 0"),
        (&["--armed", "nf_conntrack_tcp_timeout_time_wait"], "KEY=SECS"),
        (&["--until", "80"], "must be a share"),
        (&["--rate", "0"], "zero"),
        (&["--yes", "--dry-run"], "cannot be used with"),
        (&["--netns", "no-such\u{1b}[31m"], "there is no network namespace"),
    ] {
        let all: Vec<&str> = std::iter::once("trim").chain(arguments.iter().copied()).collect();
        let run = plimsoll(&all);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{arguments:?}: {run:?}");
        assert!(run.stderr.contains(said) && !run.stderr.contains('\u{1b}'), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn without_the_right_it_says_which() {
    let run = as_nobody(&["trim"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("it takes root, or CAP_NET_ADMIN in the namespace's user namespace"), "{}", run.stderr);
    let namespace = waiting(1, 0);
    let run = as_nobody(&["trim", "--yes", "--netns", namespace.name()]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
    assert_eq!(occupancy(&namespace), 1);
}
