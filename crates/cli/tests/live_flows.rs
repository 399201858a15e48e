//! Ten thousand flows that live go on by the entries that they have, whatever `apply`, `trim` and `relieve` do meanwhile. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;
#[path = "../../trim/tests/support/mod.rs"]
mod trim_support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use plimsoll_ctnetlink::NewEntry;
use plimsoll_host::HostFs;
use plimsoll_lab::{ByHand, Kind, entries};
use plimsoll_model::{Sysctl, TcpState, Timeout};
use support::{PLIMSOLL, Run};
use trim_support::flows::{self, Flow};
use trim_support::played::{BETWEEN, FLOWS, NOW, play};
use trim_support::table;

/// A router with flows, and the journals of what is done to it.
struct Stage {
    router: ByHand,
    state_dir: PathBuf,
}

impl Stage {
    fn run(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new(PLIMSOLL);
        command.args(arguments).env("PLIMSOLL_STATE_DIR", &self.state_dir);
        self.router.namespace().enter(|| Run::of(command)).unwrap()
    }

    /// Sets timeouts as an operator would, so that the journals know of them.
    fn apply(&self, timeouts: &[(Timeout, u32)]) {
        let set =
            timeouts.iter().map(|(timeout, secs)| format!("--set={}={secs}", Sysctl::of_timeout(*timeout).unwrap()));
        let set: Vec<String> = set.collect();
        let arguments: Vec<&str> = ["apply", "--soak", "0"].into_iter().chain(set.iter().map(String::as_str)).collect();
        let applied = self.run(&arguments);
        assert_eq!(applied.code, 0, "{applied:?}");
        let confirmed = self.run(&["confirm", "--no-persist"]);
        assert_eq!(confirmed.code, 0, "{confirmed:?}");
    }

    fn ids(&self) -> BTreeMap<String, u32> {
        table(self.router.namespace()).into_iter().map(|(name, entry)| (name, entry.id)).collect()
    }
}

/// Connections that are over, and have been silent for half a minute, up to nine tenths of the limit.
fn stale() -> impl Iterator<Item = NewEntry> {
    let limit = HostFs::new().sysctl(Sysctl::CAPACITY).unwrap();
    entries(Kind::AssuredTcp(TcpState::TimeWait), 0, limit / 10 * 9 - FLOWS)
        .map(|entry| NewEntry { timeout_secs: 30, ..entry })
}

#[test]
fn ten_thousand_live_flows_go_on_through_two_applies_a_trim_and_a_relief() {
    let router = ByHand::build().unwrap();
    let stage = Stage { state_dir: router.namespace().folder().unwrap().join("journals"), router };
    let flows: Vec<Flow> = (0..FLOWS).map(Flow::of).collect();
    let third = flows.len() / 3;
    play(&stage.router, &flows[..third]);
    stage.apply(&BETWEEN);
    play(&stage.router, &flows[third..2 * third]);
    stage.apply(&NOW);
    play(&stage.router, &flows[2 * third..]);
    let before = stage.ids();
    assert_eq!(before.len(), flows.len());

    // The journals tell of the values in between: nothing has to be named.
    let trimmed = stage.run(&["trim", "--yes", "--json", "--as-if", "nf_conntrack_tcp_timeout_established=60"]).json();
    assert_eq!(trimmed["done"]["changed"], 0, "{trimmed:#}");
    assert!(!trimmed["armed"].as_array().unwrap().is_empty(), "{trimmed:#}");

    stage.router.namespace().fill(stale()).unwrap();
    let relieved = stage.run(&["relieve", "--netns", "this", "--yes", "--json", "--memory-share", "0.001%"]).json();
    let trimmed = &relieved["done"]["trimmed_by_state"];
    assert!(trimmed["tcp TIME_WAIT"].as_u64().is_some_and(|trimmed| trimmed > 100_000), "{relieved:#}");
    assert_eq!(trimmed["tcp ESTABLISHED"], serde_json::Value::Null);

    for flow in &flows {
        flow.go_on(&stage.router);
    }
    let after = stage.ids();
    // A SYN that nobody answers for long may lose its entry: the next one makes another.
    for flow in flows.iter().filter(|flow| flow.kind != flows::Kind::HalfOpen) {
        let address = flow.client().ip().to_string();
        let name = before.keys().find(|name| name.contains(&address)).unwrap();
        assert_eq!(before.get(name), after.get(name), "{flow:?} lost its entry");
    }
}
