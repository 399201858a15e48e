//! Some of a table's entries: how many, from whom, to whom, and where they lead.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;

use plimsoll_churn::Flow;
use plimsoll_model::{Confidence, Count, Drawn, Entry, Evidence, Finding, FindingId, Remedy, Severity};

use super::table::Table;
use super::{pods, whose};
use crate::evidence::{number, raise_capacity};
use crate::fullness;
use crate::thresholds::{FEW_SOURCES, FILLING, FULL, MOSTLY, NAMED};
use crate::words::{grouped, percent, rate, rounded};

/// Values that are listed of one feature.
const LISTED: usize = 3;

pub(super) struct Part<'a> {
    pub(super) table: &'a Table<'a>,
    /// Those of them that were drawn.
    pub(super) drawn: Vec<&'a Drawn>,
    pub(super) count: Count,
    pub(super) flow: Flow,
}

/// What is said of a cause, beyond its figures.
pub(super) struct Said {
    pub(super) id: FindingId,
    pub(super) confidence: Confidence,
    /// What these entries are: the title goes on with their number.
    pub(super) what: String,
    pub(super) evidence: Vec<Evidence>,
    pub(super) meaning: String,
    /// What helps, but for room, which is added.
    pub(super) remedies: Vec<Remedy>,
}

impl Part<'_> {
    /// Entries now.
    fn now(&self) -> f64 {
        self.count.share.value * self.table.census.live.high as f64
    }

    /// Entries that there will be at the present rate; those that there are where that is not known.
    fn heads_for(&self) -> f64 {
        self.flow.tends_to.map_or(self.now(), |level| level.value)
    }

    /// Whether it matters.
    pub(super) fn is_worth_naming(&self) -> bool {
        self.heads_for() >= NAMED * self.table.capacity
            || (self.table.utilization() >= FILLING && self.count.share.value >= NAMED)
    }

    /// A warning where the table is filling, or will be full with what this part heads for.
    pub(super) fn severity(&self) -> Severity {
        let occupancy = self.table.utilization() * self.table.capacity;
        let then = occupancy - self.now() + self.heads_for();
        if self.table.utilization() >= FILLING || then >= FULL * self.table.capacity {
            Severity::Warning
        } else {
            Severity::Info
        }
    }

    /// The finding, with the part's own figures before those that are told of it.
    pub(super) fn finding(&self, said: Said) -> Finding {
        let mut evidence = self.figures();
        evidence.extend(said.evidence);
        let whose = whose::of(self);
        evidence.extend(whose::evidence(&whose));
        evidence.extend(whose::unknown(self));
        evidence.extend(pods::evidence(self));
        Finding {
            id: said.id,
            severity: self.severity(),
            confidence: said.confidence,
            namespace: Some(self.table.ns.namespace.name.clone()),
            holds: Some(self.count.entries),
            whose,
            title: format!("{}: {}", said.what, self.weight()),
            evidence,
            meaning: said.meaning,
            remedies: said.remedies.into_iter().chain(self.make_room(said.id)).collect(),
        }
    }

    /// `52,000 entries (34.0% of the table)`, and the rate.
    fn weight(&self) -> String {
        let entries = grouped(rounded(self.now()));
        let share = percent(self.count.share.value);
        let rate = self.flow.per_sec.map_or(String::new(), |per_sec| format!(", {} a second", rate(per_sec.value)));
        format!("{entries} entries ({share} of the table){rate}")
    }

    fn figures(&self) -> Vec<Evidence> {
        let share = self.count.share;
        let mut figures = vec![number(
            "share_ratio",
            share.value,
            format!("{} of the live entries ({} to {})", percent(share.value), percent(share.low), percent(share.high)),
        )];
        if let Some(per_sec) = self.flow.per_sec {
            figures.push(number(
                "arrivals_per_sec",
                per_sec.value,
                format!(
                    "{} a second now ({} to {}), by the age of the entries",
                    rate(per_sec.value),
                    rate(per_sec.low),
                    rate(per_sec.high)
                ),
            ));
        }
        if let Some(level) = self.flow.tends_to {
            figures.push(number(
                "tends_to_entries",
                level.value,
                format!(
                    "at that rate and the timeouts in force they tend to {} entries ({} to {}), {} of the limit",
                    grouped(rounded(level.value)),
                    grouped(rounded(level.low)),
                    grouped(rounded(level.high)),
                    percent(level.value / self.table.capacity)
                ),
            ));
        }
        figures
    }

    /// How often each value of a feature occurs among the drawn entries, the most frequent first.
    pub(super) fn tally<K: Copy + Eq + Hash + Ord>(&self, feature: impl Fn(&Entry) -> Option<K>) -> Vec<(K, usize)> {
        tally(self.drawn.iter().filter_map(|drawn| feature(&drawn.entry)))
    }

    /// The most frequent values of a feature, as evidence.
    pub(super) fn most<K: Copy + Eq + Hash + Ord + Display>(
        &self,
        key: &'static str,
        name: &str,
        feature: impl Fn(&Entry) -> Option<K>,
    ) -> Evidence {
        self.most_as(key, name, feature, ToString::to_string)
    }

    /// The same, in words of the caller's.
    pub(super) fn most_as<K: Copy + Eq + Hash + Ord>(
        &self,
        key: &'static str,
        name: &str,
        feature: impl Fn(&Entry) -> Option<K>,
        in_words: impl Fn(&K) -> String,
    ) -> Evidence {
        let tally = self.tally(feature);
        let share = |seen: usize| percent(seen as f64 / self.drawn.len() as f64);
        let listed = tally.iter().take(LISTED).map(|(value, seen)| format!("{} {}", in_words(value), share(*seen)));
        let listed = listed.collect::<Vec<_>>().join(", ");
        let distinct = tally.len();
        let text = match distinct {
            0 => format!("{name}: none"),
            few if few <= LISTED => format!("{name}: {listed}"),
            many => {
                format!("{name}: {listed}; {} in all among the {} looked at", grouped(many as u64), self.drawn.len())
            }
        };
        number(key, distinct as f64, text)
    }

    /// The remedy that gives room for what this part heads for; `None` where there is room, or the table's fullness says
    /// it, or more of it would only be filled.
    fn make_room(&self, id: FindingId) -> Option<Remedy> {
        let is_hostile = matches!(id, FindingId::SynFlood | FindingId::OutboundScan | FindingId::UdpUnreplied);
        if is_hostile || fullness::is_told(self.table.snapshot, self.table.ns) {
            return None;
        }
        let occupancy = self.table.utilization() * self.table.capacity;
        let then = (occupancy - self.now() + self.heads_for()).max(occupancy) / FILLING;
        (then > self.table.capacity)
            .then(|| raise_capacity(self.table.snapshot, self.table.ns, rounded(then).next_multiple_of(1024)))
    }
}

/// How often each value occurs, the most frequent first.
pub(super) fn tally<K: Copy + Eq + Hash + Ord>(values: impl Iterator<Item = K>) -> Vec<(K, usize)> {
    let mut counts = HashMap::new();
    for value in values {
        *counts.entry(value).or_insert(0) += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|(a, seen_a), (b, seen_b)| seen_b.cmp(seen_a).then(a.cmp(b)));
    counts
}

/// Whether few sources are behind so many entries.
pub(crate) fn is_from_few<'a>(entries: impl ExactSizeIterator<Item = &'a Entry>) -> bool {
    let all = entries.len();
    let few: usize =
        tally(entries.map(|entry| entry.original.source)).iter().take(FEW_SOURCES).map(|(_, seen)| seen).sum();
    few as f64 >= MOSTLY * all as f64
}
