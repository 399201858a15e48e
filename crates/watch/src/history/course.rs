//! What one table was like over time.

use std::collections::VecDeque;

use plimsoll_churn::Outlook;
use serde::{Deserialize, Serialize};

/// How far back every reading is kept, in seconds.
pub const FINE_SECS: f64 = 3600.0;

/// How far back spans are kept, in seconds.
pub const COARSE_SECS: f64 = 7.0 * 86_400.0;

/// How far back what entries said is kept, in seconds.
const OUTLOOK_SECS: f64 = 180.0;

/// How long a span is, in seconds.
pub const SPAN_SECS: i64 = 300;

/// A table at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Wall-clock time, in seconds since 1970.
    pub at: f64,
    /// Entries.
    pub entries: u32,
    /// The limit; `None` without one.
    pub limit: Option<u32>,
    /// New entries a second, where that is known.
    pub new_per_sec: Option<f32>,
    /// Packets lost a second, where that is known.
    pub lost_per_sec: Option<f32>,
}

/// A table over [`SPAN_SECS`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// When it began, in seconds since 1970.
    pub from: i64,
    /// Fewest entries.
    pub least: u32,
    /// Entries on average over the readings.
    pub mean: f64,
    /// Most entries.
    pub most: u32,
    /// Readings.
    pub readings: u32,
}

impl Span {
    fn beginning_with(point: &Point) -> Self {
        let from = whole(point.at).div_euclid(SPAN_SECS) * SPAN_SECS;
        Self { from, least: point.entries, mean: f64::from(point.entries), most: point.entries, readings: 1 }
    }

    fn holds(&self, at: f64) -> bool {
        (self.from..self.from + SPAN_SECS).contains(&whole(at))
    }

    fn add(&mut self, entries: u32) {
        self.least = self.least.min(entries);
        self.most = self.most.max(entries);
        self.readings += 1;
        self.mean += (f64::from(entries) - self.mean) / f64::from(self.readings);
    }
}

/// Whole seconds.
#[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 are far below 2^63")]
fn whole(secs: f64) -> i64 {
    secs.floor() as i64
}

/// What is kept of a table: the last hour reading by reading, a week in spans.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Course {
    points: VecDeque<Point>,
    spans: VecDeque<Span>,
    /// What its entries said in the last minutes; not kept across restarts.
    outlooks: VecDeque<(f64, Outlook)>,
}

impl Course {
    /// Readings of the last hour, the oldest first.
    pub fn points(&self) -> &VecDeque<Point> {
        &self.points
    }

    /// Spans of the last week, the oldest first; the last one is still going on.
    pub fn spans(&self) -> &VecDeque<Span> {
        &self.spans
    }

    /// Where the entries said that their number leads, when they were read in the last minutes, the oldest first.
    pub fn outlooks(&self) -> &VecDeque<(f64, Outlook)> {
        &self.outlooks
    }

    /// Takes note of what the entries say.
    pub(super) fn note(&mut self, at: f64, outlook: Outlook) {
        self.outlooks.push_back((at, outlook));
    }

    /// Adds a reading. One that is not later than the last one is left out.
    pub(super) fn add(&mut self, point: Point) {
        if self.points.back().is_some_and(|last| last.at >= point.at) {
            return;
        }
        match self.spans.back_mut() {
            Some(span) if span.holds(point.at) => span.add(point.entries),
            Some(span) if span.from > whole(point.at) => {}
            _ => self.spans.push_back(Span::beginning_with(&point)),
        }
        self.points.push_back(point);
        self.forget(point.at);
    }

    /// Takes a span as it was written down.
    pub(super) fn restore_span(&mut self, span: Span) {
        match self.spans.back_mut() {
            Some(last) if last.from == span.from => *last = span,
            Some(last) if last.from > span.from => {}
            _ => self.spans.push_back(span),
        }
    }

    /// Takes a reading as it was written down; its span is written down for itself.
    pub(super) fn restore_point(&mut self, point: Point) {
        if self.points.back().is_none_or(|last| last.at < point.at) {
            self.points.push_back(point);
        }
    }

    /// Forgets what is too old at a moment, and what is later than it: then the clock was wrong.
    pub(super) fn forget(&mut self, now: f64) {
        while self.points.front().is_some_and(|point| point.at < now - FINE_SECS) {
            self.points.pop_front();
        }
        while self.spans.front().is_some_and(|span| (span.from as f64) < now - COARSE_SECS) {
            self.spans.pop_front();
        }
        self.outlooks.retain(|(at, _)| (now - OUTLOOK_SECS..=now).contains(at));
        while self.points.back().is_some_and(|point| point.at > now) {
            self.points.pop_back();
        }
        while self.spans.back().is_some_and(|span| span.from as f64 > now) {
            self.spans.pop_back();
        }
    }

    /// What was at this moment or later was so many seconds later, or earlier, than it was thought.
    pub(super) fn shift(&mut self, secs: f64, from: f64) {
        self.points.iter_mut().filter(|point| point.at >= from).for_each(|point| point.at += secs);
        // One that was going on then belongs to what came after.
        let is_later = |span: &&mut Span| (span.from + SPAN_SECS) as f64 > from;
        self.spans.iter_mut().filter(is_later).for_each(|span| span.from += whole(secs));
        self.outlooks.iter_mut().for_each(|(at, _)| *at += secs);
    }

    /// The newest moment that is told of.
    pub(super) fn newest_at(&self) -> Option<f64> {
        let span = self.spans.back().map(|span| span.from as f64);
        self.last_at().into_iter().chain(span).reduce(f64::max)
    }

    pub(super) fn last_at(&self) -> Option<f64> {
        self.points.back().map(|point| point.at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.points.is_empty() && self.spans.is_empty()
    }
}
