//! Services that are not tracked: planned, judged by the rules in force, applied, and back. On the real kernel; needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_ctnetlink::NewEntry;
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
        let limit = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max").unwrap();
        let limit: u32 = limit.trim().parse().unwrap();
        Self::with(rules, entries(Kind::UdpUnreplied, 0, limit / 20 * 19))
    }

    fn with(rules: &str, held: impl Iterator<Item = NewEntry> + Send) -> Self {
        let firewall = Firewall::build().unwrap();
        let lab = firewall.namespace();
        lab.nft(&format!(
            "table inet filter {{ chain input {{ type filter hook input priority 0; policy drop; {rules} }}; }}\n"
        ))
        .unwrap();
        lab.fill(held).unwrap();
        let folder = lab.folder().unwrap();
        Self { firewall, folder }
    }

    fn plimsoll(&self, arguments: &[&str]) -> Run {
        let mut command = std::process::Command::new(PLIMSOLL);
        command.args(arguments).env("PLIMSOLL_STATE_DIR", self.folder.join("state"));
        Run::of(command)
    }

    fn plan(&self) -> Value {
        self.plan_with(&[])
    }

    fn plan_with(&self, options: &[&str]) -> Value {
        let name = self.firewall.namespace().name();
        let asked = ["plan", "--netns", name, "--timeouts", "keep", "--watch-for", "0s", "--json"];
        self.plimsoll(&[&asked[..], options].concat()).json()
    }

    /// Leaves to itself only what a plan proposes not to track, and applies that while something else is done again and again.
    fn applies(&self, mut plan: Value, arguments: &[&str], meanwhile: impl Fn() + Sync) -> Run {
        plan["changes"] = bypasses(&plan).into();
        let file = self.folder.join("plan.json");
        fs::write(&file, plan.to_string()).unwrap();
        let apply = ["apply", file.to_str().unwrap(), "--netns", self.firewall.namespace().name()];
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    meanwhile();
                    // As often as traffic goes that is not to hold the machine.
                    thread::sleep(Duration::from_millis(10));
                }
            });
            let run = self.plimsoll(&[&apply[..], arguments].concat());
            is_done.store(true, Ordering::Relaxed);
            run
        })
    }

    /// Whether rules of Plimsoll's are there.
    fn has_rules(&self) -> bool {
        self.firewall.namespace().run(&["nft", "list", "tables"]).unwrap().contains("plimsoll")
    }

    fn asked(&self) -> Fate {
        let (from, to) = ("198.51.100.9:40000".parse().unwrap(), "192.0.2.1:53".parse().unwrap());
        self.firewall.arrives(Door::Outside, from, to).unwrap()
    }

    fn answers(&self) -> Fate {
        let (from, to) = ("192.0.2.1:53".parse().unwrap(), "198.51.100.9:40000".parse().unwrap());
        self.firewall.leaves(Door::Outside, from, to).unwrap()
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
        kill_watchdogs(&self.folder.join("state"));
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
    const RULES: &str = "ct state established,related accept; udp dport 53 ct state new accept;";
    let dns = Dns::behind(RULES);
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

    // Why these rules are the firewall's to keep: a reload that forgets them leaves `notrack` as it is, and an accept of another table's,
    // before or after, lets nothing pass that the firewall drops.
    assert_eq!(dns.applies(plan.clone(), &["--soak", "0"], || {}).code, 0);
    let passed = || (0..100).filter(|_| dns.asked() == Fate::Passed).count();
    assert_eq!(passed(), 100);
    let rules = RULES.replace("; ", "\nadd rule inet filter input ");
    let rules = rules.trim_end_matches(';');
    let reload = format!("flush chain inet filter input\nadd rule inet filter input {rules}\n");
    let accept = |priority: i32| {
        format!("chain c{} {{ type filter hook input priority {priority}; udp dport 53 accept; }};", priority + 10)
    };
    let elsewhere = format!("table inet elsewhere {{ {} {} }}\n", accept(-10), accept(10));
    dns.firewall.namespace().nft(&(reload + &elsewhere)).unwrap();
    assert_eq!(passed(), 0);
    assert_eq!(dns.plimsoll(&["rollback"]).code, 0);
    assert_eq!(passed(), 100);
    let again = dns.applies(plan, &["--soak", "0"], || {});
    assert!(again.code == 3 && again.stderr.contains("without these rules, which are not there"), "{again:?}");
}

/// Answered flows of the service.
fn answered(count: u32) -> impl Iterator<Item = NewEntry> {
    entries(Kind::UdpStream, 0, count)
}

const SOON: [&str; 3] = ["--soak", "2s", "--json"];

