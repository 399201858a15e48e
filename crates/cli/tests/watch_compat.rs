//! `plimsoll watch --compat-metrics` beside the real `node_exporter`: the same names, types and values. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::collections::BTreeMap;

use plimsoll_lab::{LabNamespace, mixed_entries};
use support::watching::{Daemon, Running, await_that, curl, get};

const NODE_EXPORTER: &str = "127.0.0.1:9100";

/// Types and values of the metrics whose names begin so.
fn told(metrics: &str) -> BTreeMap<String, (String, f64)> {
    let mut kinds = BTreeMap::new();
    let mut told = BTreeMap::new();
    for line in metrics.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            kinds.insert(name.to_string(), kind.to_string());
        } else if let Some((name, value)) = line.strip_prefix("node_nf_conntrack").and_then(|line| line.split_once(' '))
        {
            let name = format!("node_nf_conntrack{name}");
            told.insert(name.clone(), (kinds[&name].clone(), value.parse().unwrap()));
        }
    }
    told
}

#[test]
fn names_types_and_values_are_those_of_node_exporter() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(mixed_entries(5000)).unwrap();
    // Counters that are not all 0: entries made by hand, and packets that cannot be tracked.
    lab.fill(mixed_entries(10)).unwrap_err();
    let words = [
        "prometheus-node-exporter",
        "--collector.disable-defaults",
        "--collector.conntrack",
        "--web.listen-address",
        NODE_EXPORTER,
    ];
    let _node_exporter = Running::begin(&lab, &words);
    let _daemon = Daemon::begin(&lab, &["--compat-metrics"]);
    let theirs = || curl(&lab, &[&format!("http://{NODE_EXPORTER}/metrics")]).map(|metrics| told(&metrics));
    let ours = || get(&lab, "/metrics").map(|metrics| told(&metrics));

    // Each scrape makes an entry of its own, and the daemon reads each second: they agree once nothing has changed between.
    let mut last = (None, None);
    await_that("both to tell the same", || {
        last = (theirs(), ours());
        match &last {
            (Some(theirs), Some(ours)) if !ours.is_empty() => {
                let names = |told: &BTreeMap<String, (String, f64)>| told.keys().cloned().collect::<Vec<_>>();
                assert_eq!(names(theirs), names(ours));
                theirs.iter().all(|(name, (kind, value))| {
                    let (of_ours, is) = &ours[name];
                    let slack = if name == "node_nf_conntrack_entries" { 5.0 } else { 0.0 };
                    kind == of_ours && (value - is).abs() <= slack
                })
            }
            _ => false,
        }
    });
    let theirs = last.0.unwrap();
    assert!(theirs["node_nf_conntrack_entries"].1 > 4000.0, "{theirs:#?}");
}
