//! A plan for programs.

use plimsoll_model::{Snapshot, Untrusted};
use plimsoll_plan::{Measured, Plan};
use serde::Serialize;

/// The document's version.
pub(crate) const SCHEMA: &str = "plimsoll.plan/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    made_at_unix_secs: u64,
    host: Option<&'a Untrusted>,
    #[serde(flatten)]
    plan: &'a Plan,
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<&'a Measured>,
}

pub(super) fn render(snapshot: &Snapshot, plan: &Plan, measured: Option<&Measured>) -> anyhow::Result<String> {
    let document = Document {
        schema: SCHEMA,
        made_at_unix_secs: snapshot.taken_at_unix_secs,
        host: snapshot.host.name.as_ref(),
        plan,
        measured,
    };
    Ok(format!("{}\n", serde_json::to_string_pretty(&document)?))
}
