//! A recording for programs.

use plimsoll_model::Untrusted;
use plimsoll_plan::Measured;
use plimsoll_recording::{Change, Origin, UnixMicros};
use serde::Serialize;
use std::collections::BTreeMap;

use super::summary::{ServiceLives, Summary, Table};
use crate::recording::Recording;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    recording: &'a Untrusted,
    written_by: Untrusted,
    kernel: Untrusted,
    host: Option<Untrusted>,
    namespace: Untrusted,
    sources: &'static str,
    addresses: &'static str,
    from_unix_micros: Option<i64>,
    to_unix_micros: Option<i64>,
    lives: u64,
    flows: f64,
    gaps: u64,
    by_end: &'a BTreeMap<&'static str, f64>,
    by_sight: &'a BTreeMap<&'static str, u64>,
    services: &'a [ServiceLives],
    other_services: usize,
    table: &'a Table,
    silences: &'a Measured,
    changes: Vec<Told>,
    changes_left_out: u64,
}

#[derive(Serialize)]
struct Told {
    at_unix_micros: i64,
    kind: &'static str,
    what: Untrusted,
    from: Option<Untrusted>,
    to: Option<Untrusted>,
}

pub(super) fn render(
    recording: &Recording,
    origin: &Origin,
    summary: &Summary,
    measured: &Measured,
) -> anyhow::Result<String> {
    let shown = |text: &String| Untrusted::from(text.as_str());
    let micros = |at: Option<UnixMicros>| at.map(|at| at.0);
    let told = |change: &Change| Told {
        at_unix_micros: change.at.0,
        kind: change.kind.name(),
        what: shown(&change.what),
        from: change.from.as_ref().map(shown),
        to: change.to.as_ref().map(shown),
    };
    let document = Document {
        schema: "plimsoll.recording/1",
        recording: &recording.name,
        written_by: shown(&origin.written_by),
        kernel: shown(&origin.kernel),
        host: origin.host.as_ref().map(shown),
        namespace: shown(&origin.namespace),
        sources: origin.sources.name(),
        addresses: origin.addresses.name(),
        from_unix_micros: micros(summary.from),
        to_unix_micros: micros(summary.to),
        lives: summary.lives,
        flows: summary.flows,
        gaps: summary.gaps,
        by_end: &summary.by_end,
        by_sight: &summary.by_sight,
        services: &summary.services,
        other_services: summary.other_services,
        table: &summary.table,
        silences: measured,
        changes: summary.changes.iter().map(told).collect(),
        changes_left_out: summary.changes_left_out,
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}
