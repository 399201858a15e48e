//! What is wrong in a scenario is said with its line and with what to write instead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::collections::HashSet;

use plimsoll_scenario::{Scenario, Size};

/// Line numbers in the tests are of this text.
const GOOD: &str = r#"name = "good"
title = "Good"
about = "Nothing is wrong with it."
[play]
secs = 10
check_at_secs = 5
[[dnat]]
service = "192.0.2.1:80/tcp"
backends = ["10.9.0.1:8080/tcp"]
[[standing]]
name = "old ones"
count = 1000
state = "established"
idle_from_secs = 60
idle_until_secs = 3600
clients = { in = "10.1.0.0/16", hosts = 10 }
servers = { in = "192.0.2.9", ports = 5432 }
[[traffic]]
name = "new ones"
per_sec = 1.5
clients = { in = "10.1.0.0/16", hosts = 10 }
servers = { in = "192.0.2.1", ports = 80 }
script = "short"
[scripts.short]
packets = """
> syn
< syn-ack
> ack
repeat 2
  > data 100
end
"""
[expect]
must = []
"#;

#[track_caller]
fn refused(instead_of: &str, write: &str, line: usize, says: &str) {
    assert!(GOOD.contains(instead_of), "{instead_of}");
    let error = Scenario::parse("x.toml", &GOOD.replacen(instead_of, write, 1)).unwrap_err();
    assert_eq!(error.line, line, "{error}");
    assert!(
        error.to_string().starts_with(&format!("x.toml:{line}: ")) && error.problem.as_str().contains(says),
        "{error}"
    );
}

