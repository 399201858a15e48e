//! What is foretold.

use plimsoll_model::Interval;
use serde::Serialize;

use crate::because;
use crate::course::Course;
use crate::daily::Daily;
use crate::history::{History, Read, Seen};
use crate::line::{Line, Noises};
use crate::mechanism::Mechanism;
use crate::noise::Noise;
use crate::ways::{FURTHEST_SECS, Ways};

/// When a table will be full.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// The chance that it becomes full within some times, those of [`WITHIN_SECS`] for which it is known.
    pub within: Vec<Within>,
    /// When it becomes full; `None` where that is not foreseen: less likely than not within the time that is known.
    pub full_in_secs: Option<FullIn>,
    /// Entries ahead, at those of [`AHEAD_SECS`] for which they are known; none while it is full.
    pub ahead: Vec<Ahead>,
    /// Why, in a plain sentence without a full stop.
    pub because: String,
}

/// A chance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Within {
    /// Within so many seconds.
    pub secs: u32,
    /// From 0 to 1.
    pub probability: f64,
}

/// When a table becomes full, in seconds from now, at 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FullIn {
    /// As likely before as after.
    pub value: f64,
    /// Hardly before.
    pub low: f64,
    /// Hardly after; `None` where it may not become full at all.
    pub high: Option<f64>,
}

/// Entries in some time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ahead {
    /// In so many seconds.
    pub in_secs: u32,
    /// So many, at 95 %.
    pub entries: Interval,
}

/// What is worth being told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// The table may be full within the hour.
    WithinHour,
    /// The table may be full within the day.
    WithinDay,
}

impl Alarm {
    /// Within so many seconds, one of [`WITHIN_SECS`].
    pub const fn secs(self) -> u32 {
        match self {
            Self::WithinHour => 3600,
            Self::WithinDay => 86_400,
        }
    }

    /// From this chance on. A full table that nobody was told of costs more than a look at one that does not fill; of the
    /// next hour nine times as much is reckoned, so that a tenth is enough. A day ahead there is time to wait and see:
    /// there it has to be as likely as not.
    pub const fn from_probability(self) -> f64 {
        match self {
            Self::WithinHour => 0.1,
            Self::WithinDay => 0.5,
        }
    }
}

/// Why nothing is foretold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKnown {
    /// There is no reading.
    #[error("there is no reading of the table yet")]
    NoReading,
    /// There is no limit.
    #[error("the table has no limit, so it is never full")]
    NoLimit,
    /// Too short a history, and entries that do not tell where they lead.
    #[error("the table was read {readings} times since it began or was last full: {needed} readings show a course")]
    TooShort {
        /// Readings.
        readings: usize,
        /// With so many it is known.
        needed: usize,
    },
}

/// Within what times a table may become full: 15 minutes, an hour, a day.
pub const WITHIN_SECS: [u32; 3] = [900, 3600, 86_400];

/// How far ahead entries are told: 1, 5 and 15 minutes, 1, 3, 6, 12 and 24 hours.
pub const AHEAD_SECS: [u32; 8] = [60, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400];

/// A line is carried on for so many times as long as the table was watched: the ratio of the usual rule, which carries an
/// hour on for four.
const AS_FAR: f64 = 4.0;

/// More likely than not.
const LIKELY: f64 = 0.5;

/// The ends of a 95 % interval.
const ENDS: [f64; 3] = [0.025, 0.5, 0.975];

impl Forecast {
    /// The chance that the table becomes full within one of [`WITHIN_SECS`]; `None` where that is not known.
    pub fn probability_within(&self, secs: u32) -> Option<f64> {
        self.within.iter().find(|within| within.secs == secs).map(|within| within.probability)
    }

    /// What is worth being told of, the nearest.
    pub fn alarm(&self) -> Option<Alarm> {
        [Alarm::WithinHour, Alarm::WithinDay].into_iter().find(|alarm| self.raises(*alarm))
    }

    /// Whether this is worth being told of, whatever else is.
    pub fn raises(&self, alarm: Alarm) -> bool {
        self.probability_within(alarm.secs()).is_some_and(|chance| chance >= alarm.from_probability())
    }

    fn full() -> Self {
        Self {
            within: WITHIN_SECS.map(|secs| Within { secs, probability: 1.0 }).to_vec(),
            full_in_secs: Some(FullIn { value: 0.0, low: 0.0, high: Some(0.0) }),
            ahead: Vec::new(),
            because: "the table is full".to_string(),
        }
    }

