//! What somebody is told of by itself: findings that are there and stay, and that they are gone. No clock, no I/O.

use std::collections::BTreeMap;

use plimsoll_model::{Finding, FindingId, Severity};
use serde::{Deserialize, Serialize};

use crate::Status;

/// A warning has to be there at so many readings, one after the other, before somebody is told: what passes by itself is no news.
const WARNING_READINGS: u32 = 3;

/// What is gone has to stay away for so many readings, and what is milder has to stay so: at the brink it comes and goes.
const GONE_READINGS: u32 = 6;

/// What is the matter, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Trouble {
    /// Which.
    pub finding: FindingId,
    /// In which namespace; `None` where it concerns the host.
    pub namespace: Option<String>,
}

/// A trouble that somebody was told of, or will be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstStep {
    /// In words.
    pub action: String,
    /// The command that does it, where one does.
    pub command: Option<String>,
}

/// News.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// As it was when it was last there.
    alert: Alert,
    origin: Origin,
    /// Readings at which it was there, one after the other.
    there: u32,
    /// Readings at which it was gone, one after the other.
    gone: u32,
    told: Option<Told>,
}

/// Who first saw a trouble, by whose clock its beginning is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// This run.
    ThisRun,
    /// An earlier one, which told somebody.
    Kept,
}

/// That somebody was told.
#[derive(Clone, Debug)]
struct Told {
    /// As it was told.
    alert: Alert,
    /// Readings at which it was milder than that, one after the other.
    milder: u32,
}

impl Alerts {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those that an earlier run told of, as they were told. They are not told again, and are over by the same rule as others.
    pub fn kept(told: impl IntoIterator<Item = Alert>) -> Self {
        let troubles = told.into_iter().map(|alert| (alert.trouble.clone(), Seen::kept(alert)));
        Self { troubles: troubles.collect() }
    }

    /// What was told and is not over: as it is now, and as bad as is told.
    pub fn raised(&self) -> impl Iterator<Item = Alert> {
        self.troubles.values().filter_map(Seen::raised)
    }

    /// What was told and is not over, as it was told.
    pub fn told(&self) -> impl Iterator<Item = &Alert> {
        self.troubles.values().filter_map(|seen| seen.told.as_ref()).map(|told| &told.alert)
    }

    /// The clock was set: what began in this run began so many seconds later, or earlier, than it was thought. What came from an
    /// earlier one was written by a clock that may have been right.
    pub fn shift(&mut self, secs: f64) {
        self.troubles.values_mut().filter(|seen| seen.origin == Origin::ThisRun).for_each(|seen| seen.shift(secs));
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
        Self { alert: alert(trouble, finding, at), origin: Origin::ThisRun, there: 0, gone: 0, told: None }
    }

    fn kept(alert: Alert) -> Self {
        let told = Some(Told { alert: alert.clone(), milder: 0 });
        Self { alert, origin: Origin::Kept, there: 0, gone: 0, told }
    }

    fn raised(&self) -> Option<Alert> {
        self.told.as_ref().map(|told| Alert { severity: told.alert.severity, ..self.alert.clone() })
    }

    fn shift(&mut self, secs: f64) {
        self.alert.began_at += secs;
        if let Some(told) = &mut self.told {
            told.alert.began_at += secs;
        }
    }

    fn is_there(&mut self, finding: &Finding) -> Option<Notice> {
        self.gone = 0;
        self.there += 1;
        self.alert = alert(&self.alert.trouble, finding, self.alert.began_at);
        let is_due = finding.severity == Severity::Critical || self.there >= WARNING_READINGS;
        match &mut self.told {
            None => is_due.then(|| self.tell()),
            Some(told) if finding.severity > told.alert.severity => Some(self.tell()),
            Some(told) if finding.severity < told.alert.severity => {
                told.milder += 1;
                if told.milder >= GONE_READINGS {
                    *told = Told { alert: self.alert.clone(), milder: 0 };
                }
                None
            }
            Some(told) => {
                told.milder = 0;
                None
            }
        }
    }

    fn tell(&mut self) -> Notice {
        self.told = Some(Told { alert: self.alert.clone(), milder: 0 });
        Notice::Raised(self.alert.clone())
    }

    fn is_gone(&mut self, at: f64, notices: &mut Vec<Notice>) -> Remembered {
        self.there = 0;
        self.gone += 1;
        let Some(alert) = self.raised() else { return false };
        if self.gone < GONE_READINGS {
            return true;
        }
        notices.push(Notice::Resolved { alert, at });
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
