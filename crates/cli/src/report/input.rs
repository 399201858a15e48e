//! What a file is.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use plimsoll_model::Untrusted;
use serde_json::Value;

use super::document::{CheckDocument, PlanDocument};
use crate::files::{open_regular, read_at_most};
use crate::recording::Recording;

/// A check of five thousand namespaces has about twenty.
const MOST_BYTES: u64 = 64 << 20;

/// What a page is made of.
#[derive(Debug)]
pub(super) enum Source {
    Check(Box<CheckDocument>),
    Plan(Box<PlanDocument>),
    Recording(Box<Recording>),
}

impl Source {
    /// What is in a file, or in a directory, or comes in.
    pub(super) fn read(name: &str) -> anyhow::Result<Self> {
        let shown = Untrusted::from(name);
        let text = if name == "-" {
            read_at_most(io::stdin().lock(), MOST_BYTES)
        } else if fs::metadata(name).is_ok_and(|file| file.is_dir()) {
            return Ok(Self::Recording(Box::new(Recording::open(Path::new(name))?)));
        } else {
            open_regular(name).and_then(|file| read_at_most(file, MOST_BYTES))
        };
        let text = text.with_context(|| format!("report: reading {shown}"))?;
        let known =
            "it takes what `plimsoll check --json` or `plimsoll plan --json` wrote, or the directory of a recording";
        let document =
            serde_json::from_str(&text).map_err(|error| anyhow!("report: {shown} is no JSON ({error}): {known}"))?;
        Self::of(document).with_context(|| format!("report: {shown}: {known}"))
    }

    /// What a document is, by its schema.
    pub(super) fn of(document: Value) -> anyhow::Result<Self> {
        let schema = document.get("schema").and_then(Value::as_str).unwrap_or_default().to_string();
        match schema.as_str() {
            "plimsoll.check/1" => Ok(Self::Check(Box::new(serde_json::from_value(document)?))),
            "plimsoll.plan/1" => Ok(Self::Plan(Box::new(serde_json::from_value(document)?))),
            "" => bail!("it does not say what it is"),
            other => bail!("its schema is {}", Untrusted::from(other)),
        }
    }
}
