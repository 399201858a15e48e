//! Relief for programs.

use std::collections::BTreeMap;

use plimsoll_churn::{Churn, churn};
use plimsoll_model::{Capacity, Occupancy, Untrusted};
use plimsoll_plan::Relief;
use serde::Serialize;

use super::raise::Raised;
use super::report::{Done, Report};

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    taken_at_unix_secs: u64,
    namespace: &'a Untrusted,
    needed: bool,
    before: Fill,
    relief: &'a Relief,
    done: Option<DoneDocument>,
    after: Option<Fill>,
    outlook: Option<Churn>,
}

#[derive(Serialize)]
struct Fill {
    occupancy: Option<Occupancy>,
    capacity: Option<Capacity>,
}

#[derive(Serialize)]
struct DoneDocument {
    evidence: Option<String>,
    evidence_error: Option<String>,
    raised_by_application: Option<u32>,
    raise_error: Option<String>,
    trim_error: Option<String>,
    trimmed_entries: u64,
    trimmed_by_state: BTreeMap<String, u64>,
}

pub(super) fn render(report: &Report<'_>) -> anyhow::Result<String> {
    let fill = |ns: &plimsoll_model::NamespaceSnapshot| Fill { occupancy: ns.occupancy, capacity: ns.capacity };
    let document = Document {
        schema: "plimsoll.relieve/1",
        taken_at_unix_secs: report.before.taken_at_unix_secs,
        namespace: &report.ns.namespace.name,
        needed: report.is_needed,
        before: fill(report.ns),
        relief: report.relief,
        done: report.done.as_ref().map(done),
        after: report.ns_after().map(fill),
        outlook: report.ns_after().and_then(churn),
    };
    Ok(format!("{}\n", serde_json::to_string_pretty(&document)?))
}

fn done(done: &Done) -> DoneDocument {
    let mut trimmed_by_state = BTreeMap::new();
    for (state, entries) in done.acted().flat_map(|acted| &acted.changed) {
        *trimmed_by_state.entry(state.to_string()).or_insert(0) += entries;
    }
    DoneDocument {
        evidence: done.evidence.as_ref().ok().map(|file| file.display().to_string()),
        evidence_error: done.evidence.as_ref().err().cloned(),
        raised_by_application: match &done.raised {
            Some(Raised::ByApplication(id)) => Some(*id),
            _ => None,
        },
        raise_error: match &done.raised {
            Some(Raised::Not(why)) => Some(why.clone()),
            _ => None,
        },
        trim_error: done.swept.as_ref().err().cloned(),
        trimmed_entries: done.trimmed(),
        trimmed_by_state,
    }
}
