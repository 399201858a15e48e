//! What was seen of a table until now.

use plimsoll_churn::Outlook;

use crate::line::median;

/// The history of one table. Its times are seconds on one clock; those that a clock that was set back made doubtful are
/// left out.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// Readings of the last hour or so, the oldest first. The newest is now.
    pub fine: &'a [Point],
    /// Spans of up to a week, the oldest first.
    pub coarse: &'a [Span],
    /// The limits that were in force, the oldest first; the last one is in force.
    pub limits: &'a [Limit],
    /// When the table last began empty (a boot, a namespace made anew), if that is known. What was before tells of the
    /// shape of a day, and of nothing else.
    pub restarted_at_secs: Option<f64>,
}

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When.
    pub at_secs: f64,
    /// Entries, as the kernel counts them.
    pub entries: f64,
    /// Entries that came a second, where that is known.
    pub new_per_sec: Option<f64>,
}

/// What was read within five minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// When it began.
    pub from_secs: f64,
    /// Fewest entries.
    pub least: f64,
    /// Entries on the average.
    pub mean: f64,
    /// Most entries.
    pub most: f64,
}

impl Span {
    /// How long a span is.
    pub const SECS: f64 = 300.0;
}

/// A limit, and since when it was in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// Since when.
    pub since_secs: f64,
    /// Entries; never 0.
    pub entries: f64,
}

/// What the entries said when they were read, which need not be now.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    /// When, on the history's clock.
    pub at_secs: f64,
    /// Where their number leads.
    pub outlook: &'a Outlook,
}

/// A history without what says nothing, by its peaks.
///
/// An expired entry is counted until the garbage collector takes it, up to a minute later, with all others: the count
/// goes up and down like a saw, and it is the teeth that reach the limit. So everything is reckoned by the most that was
/// read within a minute.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The newest peak, and its time.
    pub(crate) now: Point,
    pub(crate) capacity: f64,
    pub(crate) is_full: bool,
    /// Peaks since the table began, or was full the last time.
    pub(crate) fine: Vec<Point>,
    /// How far the readings lay below them.
    depths: Vec<f64>,
    /// How much more there is from one reading to the next, where there is more, in the last minutes.
    pub(crate) rise: f64,
    /// What the peaks were by all spans, whatever lay between: when a span began, and entries.
    pub(crate) coarse: Vec<(f64, f64)>,
    /// Peaks by time since the table began or was full the last time: of spans, then of readings.
    pub(crate) recent: Vec<(f64, f64)>,
}

/// The longest that the garbage collector waits (`gc_worker` in `nf_conntrack_core.c`, since 5.15).
pub(crate) const GC_SECS: f64 = 60.0;

/// Ten minutes at a reading each ten seconds.
const NEWEST: usize = 60;

/// Of the limit.
const NEARLY: f64 = 0.9;

