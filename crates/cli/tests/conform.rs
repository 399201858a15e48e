//! `plimsoll lab conform`, as its users run it. Needs root: it makes network namespaces and TUN devices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{PLIMSOLL, plimsoll};

/// Namespaces that labs have left.
fn left() -> BTreeSet<String> {
    let Ok(folder) = std::fs::read_dir("/run/netns") else { return BTreeSet::new() };
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| maker(name).is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists())).collect()
}

/// The process that has made a namespace of a lab. Of other labs some may live meanwhile.
fn maker(name: &str) -> Option<u32> {
    name.strip_prefix("plimsoll-lab-")?.split('-').next()?.parse().ok()
}

#[test]
fn agreement_is_told_to_people_and_to_programs() {
    let before = left();
    let told = plimsoll(&["lab", "conform", "--packets", "20000", "--on-this-host"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("  window_excess      "), "{told:?}");
    assert!(told.stdout.contains("The twin agrees with this kernel in every flow"), "{told:?}");
    assert!(!told.stdout.contains('\u{1b}'), "a pipe gets no colour");

    let json = plimsoll(&["lab", "conform", "--packets", "20000", "--seed", "3", "--json", "--on-this-host"]);
    let document = json.json();
    assert_eq!((json.code, &document["schema"]), (0, &"plimsoll.conform/1".into()));
    assert_eq!((&document["seed"], &document["partial"]), (&3.into(), &false.into()));
    assert!(document["packets"].as_u64().unwrap() >= 20_000 && document["comparisons"].as_u64().unwrap() > 10_000);
    assert_eq!((&document["flows_that_differ"], &document["disagreements"]), (&0.into(), &Value::Array(Vec::new())));
    assert!(document["agreement_at_least"].as_f64().unwrap() > 0.99);
    let described = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/twin.md")).unwrap();
    for key in document.as_object().unwrap().keys() {
        assert!(described.contains(&format!("`{key}`")), "docs/twin.md does not say what {key} is");
    }
    for capability in document["capabilities"].as_array().unwrap() {
        let name = capability["name"].as_str().unwrap();
        assert!(described.contains(&format!("| `{name}` |")), "docs/twin.md does not say what {name} is");
    }
    assert!(left().is_subset(&before), "nothing is left");
}

#[test]
fn an_interrupted_run_says_so_and_leaves_nothing() {
    let before = left();
    let mut running = Command::new(PLIMSOLL)
        .args(["lab", "conform", "--packets", "50000000", "--json", "--on-this-host"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Once it plays.
    let mut progress = BufReader::new(running.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("Playing") {
        line.clear();
        assert_ne!(progress.read_line(&mut line).unwrap(), 0, "it ended early");
    }
    let kill = Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let mut written = String::new();
    running.stdout.take().unwrap().read_to_string(&mut written).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(3));
    if !written.is_empty() {
        let document: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(document["partial"], true);
    }
    assert!(left().is_subset(&before), "nothing is left");
}

#[test]
fn wrong_input_is_refused() {
    for wrong in [["--packets", "0"], ["--packets", "many"], ["--seed", "x"]] {
        let run = plimsoll(&["lab", "conform", wrong[0], wrong[1]]);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
        assert!(run.stderr.contains(wrong[0]), "{run:?}");
    }
}
