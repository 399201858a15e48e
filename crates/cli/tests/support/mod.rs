//! Running the real `plimsoll`, as its users do.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::process::{Command, Output};

use plimsoll_lab::LabNamespace;
use serde_json::Value;

pub(crate) const PLIMSOLL: &str = env!("CARGO_BIN_EXE_plimsoll");

/// What a run of `plimsoll` came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(mut command: Command) -> Self {
        let Output { status, stdout, stderr } = command.output().expect("plimsoll runs");
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
