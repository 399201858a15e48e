//! The JSON document of `check`. `docs/json.md` describes every key; what is here never changes its meaning within a
//! schema version.

use plimsoll_churn::{Churn, churn};
use plimsoll_diagnose::bytes_per_entry;
use plimsoll_model::{
    Capabilities, Elsewhere, Finding, Host, KernelLog, Lasting, Limits, ModuleState, NamespaceSnapshot, Range, Scope,
    Slab, Snapshot, Unseen, Verdict, Writer,
};
use serde::Serialize;

/// Rises when a key changes its meaning or goes away; new keys do not raise it.
const SCHEMA: &str = "plimsoll.check/1";

/// The document.
#[derive(Serialize)]
pub(crate) struct Document<'a> {
    schema: &'static str,
    verdict: Verdict,
    taken_at_unix_secs: u64,
    host: &'a Host,
    module: ModuleState,
    limits: &'a Limits,
    slab: &'a Option<Slab>,
    scope: Scope,
    capabilities: &'a Capabilities,
    namespaces: Vec<Namespace<'a>>,
    elsewhere: &'a [Elsewhere],
    log: &'a Option<KernelLog>,
    lasting: &'a Option<Lasting>,
    writers: &'a [Writer],
    unseen: &'a [Unseen],
    findings: &'a [Finding],
}

#[derive(Serialize)]
struct Namespace<'a> {
    #[serde(flatten)]
    reading: &'a NamespaceSnapshot,
    /// Occupancy over capacity; null without a limit, or where either was not read.
    utilization: Option<f64>,
    bytes_per_entry: Range,
    /// What happened and where it leads; null where the entries were not read.
    churn: Option<Churn>,
}

/// The document where nothing could be read.
pub(crate) fn failed(error: &dyn std::error::Error) -> String {
    let document = serde_json::json!({
        "schema": SCHEMA,
        "verdict": Verdict::Unknown,
        "error": error.to_string(),
        "namespaces": [],
        "findings": [],
    });
    format!("{document:#}\n")
}

pub(crate) fn render(snapshot: &Snapshot, findings: &[Finding]) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&Document::of(snapshot, findings))? + "\n")
}

impl<'a> Document<'a> {
    pub(crate) fn of(snapshot: &'a Snapshot, findings: &'a [Finding]) -> Self {
        Self {
            schema: SCHEMA,
            verdict: Verdict::of(findings),
            taken_at_unix_secs: snapshot.taken_at_unix_secs,
            host: &snapshot.host,
            module: snapshot.module,
            limits: &snapshot.limits,
            slab: &snapshot.slab,
            scope: snapshot.scope,
            capabilities: &snapshot.capabilities,
            namespaces: snapshot
                .namespaces
                .iter()
                .map(|reading| Namespace {
                    reading,
                    utilization: reading.utilization(),
                    bytes_per_entry: bytes_per_entry(snapshot.slab, reading),
                    churn: churn(reading),
                })
                .collect(),
            elsewhere: &snapshot.elsewhere,
            log: &snapshot.log,
            lasting: &snapshot.lasting,
            writers: &snapshot.writers,
            unseen: &snapshot.unseen,
            findings,
        }
    }
}
