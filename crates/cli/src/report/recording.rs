//! A recording: how full the table was, whose flows there were, how long they are silent.

use std::collections::BTreeSet;

use plimsoll_diagnose::words::{duration, grouped, percent, rounded};
use plimsoll_model::Untrusted;
use plimsoll_recording::UnixMicros;

use super::chart::Course;
use super::html::{around, facts, list, said, table, text};
use super::page::Part;
use crate::date::utc;
use crate::explain;
use crate::record::show::{ServiceLives, Summary, measured, picture, secs};
use crate::recording::Recording;

/// Points of a course that are drawn: a screen has no more columns.
const POINTS: usize = 700;

pub(super) fn part(recording: &Recording) -> anyhow::Result<Part> {
    let origin = recording.origin()?;
    let summary = Summary::of(recording)?;
    let shown = |text: &String| Untrusted::from(text.as_str()).to_string();
    let host = origin.host.as_ref().map_or("a host".to_string(), shown);
    let namespace = shown(&origin.namespace);
    let mut body = said("h2", "", &format!("What was recorded in {namespace} on {host}"));
    body.push_str(&facts(known(&summary, &shown(&origin.kernel))));
    if let Some(course) = course(recording)? {
        let at = |at: Option<UnixMicros>| at.map(moment).unwrap_or_default();
        body.push_str(&course.figure("Entries over the time of the recording", &at(summary.from), &at(summary.to)));
    }
    body.push_str(&services(&summary));
    body.push_str(&ends(&summary));
    body.push_str(&said("h3", "minor", "How long flows are silent, and what timeouts would save and kill"));
    match measured(recording) {
        Ok(measured) => body.push_str(&around("div", "picture", &picture(&recording.name, &measured))),
        // The rest is worth a page all the same.
        Err(error) => body.push_str(&said("p", "", &format!("Not known: {error:#}"))),
    }
    let more = format!("`plimsoll plan --from {}` says which timeouts follow from it.", recording.name);
    body.push_str(&around("div", "quiet", &explain::markdown::html(&more)));
    Ok(Part {
        title: format!("recording {}", recording.name),
        body: around("section", "", &body),
        findings: BTreeSet::new(),
    })
}

fn moment(at: UnixMicros) -> String {
    utc(u64::try_from(at.0 / 1_000_000).unwrap_or(0))
}

fn known(summary: &Summary, kernel: &str) -> Vec<(&'static str, String)> {
    let table = &summary.table;
    let mut known = vec![("kernel", kernel.to_string())];
    if let (Some(from), Some(to)) = (summary.from, summary.to) {
        known.push(("from", moment(from)));
        known.push(("lasted", duration(to.since(from).as_secs())));
    }
    known.push(("flows", format!("{} ({} followed)", grouped(rounded(summary.flows)), grouped(summary.lives))));
    known.push(("silences", grouped(summary.gaps)));
    if let (Some(least), Some(mean), Some(most)) = (table.least_entries, table.mean_entries, table.most_entries) {
        let (least, mean, most) = (grouped(least.into()), grouped(rounded(mean)), grouped(most.into()));
        known.push(("entries", format!("{least} to {most}, {mean} on average")));
    }
    known.extend(table.capacity.map(|limit| ("limit (nf_conntrack_max)", grouped(limit.into()))));
    let counted = ["drop", "early_drop", "insert_failed"];
    let counted: Vec<_> =
        counted.into_iter().filter_map(|name| Some(format!("{name} {}", grouped(*table.counted.get(name)?)))).collect();
    if !counted.is_empty() {
        known.push(("counted meanwhile", counted.join(", ")));
    }
    if table.losses > 0 {
        known.push(("events lost", format!("{} times: flows are missing", grouped(table.losses))));
    }
    known
}

/// How full the table was: of moments that lie too close to be told apart, the fullest.
fn course(recording: &Recording) -> anyhow::Result<Option<Course>> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    let (mut begin, mut capacity) = (None, None);
    for reading in recording.archive.readings()? {
        let reading = reading?;
        let Some(occupancy) = reading.occupancy else { continue };
        let begin = *begin.get_or_insert(reading.at);
        capacity = reading.capacity.map(|capacity| capacity.0).or(capacity);
        points.push((reading.at.since(begin).as_secs_f64(), f64::from(occupancy.0)));
        // Memory is bounded however long it lasted.
        if points.len() >= 2 * POINTS {
            points =
                points.chunks(2).filter_map(|two| two.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))).collect();
        }
    }
    Ok((points.len() > 1).then_some(Course { points, capacity }))
}

fn services(summary: &Summary) -> String {
    if summary.services.is_empty() {
        return String::new();
    }
    let row = |of: &ServiceLives| {
        let lifetime =
            |which: usize| of.lifetime_secs.and_then(|all| all.get(which).copied()).map_or("?".to_string(), secs);
        [
            text(&of.service.to_string()),
            grouped(rounded(of.flows)),
            percent(of.flows / summary.flows.max(1.0)),
            text(&lifetime(0)),
            text(&lifetime(1)),
            text(&lifetime(2)),
        ]
    };
    let heads = ["service", "flows", "share", "half live for less than", "nine in ten", "99 in 100"];
    let more = match summary.other_services {
        0 => String::new(),
        others => said("p", "quiet", &format!("and {} services more", grouped(others as u64))),
    };
    said("h3", "minor", "Services") + &table(heads, summary.services.iter().map(row)) + &more
}

fn ends(summary: &Summary) -> String {
    let ends: Vec<_> =
        summary.by_end.iter().map(|(end, flows)| format!("{end}: {}", grouped(rounded(*flows)))).collect();
    if ends.is_empty() {
        return String::new();
    }
    said("h3", "minor", "How flows ended") + &list("evidence", ends.iter().map(String::as_str))
}