#[test]
fn what_somebody_else_wrote_is_shown_escaped() {
    let hostile = "\\u001b]0;owned\\u0007";
    let text = ["Good", "Nothing", "new ones", "old ones", "\"good"]
        .iter()
        .fold(GOOD.to_string(), |text, word| text.replacen(word, &format!("{word}{hostile}"), 1));
    let scenario = Scenario::parse("x.toml", &text).unwrap();
    let shown =
        [&scenario.name, &scenario.title, &scenario.about[0], &scenario.traffic[0].name, &scenario.standing[0].name];
    for shown in shown {
        assert!(shown.to_string().contains("\\u{1b}]0;owned\\u{7}"), "{shown}");
    }
    for (instead_of, write) in [("title", "\"\\u001b[2J\""), ("> syn", "> \u{9b}2J"), ("\"short\"", "\"\\u001b[2J\"")] {
        let error = Scenario::parse("\u{1b}[2J.toml", &GOOD.replacen(instead_of, write, 1)).unwrap_err().to_string();
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}

#[test]
fn what_is_right_is_read() {
    let scenario = Scenario::parse("x.toml", GOOD).unwrap();
    assert_eq!((scenario.traffic.len(), scenario.standing.len()), (1, 1));
    assert!(scenario.router.translates());
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    refused("title", "titel", 2, "unknown field `titel`");
    refused("check_at_secs = 5", "check_at_secs = 10", 4, "must come before the end");
    refused("192.0.2.1:80/tcp", "192.0.2.1:80", 8, "as 192.0.2.1:443/tcp");
    refused("10.9.0.1:8080/tcp", "10.9.0.1:8080/udp", 7, "write backends of one protocol");
    refused("count = 1000", "count = 1000\nof_capacity = 0.5", 10, "either `count` or `of_capacity`");
    refused("idle_until_secs = 3600", "idle_until_secs = 432000", 10, "below the state's timeout, 432000 s");
    refused("\"established\"", "\"listening\"", 13, "unknown variant `listening`");
    refused("10.1.0.0/16", "10.1.0.0/8", 16, "bits set behind its length");
    refused("10.1.0.0/16", "127.0.0.0/16", 16, "no router forwards");
    refused("hosts = 10 }", "hosts = 100000 }", 16, "room for 65534 hosts");
    refused("ports = 5432", "ports = \"9-5\"", 17, "no range of ports");
    refused("per_sec = 1.5", "per_sec = 1.5\ncount = 3", 18, "either `per_sec` or `count`");
    refused("per_sec = 1.5", "per_sec = 1.5\nuntil_secs = 11", 18, "the scenario's end");
    refused(", ports = 80 }", " }", 18, "need `ports`");
    refused("script = \"short\"", "script = \"long\"", 23, "there are: short");
    refused("192.0.2.1\", ports = 80", "10.1.7.7\", ports = 80", 1, "overlap");
    refused("> syn\n", "> sin\n", 26, "\"sin\" is no packet");
    refused("> syn\n", "< syn-ack\n", 26, "begins with a packet of the client's");
    refused("< syn-ack\n", "< udp 7\n", 27, "another protocol");
    refused("repeat 2", "repeat forever", 31, "forever needs a `wait`");
    refused("repeat 2", "repeat 1", 29, "a number of 2 to 100000");
    refused("  > data 100", "  wait 1s", 31, "needs a packet");
    refused("> syn\n", "wait 1s\n> syn\n", 26, "begins with a packet of the client's");
    let proxy = "[proxy]\nrequests_per_sec = 5\nclient_connections = 2\nbackend_connections = \"kept\"\n[[dnat]]";
    refused("[[dnat]]", proxy, 7, "has no traffic");
    refused("[[dnat]]", &proxy.replace("= 5", "= 0"), 7, "`requests_per_sec` must be above 0");
    refused(", ports = 80 }", ", ports = 0 }", 22, "no server listens on port 0");
    refused("192.0.2.9", "198.18.0.1", 17, "the router's own");
    refused("[expect]\nmust = []\n", "", 33, "`[expect]` is missing");
    refused("secs = 10\n", "secs = 1e300\n", 5, "not a number of seconds");
    refused("[scripts.short]\n", "[scripts.short]\nrtt_ms = 1e300\n", 26, "not a number of seconds");
    refused("end\n", "", 29, "without its `end`");
    refused("  > data 100", "  > data 1401", 30, "write one of 1 to 1400");
    refused("  > data 100", "  wait 3", 30, "write it as 20ms");
    refused("  > data 100", "  + other", 30, "no script \"other\"");
    refused("> syn\n", "> announce 5\n", 26, "write one of 1 to 4");
    refused("< syn-ack\n", "< announce 2\n", 27, "another protocol");
    refused("check_at_secs = 5\n", "", 4, "missing field `check_at_secs`");
    let wrong = "[simulate]\nsysctls = { \"net.netfilter.nf_conntrack_max\" = -1 }\n[expect]";
    refused("[expect]", wrong, 34, "expected u32");
}

#[test]
fn what_is_only_simulated_needs_no_expectations() {
    let simulate = "[simulate.sysctls]\n\"net.b\" = 2\n\"net.a\" = 1\n";
    let text = GOOD.replace("[expect]\nmust = []\n", simulate).replace("check_at_secs = 5\n", "");
    let scenario = Scenario::parse("x.toml", &text).unwrap();
    assert_eq!((scenario.expect, scenario.play.check_at), (None, scenario.play.lasts));
    let sysctls = scenario.simulate.unwrap().sysctls;
    let names: Vec<_> = sysctls.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(names, [("net.a", 1), ("net.b", 2)]);
    // What is played and checked may be simulated too.
    let both = Scenario::parse("x.toml", &(GOOD.to_string() + simulate)).unwrap();
    assert!(both.expect.is_some() && both.simulate.is_some());
}

#[test]
fn standing_entries_are_distinct_and_as_old_as_was_said() {
    let scenario = Scenario::parse("x.toml", GOOD).unwrap();
    let standing = &scenario.standing[0];
    let entries: Vec<_> = standing.entries(1, "2".parse().unwrap(), 0).unwrap().collect();
    assert_eq!(entries.iter().map(|entry| entry.original).collect::<HashSet<_>>().len(), 2000);
    assert!(entries.iter().all(|entry| (60..=3600).contains(&entry.idle.as_secs())));
    assert!(entries.iter().all(|entry| (428_400..=431_940).contains(&entry.remaining_secs())));
    let spread = entries.iter().map(|entry| entry.idle.as_secs_f64()).sum::<f64>() / 2000.0;
    assert!((1700.0..1960.0).contains(&spread), "{spread}");
}

#[test]
fn entries_that_cannot_be_told_apart_are_refused() {
    let text = GOOD.replace("count = 1000", "of_capacity = 1.0").replacen("hosts = 10 }", "hosts = 1 }", 1);
    let scenario = Scenario::parse("x.toml", &text).unwrap();
    let standing = &scenario.standing[0];
    assert_eq!(standing.entries(1, Size::default(), 28_232).unwrap().count(), 28_232);
    let error = standing.entries(1, Size::default(), 28_233).map(drop).unwrap_err();
    assert_eq!((error.wanted, error.room), (28_233, 28_232));
}

#[test]
fn drawn_hosts_of_standing_entries_are_distinct_and_scattered() {
    let text = GOOD.replacen("in = \"10.1.0.0/16\", hosts = 10", "in = \"10.0.0.0/8\"", 1);
    let scenario = Scenario::parse("x.toml", &text).unwrap();
    let entries = scenario.standing[0].entries(1, Size::default(), 0).unwrap();
    let networks: HashSet<_> = entries
        .map(|entry| match entry.original.source {
            std::net::IpAddr::V4(address) => address.octets()[1],
            std::net::IpAddr::V6(_) => panic!("IPv4"),
        })
        .collect();
    assert!(networks.len() > 240, "{}", networks.len());
}
