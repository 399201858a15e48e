//! What programs and the dashboard are told, as JSON. docs/watch.md describes every key; what is here never changes its meaning
//! within a schema version.

use plimsoll_forecast::Forecast;
use plimsoll_model::{Capacity, Finding, Interval, Range, Relation, Untrusted, Verdict};
use serde::Serialize;

use crate::history::{Course, Point, SPAN_SECS, Span};
use crate::metrics::VERSION;
use crate::status::{EntriesStatus, Share, Status, TableStatus};

/// The document of what is known now.
pub(crate) fn status_document(status: &Status, interval_secs: f64) -> serde_json::Result<String> {
    serde_json::to_string(&StatusDocument {
        schema: "plimsoll.watch/1",
        version: VERSION,
        host: status.host.as_ref(),
        kernel: status.kernel.as_ref(),
        taken_at_unix_secs: status.taken_at_unix_secs,
        interval_secs,
        verdict: status.verdict,
        namespaces: status.namespaces.iter().map(TableDocument::of).collect(),
        namespaces_left_out: status.left_out,
        findings: &status.findings,
        unseen: &status.unseen,
    })
}

/// The document of what a namespace's table was like.
pub(crate) fn history_document(
    namespace: &str,
    capacity: Option<Capacity>,
    course: &Course,
    interval_secs: f64,
) -> serde_json::Result<String> {
    serde_json::to_string(&HistoryDocument {
        schema: "plimsoll.history/1",
        namespace,
        capacity: capacity.and_then(Capacity::limit),
        fine: Series { step_secs: interval_secs, points: course.points().iter().map(of_point).collect() },
        coarse: Series { step_secs: SPAN_SECS as f64, points: course.spans().iter().map(of_span).collect() },
    })
}

#[derive(Serialize)]
struct StatusDocument<'a> {
    schema: &'static str,
    version: &'static str,
    host: Option<&'a Untrusted>,
    kernel: Option<&'a Untrusted>,
    taken_at_unix_secs: u64,
    interval_secs: f64,
    verdict: Verdict,
    namespaces: Vec<TableDocument<'a>>,
    namespaces_left_out: usize,
    findings: &'a [Finding],
    unseen: &'a [String],
}

#[derive(Serialize)]
struct TableDocument<'a> {
    namespace: &'a Untrusted,
    relation: Relation,
    entries: Option<u32>,
    capacity: Option<u32>,
    utilization: Option<f64>,
    memory_bytes: Option<u64>,
    new_entries_per_sec: Option<Interval>,
    lost_per_sec: Option<f64>,
    evicted_per_sec: Option<f64>,
    states: Vec<StateDocument>,
    services: Vec<ServiceDocument<'a>>,
    sources: Vec<SourceDocument<'a>>,
    forecast: Option<&'a Forecast>,
}

#[derive(Serialize)]
struct StateDocument {
    protocol: String,
    state: String,
    entries: Range,
    share: Interval,
}

#[derive(Serialize)]
struct ServiceDocument<'a> {
    service: &'a str,
    share: Interval,
}

#[derive(Serialize)]
struct SourceDocument<'a> {
    source: &'a str,
    share: Interval,
}

impl<'a> TableDocument<'a> {
    fn of(table: &'a TableStatus) -> Self {
        let entries = table.entries.as_ref();
        let service = |share: &'a Share| ServiceDocument { service: &share.of, share: share.share };
        let source = |share: &'a Share| SourceDocument { source: &share.of, share: share.share };
        Self {
            namespace: &table.namespace.name,
            relation: table.namespace.relation,
            entries: table.occupancy.map(|occupancy| occupancy.0),
            capacity: table.capacity.and_then(Capacity::limit),
            utilization: table.utilization(),
            memory_bytes: table.memory_bytes.map(|range| range.low),
            new_entries_per_sec: table.new_per_sec,
            lost_per_sec: table.rates.lost_per_sec,
            evicted_per_sec: table.rates.evicted_per_sec,
            states: entries.map(states).unwrap_or_default(),
            services: entries.map(|entries| entries.services.iter().map(service).collect()).unwrap_or_default(),
            sources: entries.map(|entries| entries.sources.iter().map(source).collect()).unwrap_or_default(),
            forecast: table.forecast.as_ref(),
        }
    }
}

fn states(entries: &EntriesStatus) -> Vec<StateDocument> {
    let document = |group: &plimsoll_model::Group<plimsoll_model::StateKey>| StateDocument {
        protocol: group.key.protocol.to_string(),
        state: group.key.state.to_string(),
        entries: group.count.entries,
        share: group.count.share,
    };
    entries.states.iter().map(document).collect()
}

#[derive(Serialize)]
struct HistoryDocument<'a> {
    schema: &'static str,
    namespace: &'a str,
    capacity: Option<u32>,
    fine: Series<(f64, u32, Option<f32>, Option<f32>)>,
    coarse: Series<(i64, u32, f64, u32)>,
}

#[derive(Serialize)]
struct Series<T> {
    step_secs: f64,
    points: Vec<T>,
}

fn of_point(point: &Point) -> (f64, u32, Option<f32>, Option<f32>) {
    (point.at, point.entries, point.new_per_sec, point.lost_per_sec)
}

fn of_span(span: &Span) -> (i64, u32, f64, u32) {
    (span.from, span.least, span.mean, span.most)
}
