//! `plimsoll shield` on the real kernel: a server's namespace and a client's, joined by a veth pair. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;
#[path = "shield/xdp.rs"]
mod xdp;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::thread;

use plimsoll_lab::LabNamespace;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::Run;
use support::applying::kill_watchdogs;
use support::shielding::{Joined, LOOSE, SYNCOOKIES, client, client6};
use support::watching::await_that;

/// What makes a shield for the server's port, by limits that a few connections reach.
const LIMITED: [&str; 6] = ["--for", "syn-flood", "--port", "443", "--per-source", "1/10"];

#[test]
fn shadow_drops_nothing_and_counts_what_enforcing_drops() {
    let joined = Joined::new();
    joined.scene.lab.set(SYNCOOKIES, 0).unwrap();
    let shadow = joined.shield(&LIMITED, &["--shadow", "0", "--json"]);
    assert_eq!((shadow.code, shadow.json()["mode"].as_str()), (0, Some("shadow")), "{shadow:?}");
    assert_eq!(joined.connect(client(1), 30), 30);
    assert_eq!(joined.connect(client6(1), 30), 30);
    let counters = joined.status()["counters"].clone();
    assert!(counters["over_source"].as_u64().unwrap() >= 30, "{counters:#}");
    assert_eq!((&counters["dropped"], &counters["unrecorded"]), (&0.into(), &0.into()), "{counters:#}");
    assert_eq!(joined.scene.sysctl(SYNCOOKIES), 0, "nothing is set in shadow");

    joined.enforce_whatever_it_hits();
    assert_eq!(joined.scene.sysctl(SYNCOOKIES), 1);
    for address in [client(1), client6(1)] {
        assert!(joined.connect(address, 10) < 10, "what was counted is dropped now");
    }
    for address in [client(2), client6(2)] {
        assert_eq!(joined.connect(address, 8), 8, "another address has a limit of its own");
    }
    assert!(joined.status()["counters"]["dropped"].as_u64().unwrap() > 0);

    let stopped = joined.stop();
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert_eq!((joined.scene.sysctl(SYNCOOKIES), joined.table_is_there()), (0, false));
    assert_eq!(joined.connect(client(1), 30), 30);
}

#[test]
fn who_is_allowed_is_never_touched_and_who_is_listed_always_is() {
    let joined = Joined::new();
    let (one, network) = (client(1).to_string(), "fd08::/112");
    let dropped = client(3).to_string();
    let lists = ["--allow", &one, "--allow", network, "--drop", "10.8.0.0/16", "--drop", &dropped, "--shadow", "0"];
    assert_eq!(joined.shield(&LIMITED, &lists).code, 0);
    joined.enforce_whatever_it_hits();
    assert_eq!(joined.connect(client(1), 40), 40);
    assert_eq!(joined.connect(client6(1), 40), 40);
    assert_eq!(joined.connect(client(3), 2), 0);
    assert!(joined.status()["counters"]["allowed"].as_u64().unwrap() >= 80);
}

#[test]
fn its_end_comes_though_every_process_is_killed() {
    let joined = Joined::new();
    joined.scene.lab.set(SYNCOOKIES, 0).unwrap();
    let expire = ["--shadow", "0", "--expire", "12s", "--drop", &client(1).to_string(), "--xdp", "s0"];
    assert_eq!(joined.shield(&LIMITED, &expire).code, 0);
    joined.enforce_whatever_it_hits();
    assert_eq!(joined.connect(client(1), 1), 0);
    kill_watchdogs(&joined.scene.folder);
    joined.await_connection(client(1));
    assert!(joined.table_is_there(), "the rules are there, and match nothing");
    assert!(joined.xdp().is_some(), "so is the XDP program, and drops nothing");
    let status = joined.scene.plimsoll(&["shield", "--netns", joined.scene.lab.name(), "--status"]);
    assert!(status.stdout.contains("no shield"), "{status:?}");
    // Nobody was there to undo what went with it: the next command is.
    assert_eq!(joined.stop().code, 0);
    assert_eq!((joined.scene.sysctl(SYNCOOKIES), joined.table_is_there(), joined.xdp()), (0, false, None));
}

