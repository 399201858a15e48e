//! Documents as they are read back. What a page does not show is passed over; what is missing is not known.

use std::borrow::Cow;
use std::collections::BTreeMap;

use plimsoll_churn::Outlook;
use plimsoll_model::{Confidence, Edit, Interval, Range, Severity, Untrusted, Verdict};
use serde::{Deserialize, Deserializer};

/// Text of a document. It was escaped when it was written; but whoever sent the file may have written it otherwise, so it is looked at
/// again. Only ends of lines are left.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text(String);

impl Text {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let lines: Vec<_> = text.lines().map(|line| Untrusted::from_escaped(line.to_string()).to_string()).collect();
        Ok(Self(lines.join("\n")))
    }
}

/// What `check --json` wrote.
#[derive(Debug, Deserialize)]
pub(super) struct CheckDocument {
    pub(super) verdict: Verdict,
    pub(super) error: Option<Text>,
    pub(super) taken_at_unix_secs: Option<u64>,
    #[serde(default)]
    pub(super) host: Host,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) namespaces: Vec<Namespace>,
    #[serde(default)]
    pub(super) findings: Vec<Finding>,
    #[serde(default)]
    pub(super) unseen: Vec<Unseen>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Host {
    pub(super) name: Option<Text>,
    pub(super) kernel: Option<Text>,
    pub(super) ram_bytes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Limits {
    pub(super) capacity: Option<u32>,
    pub(super) buckets: Option<u32>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Namespace {
    pub(super) name: Text,
    pub(super) owner: Option<Owner>,
    pub(super) occupancy: Option<u32>,
    pub(super) capacity: Option<u32>,
    pub(super) utilization: Option<f64>,
    pub(super) change: Option<Change>,
    pub(super) census: Option<Census>,
    pub(super) churn: Option<Churn>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Owner {
    pub(super) pid: u32,
    pub(super) command: Text,
    pub(super) unit: Option<Text>,
    pub(super) container: Option<Text>,
    pub(super) pod: Option<Text>,
    pub(super) called: Option<Text>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Change {
    pub(super) over_secs: f64,
    #[serde(default)]
    pub(super) counters: BTreeMap<Text, Option<u64>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Census {
    pub(super) coverage: Kind,
    pub(super) read: u64,
    #[serde(default)]
    pub(super) states: Vec<Group>,
    pub(super) services: Option<Hitters>,
    pub(super) sources: Option<Hitters>,
}

/// Of what is told apart by its `kind`.
#[derive(Debug, Deserialize)]
pub(super) struct Kind {
    pub(super) kind: Text,
}

#[derive(Debug, Deserialize)]
pub(super) struct Hitters {
    pub(super) top: Vec<Group>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub(super) key: Text,
    pub(super) share: Interval,
    pub(super) entries: Option<Range>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Churn {
    pub(super) outlook: Option<Outlook>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Finding {
    pub(super) id: Text,
    pub(super) severity: Severity,
    pub(super) confidence: Confidence,
    pub(super) namespace: Option<Text>,
    pub(super) holds_entries: Option<Range>,
    #[serde(default)]
    pub(super) whose: Vec<Whose>,
    pub(super) title: Text,
    #[serde(default)]
    pub(super) evidence: Vec<Evidence>,
    pub(super) meaning: Text,
    #[serde(default)]
    pub(super) remedies: Vec<Remedy>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Whose {
    pub(super) side: Text,
    #[serde(flatten)]
    pub(super) owner: Owner,
    pub(super) share: Interval,
}

#[derive(Debug, Deserialize)]
pub(super) struct Evidence {
    pub(super) text: Text,
}

#[derive(Debug, Deserialize)]
pub(super) struct Remedy {
    pub(super) action: Text,
    pub(super) command: Option<Text>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Unseen {
    pub(super) namespace: Option<Text>,
    pub(super) tried: Text,
    pub(super) answered: Text,
    pub(super) needs: Text,
}

/// What `plan --json` wrote.
#[derive(Debug, Deserialize)]
pub(super) struct PlanDocument {
    pub(super) made_at_unix_secs: Option<u64>,
    pub(super) host: Option<Text>,
    pub(super) namespace: Text,
    pub(super) sizing: Option<Sizing>,
    pub(super) buckets: Option<Because>,
    #[serde(default)]
    pub(super) changes: Vec<Planned>,
    pub(super) together: Option<Forecast>,
    #[serde(default)]
    pub(super) passed_over: Vec<PassedOver>,
    #[serde(default)]
    pub(super) notes: Vec<Text>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Sizing {
    pub(super) decision: Because,
    #[serde(default)]
    pub(super) demands: Vec<Demand>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Because {
    pub(super) because: Option<Text>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Demand {
    pub(super) namespace: Text,
    pub(super) derivation: Text,
}

#[derive(Debug, Deserialize)]
pub(super) struct Planned {
    pub(super) edit: Edit,
    pub(super) why: Text,
    pub(super) derivation: Text,
    pub(super) forecast: Option<Forecast>,
    pub(super) takes_effect: Text,
    pub(super) cost: Text,
    pub(super) risk: Text,
    pub(super) risk_because: Text,
    #[serde(default)]
    pub(super) prices: Vec<Price>,
    pub(super) revert: Text,
}

#[derive(Debug, Deserialize)]
pub(super) struct Price {
    pub(super) least_secs: u64,
    pub(super) because: Text,
    pub(super) source: Text,
}

#[derive(Debug, Deserialize)]
pub(super) struct Forecast {
    pub(super) as_is: Course,
    pub(super) then: Course,
}

#[derive(Debug, Deserialize)]
pub(super) struct Course {
    #[serde(default)]
    pub(super) moments: Vec<Moment>,
    pub(super) peak_entries: Option<u64>,
    pub(super) refused_flows: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Moment {
    pub(super) at_secs: f64,
    pub(super) live: Interval,
}

#[derive(Debug, Deserialize)]
pub(super) struct PassedOver {
    pub(super) what: Text,
    pub(super) because: Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_again_and_its_lines_stay() {
        let text: Text = serde_json::from_str(r#""web\\u{1b}[2J\u001b[2J\nline\u202e""#).unwrap();
        assert_eq!(text.as_str(), "web\\u{5c}u{1b}[2J\\u{1b}[2J\nline\\u{202e}");
        let text: Text = serde_json::from_str(r#""web\\u{1b}""#).unwrap();
        assert_eq!(text.as_str(), "web\\u{1b}");
    }
}
