//! The ways in which it may go on, laid out evenly.
//!
//! Each way is one course of the entries: a level within its interval, a slope within its error, a moment at which the
//! trend ends, a deviation from the days before, a chance of the moment. There are [`WAYS`] of them, none drawn at random,
//! each as likely as another. Whatever is said of the future is counted over them.

use crate::course::Course;
use crate::even;

/// Enough to tell a hundredth; few enough for a fraction of a millisecond.
const WAYS: u32 = 128;

/// Moments ahead: until so many seconds, in so many steps.
const STEPS: [(f64, u32); 6] =
    [(60.0, 6), (300.0, 8), (900.0, 10), (3600.0, 18), (6.0 * 3600.0, 20), (24.0 * 3600.0, 36)];

/// The furthest moment.
pub(crate) const FURTHEST_SECS: f64 = 24.0 * 3600.0;

/// All ways together.
#[derive(Debug)]
pub(crate) struct Ways {
    /// Moments ahead, in seconds.
    secs: Vec<f64>,
    /// The share of the ways that were full at a moment or before it.
    full: Vec<f64>,
    /// Entries by moment, then by way.
    entries: Vec<f64>,
}

/// One way's respects, in standard deviations where not said otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) level: f64,
    pub(crate) slope: f64,
    /// The share of trends that last for longer than this one.
    pub(crate) outlasted_by: f64,
    /// The share of days that stray less upwards than this one.
    pub(crate) day: f64,
    /// Where it goes when it has ended.
    pub(crate) after: f64,
}

impl Ways {
    /// Follows each way as far as is looked ahead.
    ///
    /// A way passes the limit when its course does, or by chance on top of it. The chance of the moment is drawn anew as
    /// often as it is forgotten: so in a step as long as it keeps there is one draw, and in a longer one as many more. That is
    /// an approximation: draws that follow each other at once are a little alike, and between two moments the course is
    /// taken to be where it is at the second.
    pub(crate) fn of(course: &Course<'_>) -> Self {
        let mut secs = vec![0.0];
        for (until, steps) in STEPS {
            let from = secs.last().copied().unwrap_or(0.0);
            secs.extend((1..=steps).map(|step| from + (until - from) * f64::from(step) / f64::from(steps)));
        }
        let before = std::iter::once(0.0).chain(secs.iter().copied());
        let moments: Vec<_> =
            secs.iter().zip(before).map(|(secs, before)| course.moment(*secs, secs - before)).collect();
        let mut full = vec![0.0; secs.len()];
        let mut entries = vec![0.0; secs.len() * WAYS as usize];
        for (at_way, point) in even::points(WAYS).enumerate() {
            let [level, slope, outlasted_by, day, chance, depth, after] = point;
            let [level, slope, chance] = [level, slope, chance].map(even::deviations);
            let way = course.way(Way { level, slope, outlasted_by, day, after });
            let mut not_full = 1.0;
            for (at, moment) in moments.iter().enumerate() {
                let (mean, sd) = way.at(moment);
                let room = course.capacity - course.rise * depth - mean;
                if room <= 0.0 {
                    not_full = 0.0;
                } else if room < FAR * sd {
                    not_full *= (1.0 - even::beyond(room / sd)).powf(moment.draws);
                }
                full[at] += (1.0 - not_full) / f64::from(WAYS);
                entries[at * WAYS as usize + at_way] =
                    (mean + chance * sd - course.depth(depth)).clamp(0.0, course.capacity);
            }
        }
        Self { secs, full, entries }
    }

    /// The chance that the table is full at a moment or before it.
    pub(crate) fn full_within(&self, secs: f64) -> f64 {
        let at = self.secs.partition_point(|moment| *moment < secs).min(self.secs.len() - 1);
        self.full[at].min(1.0)
    }

    /// When that chance reaches a share; `None` where it does not before `until_secs`.
    pub(crate) fn full_at(&self, share: f64, until_secs: f64) -> Option<f64> {
        let at = self.full.iter().position(|full| *full >= share)?;
        let Some(before) = at.checked_sub(1) else { return Some(0.0) };
        let (from, to) = (self.full[before], self.full[at]);
        let part = if to > from { (share - from) / (to - from) } else { 1.0 };
        let secs = self.secs[before] + part * (self.secs[at] - self.secs[before]);
        (secs <= until_secs).then_some(secs)
    }

    /// Entries at a moment, of which these shares of the ways have fewer.
    pub(crate) fn entries_at<const N: usize>(&self, secs: f64, shares: [f64; N]) -> [f64; N] {
        let at = self.secs.partition_point(|moment| *moment < secs).min(self.secs.len() - 1);
        let mut entries: Vec<_> = self.entries.iter().skip(at * WAYS as usize).take(WAYS as usize).copied().collect();
        entries.sort_unstable_by(f64::total_cmp);
        shares.map(|share| even::quantile(&entries, share).unwrap_or(0.0))
    }
}

/// Beyond so many standard deviations nothing happens.
const FAR: f64 = 6.0;
