//! What is foreseen of each table: from its history, and from what its entries tell now.

use std::fmt::Write;

use plimsoll_diagnose::words::duration;
use plimsoll_forecast::{Alarm, Forecast, History as Seen, Limit, Point as Reading, Read, Span as Stretch, forecast};
use plimsoll_model::{Confidence, Evidence, Finding, FindingId, Remedy, Severity};

use crate::history::{Course, Point};
use crate::status::{Status, TableStatus};

/// When a table will be full. `booted_at`: when the host began, in seconds since 1970; tables were empty then.
pub(crate) fn forecast_of(course: &Course, booted_at: f64) -> Option<Forecast> {
    let readings: Vec<Reading> = course.points().iter().map(reading).collect();
    let stretches: Vec<Stretch> = course.spans().iter().map(stretch).collect();
    let limits = limits(course);
    let said: Vec<Read<'_>> = course.outlooks().iter().map(|(at, outlook)| Read { at_secs: *at, outlook }).collect();
    let seen = Seen { fine: &readings, coarse: &stretches, limits: &limits, restarted_at_secs: Some(booted_at) };
    // Too short a history is no error; nothing is foretold then.
    forecast(&seen, &said).ok()
}

fn reading(point: &Point) -> Reading {
    Reading { at_secs: point.at, entries: f64::from(point.entries), new_per_sec: point.new_per_sec.map(f64::from) }
}

fn stretch(span: &crate::history::Span) -> Stretch {
    Stretch { from_secs: span.from as f64, least: f64::from(span.least), mean: span.mean, most: f64::from(span.most) }
}

/// The limits that were in force; what was before the last hour is taken to have had the first of them.
fn limits(course: &Course) -> Vec<Limit> {
    let mut limits: Vec<Limit> = Vec::new();
    let mut last = None;
    for point in course.points() {
        if last != Some(point.limit) {
            last = Some(point.limit);
            let entries = point.limit.map_or(0.0, f64::from);
            limits.push(Limit { since_secs: point.at, entries });
        }
    }
    limits
}

/// Findings of tables that will soon be full, where a check alone does not say so.
pub(crate) fn findings(status: &Status) -> Vec<Finding> {
    let says_so = |table: &TableStatus| {
        let is_fullness = |id| matches!(id, FindingId::TableFull | FindingId::NamespaceFull | FindingId::TableFilling);
        status
            .findings
            .iter()
            .any(|finding| is_fullness(finding.id) && finding.namespace.as_ref() == Some(&table.namespace.name))
    };
    status.namespaces.iter().filter(|table| !says_so(table)).filter_map(finding).collect()
}

fn finding(table: &TableStatus) -> Option<Finding> {
    let forecast = table.forecast.as_ref()?;
    let alarm = forecast.alarm()?;
    let probability = forecast.probability_within(alarm.secs())?;
    let within = match alarm {
        Alarm::WithinHour => "within the hour",
        Alarm::WithinDay => "within a day",
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time ahead, not negative")]
    let whole = |secs: f64| duration(secs as u64);
    let mut title = format!("{}: the table may be full {within}", table.namespace.name);
    if let Some(full_in) = forecast.full_in_secs {
        // Writing to a string cannot fail.
        let _ = write!(title, ", as likely as not in {}", whole(full_in.value));
    }
    Some(Finding {
        id: FindingId::TableFilling,
        severity: Severity::Warning,
        confidence: Confidence::Likely,
        namespace: Some(table.namespace.name.clone()),
        holds: None,
        whose: Vec::new(),
        title,
        evidence: vec![Evidence {
            key: "saturation_probability",
            value: Some(probability),
            text: format!("a chance of {:.0} % {within}: {}", probability * 100.0, forecast.because),
        }],
        meaning: "When the table is full, new connections are refused without a word; those that are there go on."
            .to_string(),
        remedies: vec![
            Remedy {
                action: "See what fills it.".to_string(),
                command: Some(format!("plimsoll check --netns {}", table.namespace.name)),
            },
            Remedy { action: "See what to change.".to_string(), command: Some("plimsoll plan".to_string()) },
        ],
    })
}
