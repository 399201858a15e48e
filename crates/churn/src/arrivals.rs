//! How fast entries come now, and how many of them there will be at that rate.

use std::collections::BTreeMap;

use plimsoll_model::Interval;

use crate::Series;
use crate::dating::age_since_made;
use crate::poisson;
use crate::ports::{PortSpace, Triple, Weight};
use crate::table::{DatedEntry, Table};
use crate::window::{LONGER_WINDOW_SECS, Window};

/// Entries of one series as they come now.
#[derive(Debug)]
pub(crate) struct Arrivals {
    pub(crate) series: Series,
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
        // The last second before expiry tells little.
        let youngest = series.youngest_secs();
        let longest = timeout_secs.checked_sub(youngest + 1)?;
        let aged: Vec<_> = entries.iter().map(|entry| (entry.dated.age_secs, entry.weight)).collect();
        let now = Now::of(&aged, youngest, longest, &table.per_drawn)?;
        let within = youngest..youngest + now.secs;
        let recent: Vec<_> = entries.iter().copied().filter(|entry| within.contains(&entry.dated.age_secs)).collect();
        let held_secs = f64::from(timeout_secs) + table.lag_secs.high;
        let (heavy, light_per_sec) = pairs(table, &recent, f64::from(now.secs), held_secs);
        let per_sec = now.per_sec;
        Some(Self { series, timeout_secs: f64::from(timeout_secs), per_sec, heavy, light_per_sec })
    }

    /// Entries that will have come within `secs` and still be counted, at the rate of `rate` and with the ports and gc's lag
    /// of `otherwise`.
    pub(crate) fn held(&self, secs: f64, rate: End, lag_secs: &Interval, otherwise: End) -> f64 {
        let per_sec = rate.of(&self.per_sec);
        let held_secs = secs.min(self.timeout_secs + otherwise.of(lag_secs));
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

/// The rate of now.
struct Now {
    secs: u32,
    per_sec: Interval,
}

impl Now {
    /// From the ages of entries and what each stands for. `None` where there is no second to look at.
    fn of(aged: &[(u32, Weight)], youngest_secs: u32, longest_secs: u32, per_drawn: &Interval) -> Option<Self> {
        let mut per_second = vec![0; LONGER_WINDOW_SECS.min(usize::try_from(longest_secs).unwrap_or(usize::MAX))];
        for (age_secs, _) in aged {
            let second = age_secs.checked_sub(youngest_secs).and_then(|second| usize::try_from(second).ok());
            if let Some(count) = second.and_then(|second| per_second.get_mut(second)) {
                *count += 1;
            }
        }
        let window = Window::of(&per_second)?;
        let over = |secs: u32| rate_within(aged, youngest_secs, secs, per_drawn);
        let (steady, surely) = (over(window.steady_secs), over(window.surely_secs));
        let per_sec =
            Interval { low: steady.low.min(surely.low), value: steady.value, high: steady.high.max(surely.high) };
        Some(Self { secs: window.steady_secs, per_sec })
    }
}

/// The rate within so many seconds from an age on.
pub(crate) fn rate_within(aged: &[(u32, Weight)], from_secs: u32, secs: u32, per_drawn: &Interval) -> Interval {
    let within = aged.iter().filter(|(age_secs, _)| (from_secs..from_secs + secs).contains(age_secs));
    let weights: Vec<_> = within.map(|(_, weight)| *weight).collect();
    rate(&weights, f64::from(secs), per_drawn)
}

/// The rate of drawn entries that came within so many seconds: what is still there, and at its upper end what may have
/// been, by what each weighs.
pub(crate) fn rate(weights: &[Weight], secs: f64, per_drawn: &Interval) -> Interval {
    let bare = counted_rate(weights.len() as u64, secs, per_drawn);
    if weights.is_empty() {
        return bare;
    }
    let most = weights.iter().map(|weight| weight.most).sum::<f64>() / weights.len() as f64;
    Interval { high: bare.high * most, ..bare }
}

/// The rate at which entries of a part were made of late, by their own timestamps; `None` without those.
pub(crate) fn made_per_sec(table: &Table<'_>) -> Option<Interval> {
    let read_at = table.census.read_at_unix_nanos?.get();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; too old saturates")]
    let age_secs = |entry| age_since_made(entry, read_at).map(|secs| (secs as u32, Weight::ONE));
    let aged: Vec<_> = table.entries().filter_map(age_secs).collect();
    let now = Now::of(&aged, Series::NewFlows.youngest_secs(), u32::MAX, &table.per_drawn);
    now.filter(|_| !aged.is_empty()).map(|now| now.per_sec)
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
        let per_sec = table.per_drawn.value / secs;
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
