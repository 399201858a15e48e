//! What is said of rulesets, held against the kernel: packets are sent through namespaces in which they are loaded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod bypass;
mod fixture;
mod probe;
mod proxied;

use std::collections::BTreeMap;

use fixture::{Fixture, all};
use plimsoll_lab::{Fate, Firewall};
use plimsoll_rules::{Effect, Outcome, Ruleset, Tracking};
use probe::{Probe, probes};

/// What the rules make of a packet, where that is certain.
fn foretold(ruleset: &Ruleset, probe: &Probe, tracking: Tracking) -> Option<Fate> {
    let paths = ruleset.evaluate(&probe.class(), tracking).unwrap();
    assert!(!paths.is_empty(), "{probe:?} comes to no end");
    let translates = |effect: &Effect| matches!(effect, Effect::TranslateDestination(_) | Effect::TranslateSource(_));
    if paths.iter().flat_map(|path| &path.effects).any(|done| translates(&done.effect)) {
        return None;
    }
    let mut fates: Vec<_> = paths
        .iter()
        .map(|path| match path.outcome {
            Outcome::Accept => Some(Fate::Passed),
            Outcome::Drop | Outcome::Reject(_) => Some(Fate::Stopped),
            _ => None,
        })
        .collect();
    fates.sort_unstable();
    fates.dedup();
    match fates.as_slice() {
        [one] => *one,
        _ => None,
    }
}

#[test]
fn what_is_foretold_of_packets_is_what_becomes_of_them() {
    let mut certain: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for fixture in all() {
        for tracking in probe::TRACKINGS {
            let firewall = Firewall::build().unwrap();
            fixture.load(firewall.namespace());
            let ruleset = fixture::read(&firewall);
            if tracking == Tracking::Untracked {
                firewall.namespace().nft(probe::ALL_UNTRACKED).unwrap();
            }
            for probe in probes(1, 150) {
                probe.prepare(&firewall, tracking);
                let fate = match tracking {
                    Tracking::Invalid => probe.send_malformed(&firewall),
                    _ => Some(probe.send(&firewall)),
                };
                let Some(fate) = fate else { continue };
                let count = certain.entry(fixture.to_string()).or_default();
                count.1 += 1;
                let Some(foretold) = foretold(&ruleset, &probe, tracking) else { continue };
                count.0 += 1;
                if fate != foretold {
                    wrong
                        .push(format!("{fixture}: {tracking:?} {probe:?}: {foretold:?} was foretold, {fate:?} it was"));
                }
            }
        }
    }
    for (fixture, (certain, all)) in &certain {
        println!("{fixture}: {certain} of {all} foretold");
    }
    assert!(
        wrong.is_empty(),
        "{} wrong, {}",
        wrong.len(),
        wrong.iter().take(12).cloned().collect::<Vec<_>>().join("\n")
    );
    for (fixture, (certain, all)) in certain {
        // What is in an ipset is not reckoned, and kube-proxy in IPVS mode leads by these.
        let least = if fixture.starts_with("kube-ipvs") { all / 4 } else { all / 2 };
        assert!(certain > least, "{fixture}: only {certain} of {all} foretold");
    }
}

/// Tables, those of the older kind, and whether packets are tracked: what reading could change.
fn footprint(firewall: &Firewall) -> (String, String, String, u64) {
    let run = |command: &[&str]| firewall.namespace().run(command).unwrap();
    let names = |path: &str| run(&["sh", "-c", &format!("cat {path} 2>/dev/null; true")]);
    for probe in probes(7, 4) {
        probe.send(firewall);
    }
    let entries = firewall.namespace().run(&["conntrack", "-C"]).unwrap().trim().parse().unwrap();
    (run(&["nft", "list", "tables"]), names("/proc/net/ip_tables_names"), names("/proc/net/ip6_tables_names"), entries)
}

#[test]
fn reading_makes_no_table_and_no_hook() {
    let fixtures = all();
    let none = Fixture::empty();
    for fixture in [&none].into_iter().chain(&fixtures) {
        let firewall = Firewall::build().unwrap();
        fixture.load(firewall.namespace());
        let (tables, names, names6, entries) = footprint(&firewall);
        let ruleset = fixture::read(&firewall);
        let after = footprint(&firewall);
        assert_eq!((&tables, &names, &names6), (&after.0, &after.1, &after.2), "{fixture}");
        assert!(ruleset.unknown.is_empty(), "{fixture}: {:?}", ruleset.unknown);
        if fixture.is_empty() {
            assert_eq!(
                (tables.as_str(), names.as_str(), entries, after.3),
                ("", "", 0, 0),
                "nothing is tracked without rules"
            );
            assert!(ruleset.tables.is_empty());
        }
    }
}
