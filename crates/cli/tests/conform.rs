//! `plimsoll lab conform`, as its users run it. Needs root: it makes network namespaces and TUN devices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{PLIMSOLL, Run, plimsoll};

/// Runs `plimsoll lab conform`, and looks whether it leaves anything.
fn conform(arguments: &[&str]) -> Run {
    let running = Command::new(PLIMSOLL)
        .args(["lab", "conform", "--on-this-host"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let process = running.id();
    let run = Run::read(running.wait_with_output().unwrap());
    assert_eq!(namespaces_of(process), Vec::<String>::new(), "nothing is left");
    run
}

/// The namespaces that a process has made for its lab. Others' labs may live meanwhile.
fn namespaces_of(process: u32) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir("/run/netns") else { return Vec::new() };
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(&format!("plimsoll-lab-{process}-"))).collect()
}

#[test]
fn agreement_is_told_to_people_and_to_programs() {
    let told = conform(&["--packets", "20000"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("  window_excess      "), "{told:?}");
    assert!(told.stdout.contains("The twin agrees with this kernel in every flow"), "{told:?}");
    assert!(!told.stdout.contains('\u{1b}'), "a pipe gets no colour");

    let json = conform(&["--packets", "20000", "--seed", "3", "--json"]);
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
}

#[test]
fn an_interrupted_run_says_so_and_leaves_nothing() {
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
    // One after the other comes and goes.
    while namespaces_of(running.id()).is_empty() {
        assert_eq!(running.try_wait().unwrap(), None, "it ended before it had made any");
        std::thread::sleep(Duration::from_millis(1));
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
    assert_eq!(namespaces_of(running.id()), Vec::<String>::new(), "nothing is left");
}

#[test]
fn wrong_input_is_refused() {
    for wrong in [["--packets", "0"], ["--packets", "many"], ["--seed", "x"]] {
        let run = plimsoll(&["lab", "conform", wrong[0], wrong[1]]);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
        assert!(run.stderr.contains(wrong[0]), "{run:?}");
    }
}
