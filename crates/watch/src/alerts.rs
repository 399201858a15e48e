//! What somebody is told of by itself: findings that are there and stay, and that they are gone. No clock, no I/O.

use std::collections::BTreeMap;

use plimsoll_model::{Finding, FindingId, Severity};
use serde::Serialize;

use crate::Status;

/// A warning has to be there at so many readings, one after the other, before somebody is told: what passes by itself is no news.
const WARNING_READINGS: u32 = 3;

/// What is gone has to stay away for so many readings: at the brink it comes and goes.
const GONE_READINGS: u32 = 6;

/// What is the matter, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Trouble {
    /// Which.
    pub finding: FindingId,
    /// In which namespace; `None` where it concerns the host.
    pub namespace: Option<String>,
}

/// A trouble that somebody was told of, or will be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    /// Which.
    #[serde(flatten)]
    pub trouble: Trouble,
    /// How bad it is.
    pub severity: Severity,
    /// When it was first seen, in seconds since 1970.
    pub began_at: f64,
    /// One sentence: what is the matter.
    pub title: String,
    /// What it means.
    pub meaning: String,
    /// What to do first.
    pub first_step: Option<FirstStep>,
}

/// What to do first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirstStep {
    /// In words.
    pub action: String,
    /// The command that does it, where one does.
    pub command: Option<String>,
}

/// News.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// It is there, or has become worse.
    Raised(Alert),
    /// It is gone, as of this moment.
    Resolved {
        /// As it was told.
        alert: Alert,
        /// In seconds since 1970.
        at: f64,
    },
}

/// Troubles, as of the last reading.
#[derive(Clone, Debug, Default)]
pub struct Alerts {
    troubles: BTreeMap<Trouble, Seen>,
}

#[derive(Clone, Debug)]
struct Seen {
    alert: Alert,
    /// Readings at which it was there, one after the other.
    there: u32,
    /// Readings at which it was gone, one after the other.
    gone: u32,
    /// How bad it was when somebody was told.
    told: Option<Severity>,
}

impl Alerts {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is there and was told.
    pub fn raised(&self) -> impl Iterator<Item = &Alert> {
        self.troubles.values().filter(|seen| seen.told.is_some()).map(|seen| &seen.alert)
    }

    /// The clock was set: all of it began so many seconds later, or earlier, than it was thought.
    pub fn shift(&mut self, secs: f64) {
        self.troubles.values_mut().for_each(|seen| seen.alert.began_at += secs);
    }

    /// Takes note of a reading; returns what is to be told.
    pub fn take(&mut self, status: &Status, at: f64) -> Vec<Notice> {
        let mut notices = Vec::new();
        let mut there: BTreeMap<Trouble, &Finding> = BTreeMap::new();
        for finding in status.findings.iter().filter(|finding| finding.severity >= Severity::Warning) {
            // The worst comes first.
            there.entry(trouble(finding)).or_insert(finding);
        }
        for (trouble, finding) in &there {
            let seen = self.troubles.entry(trouble.clone()).or_insert_with(|| Seen::first(trouble, finding, at));
            notices.extend(seen.is_there(finding));
        }
        self.troubles.retain(|trouble, seen| there.contains_key(trouble) || seen.is_gone(at, &mut notices));
        notices
    }
}

fn trouble(finding: &Finding) -> Trouble {
    Trouble { finding: finding.id, namespace: finding.namespace.as_ref().map(ToString::to_string) }
}

/// Whether a trouble is remembered.
type Remembered = bool;

impl Seen {
    fn first(trouble: &Trouble, finding: &Finding, at: f64) -> Self {
        Self { alert: alert(trouble, finding, at), there: 0, gone: 0, told: None }
    }

    fn is_there(&mut self, finding: &Finding) -> Option<Notice> {
        self.gone = 0;
        self.there += 1;
        self.alert = alert(&self.alert.trouble, finding, self.alert.began_at);
        let is_due = match finding.severity {
            Severity::Critical => true,
            _ => self.there >= WARNING_READINGS,
        };
        let is_news = self.told.is_none_or(|told| finding.severity > told);
        (is_due && is_news).then(|| {
            self.told = Some(finding.severity);
            Notice::Raised(self.alert.clone())
        })
    }

    fn is_gone(&mut self, at: f64, notices: &mut Vec<Notice>) -> Remembered {
        self.there = 0;
        self.gone += 1;
        if self.told.is_none() {
            return false;
        }
        if self.gone < GONE_READINGS {
            return true;
        }
        notices.push(Notice::Resolved { alert: self.alert.clone(), at });
        false
    }
}

fn alert(trouble: &Trouble, finding: &Finding, began_at: f64) -> Alert {
    let step =
        |remedy: &plimsoll_model::Remedy| FirstStep { action: remedy.action.clone(), command: remedy.command.clone() };
    Alert {
        trouble: trouble.clone(),
        severity: finding.severity,
        began_at,
        title: finding.title.clone(),
        meaning: finding.meaning.clone(),
        first_step: finding.remedies.first().map(step),
    }
}
