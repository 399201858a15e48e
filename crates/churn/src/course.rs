//! The number of a part's entries from now on.

use plimsoll_model::Interval;

use crate::arrivals::{Arrivals, End};
use crate::poisson::Z;
use crate::table::Table;

/// What becomes of a part of a table: of what is there, and of what comes at the rate of now.
#[derive(Debug)]
pub(crate) struct Course {
    arrivals: Vec<Arrivals>,
    per_drawn: Interval,
    lag_secs: Interval,
    share_drawn: f64,
    /// Seconds that each dated entry has left, the longest first.
    remaining_secs: Vec<f64>,
    /// Drawn entries that cannot be dated: taken to stay as many as they are.
    undated: usize,
    /// What the undated part gains a second beyond that.
    pub(crate) growth_per_sec: Interval,
}

impl Course {
    pub(crate) fn of(table: &Table<'_>) -> Self {
        let mut remaining_secs: Vec<_> = table.dated.iter().map(super::table::DatedEntry::remaining_secs).collect();
        remaining_secs.sort_by(|a, b| b.total_cmp(a));
        Self {
            arrivals: Arrivals::of(table),
            per_drawn: table.per_drawn,
            lag_secs: table.lag_secs,
            share_drawn: table.share_drawn(),
            remaining_secs,
            undated: table.undated.len(),
            growth_per_sec: Interval::exact(0.0),
        }
    }

    /// Arrivals a second now, of all that can be dated; `None` where nothing can.
    pub(crate) fn per_sec(&self) -> Option<Interval> {
        let all: Vec<_> = self.arrivals.iter().map(|arrivals| arrivals.per_sec).collect();
        (!all.is_empty()).then(|| sum(&all))
    }

    /// When everything that is there now and can be dated has gone, and what comes goes as fast as it comes.
    pub(crate) fn settles_secs(&self) -> f64 {
        self.arrivals.iter().map(|arrivals| arrivals.timeout_secs + self.lag_secs.high).fold(0.0, f64::max)
    }

    /// Entries that cannot be dated, now.
    pub(crate) fn undated(&self) -> f64 {
        self.undated as f64 * self.per_drawn.value
    }

    /// Entries in so many seconds.
    pub(crate) fn entries_in(&self, secs: f64) -> Interval {
        let at = |end: End| {
            let growth = end.of(&self.growth_per_sec) * secs;
            self.survivors(secs - end.of(&self.lag_secs)) as f64 * end.of(&self.per_drawn)
                + self.undated as f64 * end.of(&self.per_drawn)
                + growth
                + self.arrivals.iter().map(|arrivals| arrivals.held(secs, End::Value, &self.lag_secs, end)).sum::<f64>()
        };
        let value = at(End::Value).max(0.0);
        Interval {
            low: (at(End::Low) - self.chance(secs, End::Low)).max(0.0).min(value),
            value,
            high: (at(End::High) + self.chance(secs, End::High)).max(value),
        }
    }

    /// Dated entries that are left in so many seconds.
    fn survivors(&self, secs: f64) -> usize {
        self.remaining_secs.partition_point(|remaining| *remaining > secs)
    }

    /// What chance may add or take: in how many came, and in how many were drawn.
    fn chance(&self, secs: f64, end: End) -> f64 {
        let rates = self.arrivals.iter().map(|arrivals| {
            let likely = arrivals.held(secs, End::Value, &self.lag_secs, end);
            (arrivals.held(secs, end, &self.lag_secs, end) - likely).powi(2)
        });
        let kept = (self.survivors(secs) + self.undated) as f64;
        let drawing = Z * (kept.max(1.0) * (1.0 - self.share_drawn)).sqrt() * self.per_drawn.value;
        // What will come is chance too, even at a rate that is known.
        let coming: f64 =
            self.arrivals.iter().map(|arrivals| arrivals.held(secs, End::Value, &self.lag_secs, End::Value)).sum();
        (rates.sum::<f64>() + drawing.powi(2) + Z * Z * coming).sqrt()
    }
}

/// The sum of quantities whose errors have nothing to do with each other.
pub(crate) fn sum(all: &[Interval]) -> Interval {
    let value: f64 = all.iter().map(|one| one.value).sum();
    let below: f64 = all.iter().map(|one| (one.value - one.low).powi(2)).sum();
    let above: f64 = all.iter().map(|one| (one.high - one.value).powi(2)).sum();
    Interval { low: (value - below.sqrt()).max(0.0), value, high: value + above.sqrt() }
}