impl Seen {
    /// `None` without a reading or a limit.
    pub(crate) fn of(history: &History<'_>) -> Option<Self> {
        let fine = in_order(history.fine, |point| (point.at_secs, point.entries));
        let newest = fine.last()?;
        let capacity = history.limits.last().map(|limit| limit.entries).filter(|limit| *limit >= 1.0)?;
        let coarse = in_order(history.coarse, |span| (span.from_secs, span.mean));
        let coarse = &coarse[..coarse.partition_point(|span| span.from_secs + Span::SECS <= newest.at_secs)];

        // A full table shows its limit and not what would have come, so no line leads through it.
        let is_full = |at: f64, entries: f64| entries >= limit_at(history.limits, at).unwrap_or(f64::INFINITY);
        let full_reading = fine.iter().rfind(|point| is_full(point.at_secs, point.entries)).map(|point| point.at_secs);
        let full_span = || coarse.iter().rfind(|span| is_full(span.from_secs, span.most));
        let full = full_reading.or_else(|| full_span().map(|span| span.from_secs + Span::SECS));
        let began = [history.restarted_at_secs, full];
        let began = began.into_iter().flatten().filter(|at| *at < newest.at_secs).fold(f64::NEG_INFINITY, f64::max);

        // Between two runs of the garbage collector a full table is full; one that was relieved falls further.
        let minute = fine.iter().rev().take_while(|point| point.at_secs >= newest.at_secs - GC_SECS);
        let was_full = minute.fold(0.0, |most: f64, point| most.max(point.entries)) >= capacity;
        let is_full = was_full && newest.entries >= NEARLY * capacity;

        let readings = &fine[fine.partition_point(|point| point.at_secs <= began)..];
        let fine = peaks(readings);
        let depths: Vec<_> = fine.iter().zip(readings).map(|(peak, reading)| peak.entries - reading.entries).collect();
        let last = &readings[readings.len().saturating_sub(NEWEST)..];
        let rises = last.windows(2).map(|pair| pair[1].entries - pair[0].entries);
        let rise = median(&mut rises.filter(|rise| *rise > 0.0).collect::<Vec<_>>()).unwrap_or(0.0);
        let sum = |points: &[Point]| points.iter().map(|point| point.entries).sum::<f64>();
        let over = sum(&fine) / sum(readings).max(1.0);
        let peak = |span: &Span| (span.mean * over).clamp(span.mean, span.most.max(span.mean));
        let coarse: Vec<_> = coarse.iter().map(|span| (span.from_secs, peak(span))).collect();
        let first = fine.first().map_or(newest.at_secs, |point| point.at_secs);
        let before = coarse.iter().filter(|(from, _)| *from >= began && from + Span::SECS <= first);
        let before = before.map(|(from, entries)| (from + Span::SECS / 2.0, *entries));
        let recent = before.chain(fine.iter().map(|point| (point.at_secs, point.entries))).collect();
        Some(Self { now: *fine.last()?, capacity, is_full, fine, depths, rise, coarse, recent })
    }

    /// For how long the table was watched since it began or was full the last time.
    pub(crate) fn secs(&self) -> f64 {
        self.recent.first().map_or(0.0, |(at, _)| self.now.at_secs - at)
    }

    /// How far readings of the last minutes lay below their peaks, the least first.
    pub(crate) fn depths(&self) -> Vec<f64> {
        let mut depths: Vec<_> = self.depths.iter().rev().take(NEWEST).copied().collect();
        depths.sort_unstable_by(f64::total_cmp);
        depths
    }
}

/// The most within the minute before each reading.
fn peaks(readings: &[Point]) -> Vec<Point> {
    let peak = |(at, reading): (usize, &Point)| {
        let minute = readings[..=at].iter().rev().take_while(|before| before.at_secs >= reading.at_secs - GC_SECS);
        let new_per_sec = reading.new_per_sec.filter(|per_sec| per_sec.is_finite() && *per_sec >= 0.0);
        Point { entries: minute.map(|before| before.entries).fold(0.0, f64::max), new_per_sec, ..*reading }
    };
    readings.iter().enumerate().map(peak).collect()
}

fn limit_at(limits: &[Limit], at_secs: f64) -> Option<f64> {
    limits.iter().rev().find(|limit| limit.since_secs <= at_secs).or(limits.first()).map(|limit| limit.entries)
}

/// The end of a series, as far back as its times rise and its values are numbers.
fn in_order<T>(series: &[T], of: impl Fn(&T) -> (f64, f64)) -> &[T] {
    let is_number = |one: &T| of(one).0.is_finite() && of(one).1.is_finite() && of(one).1 >= 0.0;
    let mut from = series.len();
    while let Some(before) = from.checked_sub(1) {
        let follows = series.get(from).is_none_or(|next| of(&series[before]).0 < of(next).0);
        if !follows || !is_number(&series[before]) {
            break;
        }
        from = before;
    }
    &series[from..]
}
