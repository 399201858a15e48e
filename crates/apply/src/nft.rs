//! nft(8), in the calling thread's network namespace.

use std::env;
use std::io::Write;
use std::process::{Command, Stdio};

use plimsoll_model::Untrusted;
use plimsoll_render::Way;
use serde_json::Value;

use crate::Error;
use crate::own_rules::{RulesName, TABLE};
use crate::untracked::Packets;

/// Checks commands without carrying them out.
pub(crate) fn check(commands: &str) -> Result<(), Error> {
    nft(&["-c", "-f", "-"], commands).map(drop)
}

/// Carries commands out, all or none.
pub(crate) fn load(commands: &str) -> Result<(), Error> {
    nft(&["-f", "-"], commands).map(drop)
}

/// The rules in Plimsoll's table.
pub(crate) fn rules() -> Result<Vec<RulesName>, Error> {
    let objects = objects()?;
    let sets = objects.iter().filter_map(|object| object.get("set")?.get("name")?.as_str());
    Ok(sets.filter_map(RulesName::of_set).collect())
}

/// What the rules of a bypass have counted.
pub(crate) fn packets(name: &RulesName) -> Result<Packets, Error> {
    let question = format!("list counters table {TABLE}");
    let malformed = |answer: String| Error::Program { command: format!("nft -j {question}"), answer };
    let listed: Value = serde_json::from_str(&json(&question)?).map_err(|error| malformed(error.to_string()))?;
    let counted = |way: Way| {
        let counter = plimsoll_render::counter_in_nft(way, &name.to_string());
        let mut counters = listed["nftables"].as_array().into_iter().flatten().map(|object| &object["counter"]);
        let packets = counters.find(|found| found["name"] == counter).and_then(|found| found["packets"].as_u64());
        packets.ok_or_else(|| malformed(format!("there is no counter {counter}")))
    };
    Ok(Packets { requests: counted(Way::ToService)?, answers: counted(Way::FromService)? })
}

/// Removes all that belongs to rules, and the table with it where nothing else is in it.
pub(crate) fn remove(name: &RulesName) -> Result<(), Error> {
    let parts: Vec<_> = objects()?.iter().flat_map(parts).collect();
    let (own, others): (Vec<_>, Vec<_>) = parts.iter().partition(|part| name.owns(&part.name));
    if others.is_empty() {
        return load(&format!("delete table {TABLE}\n"));
    }
    // In this order: chains use the others.
    let of_kind = |kind: &'static str| own.iter().filter(move |part| part.kind == kind);
    let deletions = ["chain", "set", "ct timeout", "counter"].into_iter().flat_map(of_kind);
    load(&deletions.map(|Part { kind, name }| format!("delete {kind} {TABLE} {name}\n")).collect::<Vec<_>>().concat())
}

/// What a table holds: a chain, a set, a `ct timeout`, a counter, or something of somebody else's.
struct Part {
    kind: String,
    name: String,
}

/// The parts in one object that nft lists. What rules are in is told by their chain.
fn parts(object: &Value) -> Vec<Part> {
    let named = |(kind, part): (&String, &Value)| match kind.as_str() {
        "metainfo" | "table" | "rule" => None,
        _ => Some(Part { kind: kind.clone(), name: part["name"].as_str().unwrap_or_default().to_string() }),
    };
    object.as_object().into_iter().flatten().filter_map(named).collect()
}

/// The application that made the shield which is there; `None` where there is none of Plimsoll's.
pub(crate) fn shield() -> Result<Option<u32>, Error> {
    // Without the elements of sets: a flood fills them.
    let objects = objects_of(plimsoll_shield::TABLE, &["-t"])?;
    let sets = objects.iter().filter_map(|object| object.get("set")?.get("name")?.as_str());
    Ok(plimsoll_shield::made_by(sets))
}

/// Whether a table is there, whoever made it.
pub(crate) fn is_there(table: &str) -> Result<bool, Error> {
    Ok(nft(&["list", "tables"], "")?.lines().any(|line| line.trim() == format!("table {table}")))
}

/// What nft writes as JSON when it is asked so.
pub(crate) fn json(question: &str) -> Result<String, Error> {
    let arguments: Vec<_> = ["-j"].into_iter().chain(question.split(' ')).collect();
    nft(&arguments, "")
}

/// What is in the table; nothing where there is no such table.
fn objects() -> Result<Vec<Value>, Error> {
    objects_of(TABLE, &[])
}

fn objects_of(table: &str, options: &[&str]) -> Result<Vec<Value>, Error> {
    // Asked first: a table that is not there is an error for nft like any other.
    if !is_there(table)? {
        return Ok(Vec::new());
    }
    let asked = options.iter().copied().chain(["-j", "list", "table"]).chain(table.split(' ')).collect::<Vec<_>>();
    let listed: Value = serde_json::from_str(&nft(&asked, "")?)
        .map_err(|error| Error::Program { command: format!("nft {}", asked.join(" ")), answer: error.to_string() })?;
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
    let mut child = child.map_err(|error| failed(&format!("{error}: rules take the package nftables")))?;
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(|error| failed(&error.to_string()))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    written.map_err(|error| failed(&error.to_string()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
