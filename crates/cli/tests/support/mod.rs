//! Running the real `plimsoll`, as its users do.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod applying;
pub(crate) mod guest;
pub(crate) mod killed;
pub(crate) mod packets;
pub(crate) mod recorded;
pub(crate) mod recording;
pub(crate) mod shielding;
pub(crate) mod watching;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use plimsoll_lab::LabNamespace;
use serde_json::Value;
use tempfile::NamedTempFile;

pub(crate) const PLIMSOLL: &str = env!("CARGO_BIN_EXE_plimsoll");

/// A kernel's own settings for `simulate`, so that this host's do not matter.
pub(crate) const KERNEL: [&str; 4] = ["--kernel", "6.1", "--ram", "16G"];

/// What a run of `plimsoll` came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(mut command: Command) -> Self {
        Self::read(command.output().expect("plimsoll runs"))
    }

    pub(crate) fn read(Output { status, stdout, stderr }: Output) -> Self {
        Self {
            code: status.code().unwrap_or_else(|| panic!("killed: {status}")),
            stdout: String::from_utf8(stdout).expect("UTF-8"),
            stderr: String::from_utf8(stderr).expect("UTF-8"),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs `plimsoll` where the test runs.
pub(crate) fn plimsoll(arguments: &[&str]) -> Run {
    let mut command = Command::new(PLIMSOLL);
    command.args(arguments);
    Run::of(command)
}

/// Runs `plimsoll` as a user without rights, from a copy that everybody may run.
pub(crate) fn as_nobody(arguments: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("plimsoll");
    fs::copy(PLIMSOLL, &copy).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]).arg(&copy).args(arguments);
    Run::of(command)
}

/// Runs `plimsoll` in a namespace.
pub(crate) fn plimsoll_in(namespace: &LabNamespace, arguments: &[&str]) -> Run {
    namespace.enter(|| plimsoll(arguments)).expect("the namespace can be entered")
}

/// The namespace of a name in a document.
pub(crate) fn namespace<'a>(document: &'a Value, name: &str) -> &'a Value {
    let namespaces = document["namespaces"].as_array().expect("namespaces");
    namespaces.iter().find(|ns| ns["name"] == name).unwrap_or_else(|| panic!("no {name} in {document:#}"))
}

/// The finding of an id in a document; `Null` where there is none.
pub(crate) fn finding<'a>(document: &'a Value, id: &str) -> &'a Value {
    let findings = document["findings"].as_array().expect("findings");
    findings.iter().find(|finding| finding["id"] == id).unwrap_or(&Value::Null)
}

/// A scenario that is being played: its namespace is there, and packets are sent. It ends, and cleans up, when dropped.
#[derive(Debug)]
pub(crate) struct Playing {
    lab: Child,
    pub(crate) namespace: String,
}

impl Playing {
    pub(crate) fn begin(scenario: &str) -> Self {
        let mut command = Command::new(PLIMSOLL);
        // Whatever else this machine tracks meanwhile.
        command.args(["lab", "run", scenario, "--on-this-host"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut lab = command.spawn().expect("plimsoll runs");
        let mut told = Vec::new();
        let place = BufReader::new(lab.stderr.take().expect("a pipe")).lines().map_while(Result::ok).find_map(|line| {
            let place = line.split_once("plimsoll check --netns ").map(|(_, namespace)| namespace.to_string());
            told.push(line);
            place
        });
        Self { namespace: place.unwrap_or_else(|| panic!("the lab does not say where to look: {told:#?}")), lab }
    }

    /// Sends a signal to the lab, and waits for its end.
    pub(crate) fn signal(&mut self, signal: &str) -> ExitStatus {
        let status = Command::new("kill").args([signal, &self.lab.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
        self.lab.wait().expect("it ends")
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        if let Ok(None) = self.lab.try_wait() {
            self.signal("-TERM");
        }
    }
}

/// A scenario of somebody's own, removed when dropped.
#[derive(Debug)]
pub(crate) struct ScenarioFile(NamedTempFile);

impl ScenarioFile {
    pub(crate) fn new(text: &str) -> Self {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
        file.write_all(text.as_bytes()).expect("the file is written");
        Self(file)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.path().to_str().expect("UTF-8")
    }
}

/// Every key of a document, but for those of maps that are described where they come from.
pub(crate) fn collect_keys(value: &Value, keys: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                if !["capabilities", "counters"].contains(&key.as_str()) {
                    collect_keys(value, keys);
                }
                keys.push(key.clone());
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect_keys(value, keys)),
        _ => {}
    }
}
