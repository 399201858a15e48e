//! nft(8), in the calling thread's network namespace.

use std::env;
use std::io::Write;
use std::process::{Command, Stdio};

use plimsoll_model::Untrusted;
use serde_json::Value;

use crate::Error;
use crate::policy::{PolicyName, TABLE};

/// Checks commands without carrying them out.
pub(crate) fn check(commands: &str) -> Result<(), Error> {
    nft(&["-c", "-f", "-"], commands).map(drop)
}

/// Carries commands out, all or none.
pub(crate) fn load(commands: &str) -> Result<(), Error> {
    nft(&["-f", "-"], commands).map(drop)
}

/// The policies in Plimsoll's table.
pub(crate) fn policies() -> Result<Vec<PolicyName>, Error> {
    let objects = objects()?;
    let timeouts = objects.iter().filter_map(|object| object.get("ct timeout")?.get("name")?.as_str());
    Ok(timeouts.filter_map(PolicyName::parse).collect())
}

/// Whether the table holds a policy's parts and nothing else.
pub(crate) fn holds_nothing_but(name: &PolicyName) -> Result<bool, Error> {
    let suffix = format!("_{name}");
    let belongs = |object: &Value| {
        let parts = object.as_object().into_iter().flatten();
        parts.into_iter().all(|(kind, part)| match kind.as_str() {
            "metainfo" | "table" => true,
            "rule" => part["chain"].as_str().is_some_and(|chain| chain.ends_with(&suffix)),
            _ => part["name"].as_str().is_some_and(|own| own == name.to_string() || own.ends_with(&suffix)),
        })
    };
    Ok(objects()?.iter().all(belongs))
}

/// What is in the table; nothing where there is no such table.
fn objects() -> Result<Vec<Value>, Error> {
    let table: Vec<_> = ["-j", "list", "table"].into_iter().chain(TABLE.split(' ')).collect();
    // Asked first: a table that is not there is an error for nft like any other.
    let tables = nft(&["list", "tables"], "")?;
    if !tables.lines().any(|line| line.trim() == format!("table {TABLE}")) {
        return Ok(Vec::new());
    }
    let listed: Value = serde_json::from_str(&nft(&table, "")?)
        .map_err(|error| Error::Program { command: "nft -j list table".to_string(), answer: error.to_string() })?;
    Ok(listed["nftables"].as_array().cloned().unwrap_or_default())
}

fn nft(arguments: &[&str], input: &str) -> Result<String, Error> {
    let failed = |answer: &str| Error::Program {
        command: format!("nft {}", arguments.join(" ")),
        answer: Untrusted::from(answer.trim()).to_string(),
    };
    // A timer or a user's shell may not look where programs for root are.
    let path = format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default());
    let child = Command::new("nft")
        .args(arguments)
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child =
        child.map_err(|error| failed(&format!("{error}: policies of single services take the package nftables")))?;
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(|error| failed(&error.to_string()))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    written.map_err(|error| failed(&error.to_string()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