#[test]
fn a_table_with_room_is_looked_at_where_that_is_asked_for_and_what_is_applied_is_watched() {
    let dns = Dns::with(STATEFUL, answered(200));
    assert_eq!(bypasses(&dns.plan()), Vec::<Value>::new());
    let plan = dns.plan_with(&["--bypass"]);
    assert_eq!(bypasses(&plan)[0]["saves"]["entries"]["low"], 200 - 16, "one source is this host itself: {plan:#}");
    let run = dns.applies(plan, &SOON, || assert_eq!((dns.asked(), dns.answers()), (Fate::Passed, Fate::Passed)));
    assert_eq!(run.code, 0, "{run:?}");
    let seen = &run.json()["changes"][0]["untracked"];
    assert!(seen["packets"]["requests"].as_u64().unwrap() >= 2, "{seen:#}");
    assert!(seen["packets"]["answers"].as_u64().unwrap() >= 2, "{seen:#}");
    assert_eq!((&seen["is_whole"], &seen["came"], &seen["doubts"]), (&true.into(), &0.into(), &Value::Array(vec![])));
    // The flow that was played before the rules were there is among them.
    assert!(seen["before"].as_u64().unwrap() >= 200 - 16, "{seen:#}");
    assert_eq!(dns.plimsoll(&["rollback"]).code, 0);
    assert!(!dns.has_rules());
}

#[test]
fn entries_that_come_still_are_told() {
    let dns = Dns::with(STATEFUL, answered(200));
    let plan = dns.plan_with(&["--bypass"]);
    // Made by somebody else: what the rules do not see.
    let number = AtomicU32::new(1000);
    let run = dns.applies(plan, &SOON, || {
        let first = number.fetch_add(1, Ordering::Relaxed);
        dns.firewall.namespace().fill(entries(Kind::UdpUnreplied, first, 1)).unwrap();
    });
    assert_eq!(run.code, 0, "{run:?}");
    let seen = &run.json()["changes"][0]["untracked"];
    assert!(seen["came"].as_u64().unwrap() > 0, "{seen:#}");
    assert_eq!(seen["doubts"], serde_json::json!(["entries_come", "nothing_seen"]));
}

#[test]
fn a_service_that_is_answered_no_more_is_tracked_again() {
    let dns = Dns::with(STATEFUL, answered(200));
    let plan = dns.plan_with(&["--bypass"]);
    let long = ["--soak", "6s", "--json"];
    let asked = || assert_eq!(dns.asked(), Fate::Passed);
    let run = dns.applies(plan, &long, asked);
    assert_eq!(run.code, 1, "{run:?}");
    let because = &run.json()["because"];
    assert_eq!((&because["why"], &because["signal"]), (&"worse".into(), &"answers".into()), "{because:#}");
    assert!(!dns.has_rules());
}

#[test]
fn a_plan_is_judged_again_when_it_is_applied() {
    let dns = Dns::with(STATEFUL, answered(200));
    let plan = dns.plan_with(&["--bypass"]);
    assert_eq!(bypasses(&plan).len(), 1, "{plan:#}");
    dns.firewall
        .namespace()
        .nft("insert rule inet filter input udp dport 53 ct state new ct count over 5000 drop\n")
        .unwrap();
    for arguments in [&["--soak", "0", "--dry-run"][..], &["--soak", "0"]] {
        let run = dns.applies(plan.clone(), arguments, || {});
        assert_eq!(run.code, 3, "{run:?}");
        assert!(run.stderr.contains("is not done") && run.stderr.contains("counted"), "{run:?}");
    }
    assert!(!dns.has_rules() && plimsoll_apply::history(&dns.folder.join("state")).unwrap().is_empty());
}

/// A firewall that was loaded anew after the rules were made.
#[test]
fn what_is_not_safe_any_more_is_not_kept() {
    let dns = Dns::with(STATEFUL, answered(200));
    let run = dns.applies(dns.plan_with(&["--bypass"]), &["--soak", "0"], || {});
    assert!(run.code == 0 && dns.has_rules(), "{run:?}");
    let firewall = dns.firewall.namespace();
    firewall.nft("insert rule inet filter input udp dport 53 ct state new ct count over 5000 drop\n").unwrap();
    let refused = dns.plimsoll(&["confirm", "--no-persist"]);
    assert!(refused.code != 0 && refused.stderr.contains("counted"), "{refused:?}");
    assert_eq!(dns.plimsoll(&["rollback"]).code, 0);
    assert!(!dns.has_rules());
}

/// Why a service is left tracked.
fn passed_over(plan: &Value) -> String {
    let all = plan["passed_over"].as_array().unwrap().iter();
    let said = all.filter(|passed| passed["what"].as_str().unwrap().contains("no tracking"));
    said.map(|passed| passed["because"].as_str().unwrap()).collect::<Vec<_>>().join("\n")
}
