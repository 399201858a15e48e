//! The laws that the crates' dependencies keep: what is pure never comes to depend on the kernel boundary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Crates that do no I/O, read no clock and draw no unseeded number; those of them that are not written yet are named
/// already.
const PURE: [&str; 20] = [
    "model",
    "draw",
    "attribute",
    "census",
    "churn",
    "diagnose",
    "scenario",
    "plan",
    "twin",
    "rules",
    "shield",
    "simulate",
    "capture",
    "render",
    "recording",
    "survival",
    "forecast",
    "monitoring",
    "proxies",
    "top",
];

/// The kernel boundary, and whatever reaches it.
const BOUNDARY: [&str; 15] = [
    "ctnetlink",
    "host",
    "observe",
    "lab",
    "guest",
    "apply",
    "trim",
    "archive",
    "record",
    "govern",
    "watch",
    "notify",
    "kube",
    "web",
    "xdp",
];

/// Crates from others that reach the outside world.
const OUTSIDE: [&str; 4] = ["rustix", "libc", "nix", "tokio"];

/// What tells the machine about memory, for whoever has much of it.
const HINTS: &str = "hints";

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let short = |name: &Value| name.as_str().expect("a name").trim_start_matches("plimsoll-").to_string();
    let packages = metadata["packages"].as_array().expect("packages").iter();
    packages
        .map(|package| {
            let all = package["dependencies"].as_array().expect("dependencies").iter();
            let normal = all.filter(|dependency| dependency["kind"].is_null());
            (short(&package["name"]), normal.map(|dependency| short(&dependency["name"])).collect())
        })
        .collect()
}

/// All that a crate comes to depend on within the workspace, and what those take from outside.
fn reach(of: &str, dependencies: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut todo = vec![of.to_string()];
    while let Some(next) = todo.pop() {
        for dependency in dependencies.get(&next).into_iter().flatten() {
            if reached.insert(dependency.clone()) {
                todo.push(dependency.clone());
            }
        }
    }
    reached
}

#[test]
fn pure_crates_reach_neither_the_kernel_nor_the_outside() {
    let mut dependencies = dependencies();
    // Its hints change nothing but how soon memory comes, and it can do no more than what it takes libc for.
    let hints = dependencies.remove(HINTS).unwrap_or_default();
    assert!(hints.iter().all(|dependency| dependency == "libc"), "{HINTS} takes {hints:?}");
    let written: Vec<_> = PURE.into_iter().filter(|name| dependencies.contains_key(*name)).collect();
    assert!(written.len() >= 4, "{written:?}");
    for name in written {
        let reached = reach(name, &dependencies);
        let forbidden: Vec<_> = BOUNDARY.iter().chain(&OUTSIDE).filter(|other| reached.contains(**other)).collect();
        assert!(forbidden.is_empty(), "{name} has come to depend on {forbidden:?}");
    }
}

#[test]
fn the_product_does_not_contain_the_guest_runner() {
    assert!(!reach("cli", &dependencies()).contains("guest"));
}

#[test]
fn anyhow_is_in_the_binary_only() {
    for (name, dependencies) in dependencies() {
        assert!(name == "cli" || !dependencies.contains("anyhow"), "{name} takes anyhow");
    }
}
