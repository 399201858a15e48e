//! The JSON documents of `explain`. `docs/json.md` describes every key.

use plimsoll_model::FindingId;
use serde::Serialize;

use super::near::near;
use super::pages::{Page, Section};

/// Rises when a key changes its meaning or goes away; new keys do not raise it.
const SCHEMA: &str = "plimsoll.explain/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    id: FindingId,
    title: &'a str,
    sections: &'a [Section],
}

#[derive(Serialize)]
struct List<'a> {
    schema: &'static str,
    findings: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    id: FindingId,
    title: &'a str,
}

/// One page.
pub(super) fn page(page: &Page) -> anyhow::Result<String> {
    let document = Document { schema: SCHEMA, id: page.id, title: page.title, sections: &page.sections };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// Every page's id and title.
pub(super) fn list(pages: &[Page]) -> anyhow::Result<String> {
    let findings = pages.iter().map(|page| Line { id: page.id, title: page.title }).collect();
    Ok(serde_json::to_string_pretty(&List { schema: SCHEMA, findings })? + "\n")
}

/// The document where there is no such page.
pub(super) fn failed(asked: &str, error: &anyhow::Error) -> String {
    let document = serde_json::json!({ "schema": SCHEMA, "error": error.to_string(), "near": near(asked) });
    format!("{document:#}\n")
}