    fn of(ways: &Ways, known_secs: f64, because: String) -> Self {
        let surely = ways.full_within(known_secs);
        let within = WITHIN_SECS.into_iter().filter_map(|secs| {
            // Full soon is full within any longer time, though that is not known otherwise.
            let is_told = f64::from(secs) <= known_secs || surely >= LIKELY;
            is_told.then(|| Within { secs, probability: ways.full_within(f64::from(secs).min(known_secs)) })
        });
        let [low, value, high] = ENDS.map(|share| ways.full_at(share, known_secs));
        let full_in_secs = value.map(|value| FullIn { value, low: low.unwrap_or(value), high });
        let ahead = AHEAD_SECS.into_iter().filter(|secs| f64::from(*secs) <= known_secs).map(|in_secs| {
            let [low, value, high] = ways.entries_at(f64::from(in_secs), ENDS);
            Ahead { in_secs, entries: Interval { low, value, high } }
        });
        Self { within: within.collect(), full_in_secs, ahead: ahead.collect(), because }
    }
}

/// When a table will be full, by its history and, where its entries were read, by what they said, the newest last. What is
/// more than a minute and a half old, or what came since has refuted, is left out; so whoever calls keeps what was read
/// within the last minutes, and need not choose.
pub fn forecast(history: &History<'_>, reads: &[Read<'_>]) -> Result<Forecast, NotKnown> {
    if history.limits.last().is_none_or(|limit| limit.entries < 1.0) {
        return Err(NotKnown::NoLimit);
    }
    let seen = Seen::of(history).ok_or(NotKnown::NoReading)?;
    if seen.is_full {
        return Ok(Forecast::full());
    }
    let daily = Daily::of(&seen.coarse, seen.now.at_secs).filter(|daily| daily.at(seen.now.at_secs).is_some());
    let noise = Noise::usual(&seen);
    let counting = Noise::of_counting(&seen);
    let noises = Noises { usual: noise, counting, days: daily.as_ref().map(|daily| daily.noise(seen.now.at_secs)) };
    let series = series(&seen, daily.as_ref());
    let line = Line::newest(&series, &noises).map(|line| line.shrunk().until_now(&series, &noises));
    let mechanism = Mechanism::governing(&seen, reads, line.as_ref());
    let (Some(line), mechanism) = (line.or(mechanism.map(|_| Line::point(seen.now.entries))), mechanism) else {
        return Err(NotKnown::TooShort { readings: seen.fine.len(), needed: crate::line::FEWEST });
    };
    let known_secs = if daily.is_some() { FURTHEST_SECS } else { (AS_FAR * seen.secs()).min(FURTHEST_SECS) };
    let known_secs = known_secs.max(mechanism.map_or(0.0, |mechanism| mechanism.known_secs()));
    let because = because::words(&seen, &line, mechanism.as_ref(), daily.as_ref());
    let course = Course {
        capacity: seen.capacity,
        now_secs: seen.now.at_secs,
        now: seen.now.entries,
        before: before(&series, &line),
        depths: seen.depths(),
        rise: seen.rise,
        line,
        mechanism,
        daily: daily.as_ref(),
        noise,
        counting,
    };
    Ok(Forecast::of(&Ways::of(&course), known_secs.min(FURTHEST_SECS), because))
}

/// What is looked at for a line, by the time before now. Where the days before are known, it is what lies beside them:
/// their own ups and downs are no trend.
fn series(seen: &Seen, daily: Option<&Daily>) -> Vec<(f64, f64)> {
    let now = seen.now.at_secs;
    let day = seen.recent.iter().filter(|(at, _)| *at >= now - FURTHEST_SECS);
    let expected_now = daily.and_then(|daily| daily.at(now));
    let beside = |at: f64, entries: f64| match daily {
        None => Some((at - now, entries)),
        Some(daily) => Some((at - now, entries - daily.at(at)? + expected_now?)),
    };
    day.filter_map(|(at, entries)| beside(*at, *entries)).collect()
}

/// What the entries were before a line, in order.
fn before(series: &[(f64, f64)], line: &Line) -> Vec<f64> {
    let before = &series[..series.partition_point(|(at, _)| -at > line.seen_secs)];
    let mut entries: Vec<_> = before.iter().map(|(_, entries)| *entries).collect();
    entries.sort_unstable_by(f64::total_cmp);
    entries
}
