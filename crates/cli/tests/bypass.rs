//! Services that are not tracked: planned, judged by the rules in force, applied, and back. On the real kernel; needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_lab::{Door, Fate, Firewall, Kind, entries};
use serde_json::Value;
use support::applying::kill_watchdogs;
use support::{PLIMSOLL, Run};

/// A host that serves DNS behind a firewall, its table full of questions.
struct Dns {
    firewall: Firewall,
    folder: PathBuf,
}

const STATEFUL: &str = "meta l4proto { icmp, ipv6-icmp } accept; ct state established,related accept; ct state invalid drop; udp dport 53 accept;";

impl Dns {
    fn behind(rules: &str) -> Self {
        let firewall = Firewall::build().unwrap();
        let lab = firewall.namespace();
        lab.nft(&format!(
            "table inet filter {{ chain input {{ type filter hook input priority 0; policy drop; {rules} }}; }}\n"
        ))
        .unwrap();
        let limit: u32 =
            fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max").unwrap().trim().parse().unwrap();
        lab.fill(entries(Kind::UdpUnreplied, 0, limit / 20 * 19)).unwrap();
        let folder = std::env::temp_dir().join(format!("{}-journals", lab.name()));
        fs::create_dir_all(&folder).unwrap();
        Self { firewall, folder }
    }

    fn plimsoll(&self, arguments: &[&str]) -> Run {
        let mut command = std::process::Command::new(PLIMSOLL);
        command.args(arguments).env("PLIMSOLL_STATE_DIR", self.folder.join("state"));
        Run::of(command)
    }

    fn plan(&self) -> Value {
        let name = self.firewall.namespace().name();
        self.plimsoll(&["plan", "--netns", name, "--timeouts", "keep", "--watch-for", "0s", "--json"]).json()
    }

    /// Asks once from elsewhere: whether the question arrives, and how many entries it makes.
    fn asks(&self, port: u16) -> (Fate, usize) {
        let from: SocketAddr = "198.51.100.9:40000".parse().unwrap();
        let fate =
            self.firewall.arrives(Door::Outside, from, SocketAddr::new("192.0.2.1".parse().unwrap(), port)).unwrap();
        let lab = self.firewall.namespace();
        let made = lab.run(&["conntrack", "-L", "-p", "udp", "--src", "198.51.100.9"]).unwrap().lines().count();
        lab.run(&["conntrack", "-D", "-p", "udp", "--src", "198.51.100.9"]).ok();
        (fate, made)
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn bypasses(plan: &Value) -> Vec<Value> {
    let changes = plan["changes"].as_array().unwrap().iter();
    changes.filter(|change| change["edit"]["kind"] == "bypass").cloned().collect()
}

#[test]
fn a_service_that_needs_no_entries_makes_none_until_it_is_rolled_back() {
    let dns = Dns::behind(STATEFUL);
    assert_eq!((dns.asks(53), dns.asks(54)), ((Fate::Passed, 1), (Fate::Stopped, 0)));
    let mut plan = dns.plan();
    let found = bypasses(&plan);
    assert_eq!(found.len(), 1, "{plan:#}");
    let edit = serde_json::json!({"kind":"bypass","protocol":"udp","port":53,"flows":{"kind":"served_here"}});
    assert_eq!(found[0]["edit"], edit);
    assert!(found[0]["why"].as_str().unwrap().contains("would save"), "{found:#?}");

    plan["changes"] = found.into();
    let file = dns.folder.join("plan.json");
    fs::write(&file, plan.to_string()).unwrap();
    let name = dns.firewall.namespace().name();
    let apply = ["apply", file.to_str().unwrap(), "--netns", name, "--soak", "0", "--confirm-within"];
    let applied = dns.plimsoll(&[&apply[..], &["8s"]].concat());
    assert_eq!(applied.code, 0, "{applied:?}");
    assert_eq!((dns.asks(53), dns.asks(54)), ((Fate::Passed, 0), (Fate::Stopped, 0)));
    // Nobody is left who could undo it: the rules stop matching by themselves.
    kill_watchdogs(&dns.folder.join("state"));
    let until = Instant::now() + Duration::from_mins(1);
    while dns.asks(53).1 == 0 {
        assert!(Instant::now() < until, "it is untracked for ever");
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(dns.plimsoll(&["rollback"]).code, 0);
    let tables = || dns.firewall.namespace().run(&["nft", "list", "tables"]).unwrap();
    assert!(!tables().contains("plimsoll"));

    let again = dns.plimsoll(&[&apply[..], &["5m"]].concat());
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(dns.plimsoll(&["confirm", "--no-persist"]).code, 0);
    assert_eq!(dns.asks(53), (Fate::Passed, 0));
    assert_eq!(dns.plimsoll(&["rollback"]).code, 0);
    assert_eq!(dns.asks(53), (Fate::Passed, 1));
    assert!(!tables().contains("plimsoll"));
}

#[test]
fn what_the_firewall_would_take_otherwise_is_not_proposed_and_is_said_why() {
    let dns = Dns::behind("udp dport 53 ct state new ct count over 5000 drop; udp dport 53 accept;");
    let plan = dns.plan();
    assert_eq!(bypasses(&plan), Vec::<Value>::new());
    let because = passed_over(&plan);
    assert!(because.contains("would save") && because.contains("counted"), "{because}");
}

#[test]
fn with_the_rules_that_it_asks_for_the_firewall_means_the_same_and_it_is_proposed() {
    // Untracked questions would be dropped, and so would errors about the answers.
    let dns = Dns::behind("ct state established,related accept; udp dport 53 ct state new accept;");
    let plan = dns.plan();
    assert_eq!(bypasses(&plan), Vec::<Value>::new());
    let because = passed_over(&plan);
    assert!(because.contains("once these rules are in place"), "{because}");
    for command in because.split('`').skip(1).step_by(2) {
        let words = command.strip_prefix("nft ").unwrap_or_else(|| panic!("{command}"));
        dns.firewall.namespace().nft(&format!("{words}\n")).unwrap();
    }
    let plan = dns.plan();
    assert_eq!(bypasses(&plan).len(), 1, "{}", passed_over(&plan));
}

/// Why a service is left tracked.
fn passed_over(plan: &Value) -> String {
    let all = plan["passed_over"].as_array().unwrap().iter();
    let said = all.filter(|passed| passed["what"].as_str().unwrap().contains("no tracking"));
    said.map(|passed| passed["because"].as_str().unwrap()).collect::<Vec<_>>().join("\n")
}
