//! How fast entries come now, and how many of them there will be at that rate.

use std::collections::BTreeMap;

use plimsoll_model::Interval;

use crate::Series;
use crate::dating::age_since_made;
use crate::lag::LAG_SECS;
use crate::poisson;
use crate::ports::{PortSpace, Triple, Weight};
use crate::table::{DatedEntry, Table};

/// How far back "now" goes: so far that a rate has a useful interval, and no farther.
const WINDOW_SECS: u32 = 5;
const LONGER_WINDOW_SECS: u32 = 10;
/// With fewer entries than this in the window the longer one is taken.
const FEW: usize = 30;

/// Entries of one series as they come now.
#[derive(Debug)]
pub(crate) struct Arrivals {
    pub(crate) timeout_secs: f64,
    pub(crate) per_sec: Interval,
    /// What comes between pairs that are seen so often that they may run out of ports.
    heavy: Vec<Heavy>,
    /// What comes between all others, a second.
    light_per_sec: f64,
}

#[derive(Debug)]
struct Heavy {
    per_sec: f64,
    space: PortSpace,
}

/// Which end of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Low,
    Value,
    High,
}

impl End {
    pub(crate) fn of(self, interval: &Interval) -> f64 {
        match self {
            Self::Low => interval.low,
            Self::Value => interval.value,
            Self::High => interval.high,
        }
    }
}

impl Arrivals {
    /// The arrivals of every series that can be dated, and of which there is an entry.
    pub(crate) fn of(table: &Table<'_>) -> Vec<Self> {
        let mut by_series = BTreeMap::<Series, Vec<&DatedEntry<'_>>>::new();
        for entry in &table.dated {
            by_series.entry(entry.dated.series).or_default().push(entry);
        }
        by_series.into_iter().filter_map(|(series, entries)| Self::of_series(table, series, &entries)).collect()
    }

    fn of_series(table: &Table<'_>, series: Series, entries: &[&DatedEntry<'_>]) -> Option<Self> {
        let timeout_secs = entries.first()?.dated.timeout_secs;
        // The last second before expiry and the youngest tell little.
        let begin = series.youngest_secs().max(1);
        let longest = timeout_secs.checked_sub(begin + 1).filter(|secs| *secs > 0)?;
        let within =
            |secs: u32| entries.iter().filter(move |entry| (begin..begin + secs).contains(&entry.dated.age_secs));
        let window_secs = match WINDOW_SECS.min(longest) {
            short if within(short).count() < FEW => LONGER_WINDOW_SECS.min(longest),
            short => short,
        };
        let recent: Vec<_> = within(window_secs).copied().collect();
        let seconds = f64::from(window_secs);
        let weights: Vec<_> = recent.iter().map(|entry| entry.weight).collect();
        let per_sec = rate(&weights, seconds, &table.per_drawn);
        let (heavy, light_per_sec) = pairs(table, &recent, seconds, f64::from(timeout_secs) + LAG_SECS.high);
        Some(Self { timeout_secs: f64::from(timeout_secs), per_sec, heavy, light_per_sec })
    }

    /// Entries that will have come within `secs` and still be counted, at the rate of `rate` and with the ports and gc's lag
    /// of `otherwise`.
    pub(crate) fn held(&self, secs: f64, rate: End, otherwise: End) -> f64 {
        let per_sec = rate.of(&self.per_sec);
        let held_secs = secs.min(self.timeout_secs + otherwise.of(&LAG_SECS));
        let seen_per_sec = self.light_per_sec + self.heavy.iter().map(|pair| pair.per_sec).sum::<f64>();
        if seen_per_sec == 0.0 {
            return per_sec * held_secs;
        }
        let scale = per_sec / seen_per_sec;
        let heavy = self.heavy.iter().map(|pair| {
            let ports = f64::from(if otherwise == End::High { pair.space.most } else { pair.space.fewest });
            // Of ports chosen at random, so many are taken; each at most once.
            ports * -(-pair.per_sec * scale * held_secs / ports).exp_m1()
        });
        self.light_per_sec * scale * held_secs + heavy.sum::<f64>()
    }
}

/// The rate of drawn entries that came within so many seconds, each of which stands for as many as its weight says.
pub(crate) fn rate(weights: &[Weight], secs: f64, per_drawn: &Interval) -> Interval {
    let bare = counted_rate(weights.len() as u64, secs, per_drawn);
    if weights.is_empty() {
        return bare;
    }
    let mean = |of: fn(&Weight) -> f64| weights.iter().map(of).sum::<f64>() / weights.len() as f64;
    Interval {
        low: bare.low,
        value: bare.value * mean(|weight| weight.likely),
        high: bare.high * mean(|weight| weight.most),
    }
}

/// The rate at which entries of a part were made of late, by their own timestamps; `None` without those.
pub(crate) fn made_per_sec(table: &Table<'_>) -> Option<Interval> {
    let read_at = table.census.read_at_unix_nanos?.get();
    let ages: Vec<_> = table.entries().filter_map(|entry| age_since_made(entry, read_at)).collect();
    let youngest = f64::from(Series::NewFlows.youngest_secs());
    let within = youngest..youngest + f64::from(WINDOW_SECS);
    let recent = ages.iter().filter(|age| within.contains(*age)).count() as u64;
    (!ages.is_empty()).then(|| counted_rate(recent, f64::from(WINDOW_SECS), &table.per_drawn))
}

/// The rate of so many drawn entries within so many seconds.
fn counted_rate(drawn: u64, secs: f64, per_drawn: &Interval) -> Interval {
    let (low, high) = poisson::expected(drawn);
    Interval {
        low: low * per_drawn.low / secs,
        value: drawn as f64 * per_drawn.value / secs,
        high: high * per_drawn.high / secs,
    }
}

/// Those pairs that come so often that ports matter, and the rate of the rest.
fn pairs(table: &Table<'_>, recent: &[&DatedEntry<'_>], secs: f64, held_secs: f64) -> (Vec<Heavy>, f64) {
    /// Below this share of the ports in use, hardly any flow meets a port that is taken.
    const MATTERS: f64 = 0.02;
    let mut by_triple = BTreeMap::<Triple, f64>::new();
    let mut light_per_sec = 0.0;
    for entry in recent {
        let per_sec = entry.weight.likely * table.per_drawn.value / secs;
        match Triple::of(entry.entry) {
            Some((triple, _)) => *by_triple.entry(triple).or_default() += per_sec,
            None => light_per_sec += per_sec,
        }
    }
    let mut heavy = Vec::new();
    for (triple, per_sec) in by_triple {
        match table.spaces.get(&triple) {
            Some(space) if per_sec * held_secs > MATTERS * f64::from(space.fewest) => {
                heavy.push(Heavy { per_sec, space: *space });
            }
            _ => light_per_sec += per_sec,
        }
    }
    (heavy, light_per_sec)
}