#[test]
fn its_watchdog_removes_it_at_its_end_and_not_before_it_is_extended_to() {
    let joined = Joined::new();
    assert_eq!(joined.shield(&LIMITED, &["--shadow", "0", "--expire", "6s", "--xdp", "s0"]).code, 0);
    let extended = joined.on_server(&["--extend", "8s", "--json"]);
    assert_eq!((extended.code, &extended.json()["outcome"]), (0, &"extended".into()), "{extended:?}");
    joined.scene.await_rest();
    let application = joined.scene.last().unwrap();
    assert_eq!(application.undone_because, [plimsoll_apply::Because::Expired]);
    assert_eq!((joined.table_is_there(), joined.xdp()), (false, None));
    let records: Vec<Value> = joined.journal(1);
    let of =
        |kind: &str| records.iter().rfind(|record| record["record"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    assert_eq!(records.iter().filter(|record| record["record"] == "applied").count(), 2);
    assert!(of("undoing")["boottime_ms"].as_u64() >= of("applied")["deadline_ms"].as_u64(), "{records:#?}");
}

#[test]
fn a_full_set_lets_pass_unless_what_it_has_no_room_for_is_limited() {
    let joined = Joined::new();
    let two = ["--most-sources", "2", "--shadow", "0"];
    assert_eq!(joined.shield(&LIMITED, &two).code, 0);
    joined.enforce_whatever_it_hits();
    for number in 1..=2 {
        assert_eq!(joined.connect(client(number), 1), 1);
    }
    assert_eq!(joined.connect(client(3), 40), 40, "there is no room for it, so it is not limited");
    let counters = joined.status()["counters"].clone();
    assert!(counters["without_room"].as_u64().unwrap() >= 40, "{counters:#}");
    assert_eq!(joined.stop().code, 0);

    let limited = ["--most-sources", "2", "--without-room", "1/5", "--shadow", "0"];
    assert_eq!(joined.shield(&LIMITED, &limited).code, 0);
    joined.enforce_whatever_it_hits();
    for number in 1..=2 {
        assert_eq!(joined.connect(client(number), 1), 1);
    }
    let passed = joined.connect(client(3), 15) + joined.connect(client(4), 15);
    assert!((5..30).contains(&passed), "they have one limit together: {passed}");
    let status = joined.status();
    assert!(status["counters"]["over_total"].as_u64().unwrap() > 0, "{status:#}");
    assert!(status["collateral_share"].as_f64().unwrap() > 0.0, "who is new is hit by chance: {status:#}");
}

#[test]
fn synproxy_does_the_handshakes_and_its_connections_outlive_it() {
    let joined = Joined::new();
    joined.scene.lab.set(SYNCOOKIES, 0).unwrap();
    assert_eq!(joined.connect(client(1), 3), 3);
    let proxied = ["--for", "syn-flood", "--port", "443", "--synproxy"];
    assert_eq!(joined.shield(&proxied, &["--shadow", "0"]).code, 0);
    assert_eq!(joined.scene.sysctl(LOOSE), 1, "nothing is set in shadow");
    joined.half_open(client(9), 200);
    assert!(joined.entries_of(client(9)) >= 100, "in shadow a SYN takes its entry");
    joined.scene.lab.run(&["conntrack", "-F"]).unwrap();

    joined.enforce_whatever_it_hits();
    assert_eq!((joined.scene.sysctl(LOOSE), joined.scene.sysctl(SYNCOOKIES)), (0, 1));
    joined.half_open(client(9), 200);
    assert_eq!(joined.entries_of(client(9)), 0, "a SYN takes none");
    // Enough of them that some would stall if the proxy had gone on with the timestamps that it had made (one in two).
    let mut open: Vec<_> = (0..12).map(|number| joined.open(client(1 + number % 3)).expect("a connection")).collect();
    let proxied = joined.status()["counters"]["proxied"].as_u64().unwrap();
    assert!(proxied >= 112, "{proxied}");
    open.push(joined.open(client6(1)).expect("a connection over IPv6, which is not proxied"));
    assert_eq!(joined.status()["counters"]["proxied"], proxied);
    for connection in &mut open {
        assert!(Joined::echoes(connection, 20_000));
    }
    let stopped = joined.stop();
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert_eq!((joined.scene.sysctl(LOOSE), joined.scene.sysctl(SYNCOOKIES)), (1, 0));
    for connection in &mut open {
        assert!(Joined::echoes(connection, 20_000), "it goes on without the proxy");
    }
}

#[test]
fn synproxy_is_refused_where_nothing_is_tracked() {
    let joined = Joined::new();
    joined.scene.lab.run(&["nft", "delete", "table", "inet", "lab"]).unwrap();
    let run = joined.shield(&["--for", "syn-flood", "--port", "443", "--synproxy"], &["--shadow", "0"]);
    assert!(run.code == 3 && run.stderr.contains("nothing is tracked"), "{run:?}");
    assert!(!joined.table_is_there());
}

/// A flood and handshakes to a server behind a router: the router's proxy answers, and opens the connections.
#[test]
fn synproxy_does_the_handshakes_of_a_server_behind_a_router() {
    let behind = Joined::behind_a_router();
    let joined = &behind.joined;
    behind.open(client(1)).expect("a connection, so that it is seen that flows are tracked");
    assert_eq!(joined.shield(&["--for", "syn-flood", "--port", "443", "--synproxy"], &["--shadow", "0"]).code, 0);
    joined.enforce_whatever_it_hits();
    let mut open = Vec::new();
    for number in 1..=6 {
        behind.half_open(client(9), 50);
        open.push(behind.open(client(number)).expect("a connection through the proxy"));
    }
    assert_eq!(joined.entries_of(client(9)), 0, "a SYN takes no entry");
    let proxied = joined.status()["counters"]["proxied"].as_u64().unwrap();
    assert!(proxied >= 156, "{proxied}");
    assert!(open.iter_mut().all(|connection| Joined::echoes(connection, 20_000)));
    assert_eq!(joined.stop().code, 0);
    assert!(open.iter_mut().all(|connection| Joined::echoes(connection, 20_000)), "they go on without the proxy");
    assert!(Joined::echoes(&mut behind.open(client(1)).expect("a connection"), 10));
}

#[test]
fn synproxy_is_refused_where_the_firewall_would_let_more_pass() {
    let joined = Joined::new();
    let rules = "table inet firewall { chain input { type filter hook input priority 0; policy drop; iif lo accept; \
        ct state established,related accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; \
        ip saddr 10.8.0.7 drop; tcp dport 443 accept; }; }";
    joined.scene.lab.nft(rules).unwrap();
    // It is to be seen that flows are tracked.
    assert_eq!(joined.connect(client(1), 1), 1);
    let proxied = ["--for", "syn-flood", "--port", "443", "--synproxy"];
    for how in [["--shadow", "0"], ["--dry-run", "--json"]] {
        let run = joined.shield(&proxied, &how);
        assert!(run.code == 3 && run.stderr.contains("ip saddr 10.8.0.7 drop"), "{run:?}");
    }
    assert!(!joined.table_is_there());
    // Connections without entries would end, and those be taken that a bridge carries.
    let refused = |why: &str| {
        let run = joined.shield(&proxied, &["--dry-run", "--json", "--allow", "10.8.0.7"]);
        assert!(run.code == 3 && run.stderr.contains(why), "{run:?}");
    };
    joined.scene.lab.set(LOOSE, 0).unwrap();
    refused("nf_conntrack_tcp_loose is 0");
    joined.scene.lab.set(LOOSE, 1).unwrap();
    // Not every kernel has `br_netfilter`.
    if joined.scene.lab.set("net/bridge/bridge-nf-call-iptables", 1).is_ok() {
        joined.scene.lab.run(&["ip", "link", "add", "br0", "type", "bridge"]).unwrap();
        refused("what the bridge br0 carries");
        joined.scene.lab.set("net/bridge/bridge-nf-call-iptables", 0).unwrap();
    }
    // Who is not proxied is stopped as before.
    assert_eq!(joined.shield(&proxied, &["--shadow", "0", "--allow", "10.8.0.7"]).code, 0);
    joined.enforce_whatever_it_hits();
    assert_eq!((joined.connect(client(7), 1), joined.connect(client(1), 3)), (0, 3));
    // It is asked again before that goes on for longer, and before it is enforced.
    joined.scene.lab.run(&["nft", "insert rule inet firewall input ip saddr 10.8.0.8 iif s0 drop"]).unwrap();
    let run = joined.on_server(&["--extend", "1h"]);
    assert!(run.code == 3 && run.stderr.contains("10.8.0.8"), "{run:?}");
    assert!(joined.status()["ends_in_secs"].as_f64().unwrap() <= 1800.0, "{:#}", joined.status());
    assert_eq!(joined.stop().code, 0);
    let both = ["--shadow", "0", "--allow", "10.8.0.7", "--allow", "10.8.0.8"];
    assert_eq!(joined.shield(&proxied, &both).code, 0);
    joined.scene.lab.run(&["nft", "insert rule inet firewall input ip saddr 10.8.0.9 iif s0 drop"]).unwrap();
    let run = joined.on_server(&["--enforce", "--shadow", "0", "--max-collateral", "100%", "--no-watch"]);
    assert!(run.code == 3 && run.stderr.contains("10.8.0.9"), "{run:?}");
    assert_eq!(joined.status()["mode"], "shadow");
}

#[test]
fn datagrams_of_whom_nobody_knows_are_limited() {
    let joined = Joined::new();
    let echo = joined.udp_server();
    assert_eq!(joined.ask(client(1), &echo, 5), 5);
    let limited = ["--for", "udp-unreplied", "--port", "53", "--per-source", "1/10"];
    let made = joined.shield(&limited, &["--shadow", "0", "--json"]);
    assert_eq!(made.json()["shield"]["class"]["known"], serde_json::json!([client(1)]), "{made:?}");
    joined.enforce_whatever_it_hits();
    assert_eq!(joined.ask(client(1), &echo, 40), 40, "who had an answer before is known");
    let answered = joined.ask(client(2), &echo, 40);
    assert!((10..40).contains(&answered), "{answered}");
    let counters = joined.status()["counters"].clone();
    assert!(counters["known"].as_u64().unwrap() >= 40 && counters["dropped"].as_u64().unwrap() > 0, "{counters:#}");
}

#[test]
fn what_this_host_sends_is_limited_where_it_leaves() {
    let joined = Joined::new();
    let outgoing = ["--for", "outbound-scan", "--port", "23", "--outgoing", "--per-source", "1/5"];
    assert_eq!(joined.shield(&outgoing, &["--shadow", "0"]).code, 0);
    joined.enforce_whatever_it_hits();
    joined.scan(40);
    let status = joined.status();
    assert!(status["counters"]["dropped"].as_u64().unwrap() >= 30, "{status:#}");
    assert_eq!(status["hits"][0]["source"], "10.8.255.1");
    assert_eq!(joined.connect(client(1), 20), 20);
}

/// A thousand users behind one address: a limit for each address would shut most of them out.
#[test]
fn users_behind_one_address_are_recognised() {
    let joined = Joined::new();
    let limited = ["--for", "syn-flood", "--port", "443", "--per-source", "20/50"];
    assert_stays_in_shadow(&joined, &limited, || {
        // A listener that is busy leaves one or the other waiting.
        assert!(joined.complete(client(1), &[443], 1000) > 900);
        for number in 2..=6 {
            assert_eq!(joined.connect(client(number), 2), 2);
        }
    });
}

/// A monitoring system that asks for all services at once, once a minute.
#[test]
fn a_burst_of_monitoring_is_recognised() {
    let joined = Joined::new();
    let ports: Vec<u16> = (8000..8040).collect();
    let _listeners = joined.listen(&ports);
    let limited = [
        "--for",
        "syn-flood",
        "--port",
        &ports.iter().map(u16::to_string).collect::<Vec<_>>().join(","),
        "--port",
        "443",
        "--per-source",
        "5/20",
    ];
    assert_stays_in_shadow(&joined, &limited, || {
        for number in 2..=40 {
            assert_eq!(joined.connect(client(number), 2), 2);
        }
        assert!(joined.complete(client(1), &ports, 200) > 180);
    });
}

/// A CDN speaks for all users from a few addresses of one network.
#[test]
fn the_few_addresses_of_a_cdn_are_recognised() {
    let joined = Joined::new();
    let limited = ["--for", "syn-flood", "--port", "443", "--per-source", "1000/1000", "--per-prefix", "100/250"];
    assert_stays_in_shadow(&joined, &limited, || {
        for number in 1..=8 {
            assert!(joined.complete(client(number), &[443], 250) > 220);
        }
    });
}

#[test]
fn a_flood_beside_those_who_mean_well_is_enforced_against() {
    let joined = Joined::new();
    assert_eq!(joined.shield(&LIMITED, &["--shadow", "0"]).code, 0);
    for number in 1..=8 {
        assert_eq!(joined.connect(client(number), 4), 4);
    }
    joined.half_open(client(9), 300);
    assert!(joined.entries_of(client(9)) >= 100, "{}", joined.entries_of(client(9)));
    let enforced = joined.on_server(&["--enforce", "--shadow", "0", "--no-watch", "--json"]);
    let document = enforced.json();
    assert_eq!((enforced.code, &document["outcome"]), (0, &"enforced".into()), "{enforced:?}");
    assert_eq!(document["collateral"]["sources"], serde_json::json!({ "hit": 0, "of": 8 }), "{document:#}");
    joined.scene.lab.run(&["conntrack", "-F"]).unwrap();
    joined.half_open(client(9), 300);
    // One a second, of 300 that took a hundred entries and more.
    assert!(joined.entries_of(client(9)) < 30, "{}", joined.entries_of(client(9)));
    assert_eq!(joined.connect(client(1), 4), 4);
}

#[test]
fn what_the_table_shows_is_what_is_proposed() {
    let joined = Joined::new();
    assert_eq!(joined.connect(client(1), 4), 4);
    joined.half_open(client(9), 300);
    let run = joined.on_server(&["--for", "syn-flood", "--dry-run", "--json"]);
    let (document, heavy) = (run.json(), format!("{}/32", client(9)));
    let shield = &document["shield"];
    assert_eq!(
        shield["class"],
        serde_json::json!({ "kind": "syns", "way": "incoming", "ports": [443] }),
        "{document:#}"
    );
    assert_eq!((&shield["drop"], run.code), (&serde_json::json!([heavy]), 0));
    let told = joined.on_server(&["--for", "syn-flood", "--dry-run"]);
    assert!(told.stdout.contains("a few sources make most of it"), "{told:?}");
}

#[test]
fn interrupted_in_shadow_it_is_not_enforced_and_says_so() {
    let joined = Joined::new();
    let mut command = joined.scene.command(&["shield", "--netns", joined.scene.lab.name()]);
    command.args(LIMITED).args(["--enforce", "--shadow", "5m"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut says = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut says).unwrap();
    assert!(says.starts_with("In shadow"), "{says}");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(joined.status()["mode"], "shadow");
}

#[test]
fn where_it_begins_to_hit_those_who_mean_well_it_is_in_shadow_again() {
    let joined = Joined::new();
    joined.scene.lab.set(SYNCOOKIES, 0).unwrap();
    assert_eq!(joined.shield(&LIMITED, &["--shadow", "0"]).code, 0);
    for number in 1..=8 {
        assert_eq!(joined.connect(client(number), 4), 4);
    }
    let mut command = joined.scene.command(&["shield", "--netns", joined.scene.lab.name()]);
    command.args(["--enforce", "--shadow", "0", "--json"]);
    let watching = thread::spawn(move || Run::of(command));
    await_that("it is enforced", || joined.status()["mode"] == "enforced");
    assert_eq!(joined.scene.sysctl(SYNCOOKIES), 1);
    joined.connect(client(1), 12);
    let watched = watching.join().unwrap();
    assert_eq!((watched.code, &watched.json()["outcome"]), (1, &"withdrawn".into()), "{watched:?}");
    assert_eq!((joined.status()["mode"].as_str(), joined.scene.sysctl(SYNCOOKIES)), (Some("shadow"), 0));
    assert_eq!(joined.connect(client(1), 20), 20);
    // It may be enforced again.
    joined.enforce_whatever_it_hits();
    assert_eq!(joined.scene.sysctl(SYNCOOKIES), 1);
}

/// Nobody is at a terminal any more.
#[test]
fn its_watchdog_takes_it_back_when_nobody_else_watches() {
    let joined = Joined::new();
    assert_eq!(joined.shield(&LIMITED, &["--shadow", "0"]).code, 0);
    for number in 1..=8 {
        assert_eq!(joined.connect(client(number), 4), 4);
    }
    let enforced = joined.on_server(&["--enforce", "--shadow", "0", "--no-watch", "--json"]);
    assert_eq!((enforced.code, &enforced.json()["outcome"]), (0, &"enforced".into()), "{enforced:?}");
    joined.connect(client(1), 12);
    await_that("it is in shadow again", || joined.status()["mode"] == "shadow");
    await_that("it is said why", || joined.status()["withdrawn"].as_str().is_some_and(|why| why.contains('%')));
    assert_eq!(joined.connect(client(1), 20), 20);
}

#[test]
fn who_is_logged_in_by_ssh_is_spared() {
    let joined = Joined::new();
    let _login = joined.log_in(client(7));
    let planned = joined.shield(&LIMITED, &["--dry-run", "--json"]).json();
    assert_eq!(planned["logged_in"], serde_json::json!([client(7)]), "{planned:#}");
    let mut command = joined.scene.command(&["shield", "--netns", joined.scene.lab.name(), "--dry-run", "--json"]);
    command.args(LIMITED).env("SSH_CONNECTION", "2001:db8::7 50000 2001:db8::1 22");
    let planned = Run::of(command).json();
    assert!(planned["rules"].as_str().unwrap().contains("2001:db8::7/128"), "{planned:#}");
    assert!(!joined.table_is_there(), "a dry run changes nothing");
}

#[test]
fn there_is_one_in_a_namespace_and_it_is_in_nobodys_way() {
    let joined = Joined::new();
    let nothing = joined.on_server(&[]);
    assert!(nothing.code == 1 && nothing.stdout.contains("calls for a shield"), "{nothing:?}");
    assert_eq!(joined.shield(&LIMITED, &["--shadow", "0"]).code, 0);
    let second = joined.shield(&LIMITED, &["--shadow", "0"]);
    assert!(second.code == 3 && second.stderr.contains("already"), "{second:?}");
    for another in [["--enforce", "--dry-run"], ["--enforce", "--synproxy"]] {
        let refused = joined.on_server(&another);
        assert!(refused.code == 3 && refused.stderr.contains("there is a shield already"), "{refused:?}");
    }
    assert_eq!(joined.status()["mode"], "shadow");
    let name = joined.scene.lab.name();
    let set = "--set=nf_conntrack_udp_timeout=20";
    let applied = joined.scene.plimsoll(&["apply", "--netns", name, "--soak", "0", set]);
    assert_eq!(applied.code, 0, "{applied:?}");
    let confirmed = joined.scene.plimsoll(&["confirm", "--no-persist"]);
    assert!(confirmed.code == 0 && confirmed.stdout.contains("Application 2"), "{confirmed:?}");
    assert!(joined.table_is_there());
    assert_eq!(joined.scene.plimsoll(&["rollback", "1"]).code, 0);
    assert!(!joined.table_is_there(), "`rollback` knows it");
    assert!(joined.status()["outcome"] == "none");
}

/// The traffic makes a shield that would hit those who mean well: it is seen in shadow, and not enforced.
fn assert_stays_in_shadow(joined: &Joined, limits: &[&str], traffic: impl FnOnce()) {
    assert_eq!(joined.shield(limits, &["--shadow", "0"]).code, 0);
    traffic();
    let judged = joined.on_server(&["--enforce", "--shadow", "0", "--no-watch", "--json"]);
    let document: Value = judged.json();
    assert_eq!((judged.code, &document["mode"]), (1, &"shadow".into()), "{document:#}");
    assert!(document["collateral_share"].as_f64().unwrap() > 0.01, "{document:#}");
    assert_eq!(document["counters"]["dropped"], 0);
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}
