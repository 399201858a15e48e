//! What the daemon tells of itself.

use std::collections::BTreeMap;

use super::{Family, Sample, alone, counter, gauge};

/// What the daemon has done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Own {
    /// Readings.
    pub readings: u64,
    /// Readings that could not be made.
    pub failed_readings: u64,
    /// How long the last reading took beyond its interval, in seconds.
    pub reading_secs: Option<f64>,
    /// When the last reading was made, in seconds since 1970.
    pub read_at: Option<f64>,
    /// Time between readings, in seconds.
    pub interval_secs: f64,
    /// Scrapes answered.
    pub scrapes: u64,
    /// What the governor does, where there is one.
    pub governing: Option<Governing>,
    /// What came of telling others, by the kind of target, of which there is one each.
    pub telling: Vec<Telling>,
}

/// What came of telling targets of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling {
    /// Their kind.
    pub target_kind: &'static str,
    /// Notices that were told.
    pub told: u64,
    /// Notices that the target would not take.
    pub refused: u64,
    /// Notices that were given up: too many waited, or the target was taken away.
    pub dropped: u64,
    /// Notices that wait.
    pub waiting: u64,
}

/// What a governor does.
#[derive(Clone, Debug, PartialEq)]
pub struct Governing {
    /// The namespace that it governs.
    pub namespace: String,
    /// What timeouts are of what they were, from 0 to 1.
    pub scale: f64,
    /// Its acts, by kind.
    pub acts: BTreeMap<&'static str, u64>,
}

/// The version that this is.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn families(own: &Own) -> Vec<Family> {
    let version = Sample { labels: vec![("version", VERSION.to_string())], value: 1.0 };
    vec![
        gauge("plimsoll_build_info", "The version of Plimsoll.", vec![version]),
        counter("plimsoll_readings_total", "Readings of the host.", alone(Some(own.readings as f64))),
        counter(
            "plimsoll_readings_failed_total",
            "Readings that could not be made.",
            alone(Some(own.failed_readings as f64)),
        ),
        gauge(
            "plimsoll_reading_seconds",
            "How long the last reading took beyond its interval.",
            alone(own.reading_secs),
        ),
        gauge("plimsoll_last_reading_timestamp_seconds", "When the last reading was made.", alone(own.read_at)),
        gauge("plimsoll_reading_interval_seconds", "Time between readings.", alone(Some(own.interval_secs))),
        counter("plimsoll_scrapes_total", "Times that these metrics were asked for.", alone(Some(own.scrapes as f64))),
        gauge(
            "plimsoll_governor_scale",
            "What governed timeouts are of what they were; 1: as they were.",
            own.governing.iter().map(|governing| of_governor(governing, Vec::new(), governing.scale)).collect(),
        ),
        counter("plimsoll_governor_acts_total", "Acts of the governor.", own.governing.iter().flat_map(acts).collect()),
        counter(
            "plimsoll_notices_total",
            "Notices to those who are told of troubles, by what came of them.",
            own.telling.iter().flat_map(outcomes).collect(),
        ),
        gauge("plimsoll_notices_waiting", "Notices that wait to be told.", own.telling.iter().map(waiting).collect()),
    ]
}

fn outcomes(telling: &Telling) -> [Sample; 3] {
    [("told", telling.told), ("refused", telling.refused), ("dropped", telling.dropped)]
        .map(|(outcome, number)| of_targets(telling, vec![("outcome", outcome.to_string())], number))
}

fn waiting(telling: &Telling) -> Sample {
    of_targets(telling, Vec::new(), telling.waiting)
}

fn of_targets(telling: &Telling, more: Vec<(&'static str, String)>, number: u64) -> Sample {
    let mut labels = vec![("target_kind", telling.target_kind.to_string())];
    labels.extend(more);
    Sample { labels, value: number as f64 }
}

fn acts(governing: &Governing) -> Vec<Sample> {
    let sample = |(act, number): (&&'static str, &u64)| {
        of_governor(governing, vec![("act", (*act).to_string())], *number as f64)
    };
    governing.acts.iter().map(sample).collect()
}

fn of_governor(governing: &Governing, more: Vec<(&'static str, String)>, value: f64) -> Sample {
    let mut labels = vec![("netns", governing.namespace.clone())];
    labels.extend(more);
    Sample { labels, value }
}
