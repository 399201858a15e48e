//! What others are told, as JSON.

use plimsoll_model::{Severity, Untrusted};
use plimsoll_watch::alerts::{Alert, FirstStep, Notice};
use serde::Serialize;

use crate::moment::rfc3339;
use crate::outbox::Gone;

/// Alertmanager takes an alert for resolved when it was not told of it for so long.
const LASTS_SECS: f64 = 300.0;

/// Alertmanager's list of alerts (its API v2): those that are there, and those that are gone.
pub(crate) fn alertmanager_document(host: &Untrusted, raised: &[Alert], gone: &[Gone], now: f64) -> serde_json::Value {
    let there = raised.iter().map(|alert| posted(host, alert, now + LASTS_SECS));
    let gone = gone.iter().map(|gone| posted(host, &gone.alert, gone.at));
    serde_json::Value::Array(there.chain(gone).collect())
}

fn posted(host: &Untrusted, alert: &Alert, ends_at: f64) -> serde_json::Value {
    let namespace = alert.trouble.namespace.as_deref().unwrap_or_default();
    let mut description = alert.meaning.clone();
    if let Some(step) = &alert.first_step {
        description += &format!("\n\nFirst: {}", in_words(step));
    }
    serde_json::json!({
        "labels": {
            "alertname": "Plimsoll",
            "finding": alert.trouble.finding,
            "severity": alert.severity,
            "instance": host,
            "netns": namespace,
        },
        "annotations": { "summary": alert.title, "description": description },
        // A clock that was set back would have it end before it began, which Alertmanager refuses.
        "startsAt": rfc3339(alert.began_at.min(ends_at)),
        "endsAt": rfc3339(ends_at),
    })
}

fn in_words(step: &FirstStep) -> String {
    match &step.command {
        Some(command) => format!("{} (`{command}`)", step.action),
        None => step.action.clone(),
    }
}

/// What a webhook and a command get: `plimsoll.notice/1`.
#[derive(Debug, Serialize)]
pub(crate) struct NoticeDocument<'a> {
    schema: &'static str,
    state: State,
    host: &'a Untrusted,
    finding: plimsoll_model::FindingId,
    namespace: Option<&'a str>,
    severity: Severity,
    title: &'a str,
    meaning: &'a str,
    first_step: Option<&'a FirstStep>,
    /// In words, as chat programs show it.
    text: String,
    began_at: String,
    resolved_at: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Raised,
    Resolved,
}

impl<'a> NoticeDocument<'a> {
    pub(crate) fn of(host: &'a Untrusted, notice: &'a Notice) -> Self {
        let (state, alert, resolved_at) = match notice {
            Notice::Raised(alert) => (State::Raised, alert, None),
            Notice::Resolved { alert, at } => (State::Resolved, alert, Some(rfc3339(*at))),
        };
        Self {
            schema: "plimsoll.notice/1",
            state,
            host,
            finding: alert.trouble.finding,
            namespace: alert.trouble.namespace.as_deref(),
            severity: alert.severity,
            title: &alert.title,
            meaning: &alert.meaning,
            first_step: alert.first_step.as_ref(),
            text: text(host, state, alert),
            began_at: rfc3339(alert.began_at),
            resolved_at,
        }
    }
}

fn text(host: &Untrusted, state: State, alert: &Alert) -> String {
    match state {
        State::Resolved => format!("RESOLVED {host}: {}", alert.title),
        State::Raised => {
            let severity = alert.severity.to_string().to_uppercase();
            let step = alert.first_step.as_ref().map(|step| format!("\nFirst: {}", in_words(step))).unwrap_or_default();
            format!("{severity} {host}: {}\n{}{step}", alert.title, alert.meaning)
        }
    }
}
