//! What the tests of several files share: the programs that judge them, and where things are.
#![allow(dead_code, reason = "not every test uses all of it")]

pub(crate) mod promql;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use plimsoll_monitoring::Kind;
use serde_json::Value;

pub(crate) const DOCUMENT: &str = include_str!("../../../../docs/monitoring.md");

/// What `node_exporter` calls what is used here.
pub(crate) const NODE_EXPORTER: [&str; 8] = [
    "node_nf_conntrack_entries",
    "node_nf_conntrack_entries_limit",
    "node_nf_conntrack_stat_drop",
    "node_nf_conntrack_stat_early_drop",
    "node_nf_conntrack_stat_insert_failed",
    "node_netstat_TcpExt_SyncookiesSent",
    "node_memory_MemAvailable_bytes",
    "up",
];

pub(crate) fn file(kind: Kind) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging").join(kind.path())
}

/// A folder that is this test's own, empty.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("an old folder that can be removed");
    }
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// What a program said, and whether it succeeded. Fails where the program is not there.
pub(crate) fn ran(program: &str, arguments: &[&str], folder: &Path) -> (bool, String) {
    let output =
        Command::new(program).args(arguments).current_dir(folder).output().unwrap_or_else(|error| {
            panic!("{program} could not be run: {error}; scripts/test installs what is needed")
        });
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[track_caller]
pub(crate) fn succeeds(program: &str, arguments: &[&str], folder: &Path) {
    let (is_well, said) = ran(program, arguments, folder);
    assert!(is_well, "{program} {arguments:?}: {said}");
}

/// A YAML document, as Python reads it.
pub(crate) fn yaml(text: &str) -> Value {
    let [document] = <[Value; 1]>::try_from(yamls(text)).expect("one document");
    document
}

/// The YAML documents of a stream.
pub(crate) fn yamls(text: &str) -> Vec<Value> {
    const PROGRAM: &str =
        "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout, default=str)";
    let mut child = Command::new("python3")
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3, with python3-yaml");
    child.stdin.take().expect("its input").write_all(text.as_bytes()).expect("a reader");
    let output = child.wait_with_output().expect("its output");
    assert!(output.status.success(), "this is not YAML");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The cells of every table row of the document, whose first cell is code.
pub(crate) fn rows() -> impl Iterator<Item = (String, Vec<&'static str>)> {
    DOCUMENT.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix('|')?.trim_end_matches('|').split('|').map(str::trim).collect();
        let name = cells.first()?.strip_prefix('`')?.strip_suffix('`')?;
        Some((name.to_string(), cells))
    })
}

/// The metrics that the document describes, and `node_exporter`'s.
pub(crate) fn known_metrics() -> BTreeSet<String> {
    let described =
        rows().map(|(name, _)| name).filter(|name| name.starts_with("plimsoll_") || name.starts_with("process_"));
    described.chain(NODE_EXPORTER.map(String::from)).collect()
}

/// Every string that a key has, at any depth.
pub(crate) fn all_of<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if let (true, Some(text)) = (name == key, value.as_str()) {
                    found.push(text);
                }
                found.extend(all_of(value, key));
            }
        }
        Value::Array(values) => values.iter().for_each(|value| found.extend(all_of(value, key))),
        _ => {}
    }
    found
}

/// The objects in the array that a key has; none where there is no such key.
pub(crate) fn objects<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[track_caller]
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_else(|| panic!("no {key} in {value}"))
}
