//! What tables were like over time, kept in memory and, across restarts, in a file.

mod course;
mod file;

use std::collections::BTreeMap;
use std::path::Path;

use plimsoll_churn::Outlook;

pub use course::{COARSE_SECS, Course, FINE_SECS, Point, SPAN_SECS, Span};
pub use file::Error;

use self::file::{File, Record};

/// Tables of which a history is kept. At 76 KiB each at most, these are the largest part of a daemon's memory.
pub const MOST_COURSES: usize = 128;

/// The histories of tables, by the names of their namespaces.
#[derive(Debug, Default)]
pub struct History {
    courses: BTreeMap<String, Course>,
    file: Option<File>,
    /// What was read before this moment came from a file.
    begun_at: f64,
    restored: Restored,
}

/// How the times of what came from a file are to be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Restored {
    /// Nothing came from one.
    #[default]
    Nothing,
    /// As they were written, up to this moment.
    AsWritten { until: f64 },
    /// They were later than the clock showed, which was wrong by so much at least: they were moved to it, and go with it when it is
    /// set.
    Moved,
}

impl History {
    /// One that is kept in memory alone.
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// One that goes on from what a file holds, at a moment in seconds since 1970. What was not written whole is left out. The file is made if it is not there.
    pub fn in_file(path: &Path, now: f64) -> Result<Self, Error> {
        let mut history = Self::default();
        let file = File::open(path, &mut |record| history.restore(record))?;
        history.begun_at = now;
        // A clock that is behind, as without a battery, must not cost what was read before.
        let newest = history.courses.values().filter_map(Course::newest_at).fold(f64::NEG_INFINITY, f64::max);
        history.restored = if newest > now { Restored::Moved } else { Restored::AsWritten { until: newest } };
        if history.restored == Restored::Moved {
            history.courses.values_mut().for_each(|course| course.shift(now - newest, f64::NEG_INFINITY));
        }
        history.forget(now);
        history.file = Some(file);
        // So it is as small as it can be, and without what was torn.
        history.write_anew()?;
        Ok(history)
    }

    /// The history of a namespace's table.
    pub fn course(&self, namespace: &str) -> Option<&Course> {
        self.courses.get(namespace)
    }

    /// Takes note of what the entries of a namespace say of where their number leads.
    pub fn note(&mut self, namespace: &str, at: f64, outlook: Outlook) {
        if let Some(course) = self.courses.get_mut(namespace) {
            course.note(at, outlook);
        }
    }

    /// Adds what was read at one moment, by namespace. If it cannot be written down it is in memory still.
    pub fn add<'a>(&mut self, now: f64, points: impl IntoIterator<Item = (&'a str, Point)>) -> Result<(), Error> {
        let mut records = Vec::new();
        for (namespace, point) in points {
            if !self.courses.contains_key(namespace) && !self.make_room(now) {
                continue;
            }
            let course = self.courses.entry(namespace.to_string()).or_default();
            let ended = course.spans().back().copied();
            course.add(point);
            let ended = ended.filter(|ended| course.spans().back().is_some_and(|last| last.from != ended.from));
            records.extend(ended.map(|span| Record::of_span(namespace, span)));
            records.push(Record::of_point(namespace, point));
        }
        self.forget(now);
        let Some(file) = &mut self.file else { return Ok(()) };
        if file.is_due_to_be_written_anew() { self.write_anew() } else { file.append(&records) }
    }

    /// The clock was set: what was read since the beginning was so many seconds later, or earlier, than it was thought. What came
    /// from a file was written by a clock that may have been right.
    pub fn shift(&mut self, secs: f64) -> Result<(), Error> {
        // It would come to lie among what came after it.
        if matches!(self.restored, Restored::AsWritten { until } if until > self.begun_at + secs) {
            self.restored = Restored::Moved;
        }
        let from = match self.restored {
            Restored::Nothing | Restored::AsWritten { .. } => self.begun_at,
            Restored::Moved => f64::NEG_INFINITY,
        };
        self.courses.values_mut().for_each(|course| course.shift(secs, from));
        self.begun_at += secs;
        self.write_anew()
    }

    /// Forgets what is too old, and tables of which nothing is left.
    fn forget(&mut self, now: f64) {
        self.courses.retain(|_, course| {
            course.forget(now);
            !course.is_empty()
        });
    }

    /// Room for one table more: where there are as many as are kept, one of which nothing came for an hour makes room.
    fn make_room(&mut self, now: f64) -> bool {
        if self.courses.len() < MOST_COURSES {
            return true;
        }
        let is_gone = |course: &Course| course.last_at().is_none_or(|at| at < now - FINE_SECS);
        let Some(gone) = self.courses.iter().find(|(_, course)| is_gone(course)).map(|(name, _)| name.clone()) else {
            return false;
        };
        self.courses.remove(&gone);
        true
    }

    fn restore(&mut self, record: Record) {
        let (namespace, kept) = record.into_parts();
        if !self.courses.contains_key(&namespace) && self.courses.len() >= MOST_COURSES {
            return;
        }
        let course = self.courses.entry(namespace).or_default();
        match kept {
            file::Kept::Point(point) => course.restore_point(point),
            file::Kept::Span(span) => course.restore_span(span),
        }
    }

    fn write_anew(&mut self) -> Result<(), Error> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_anew(self.courses.iter().flat_map(|(namespace, course)| {
            let spans = course.spans().iter().map(|span| Record::of_span(namespace, *span));
            let points = course.points().iter().map(|point| Record::of_point(namespace, *point));
            spans.chain(points)
        }))
    }
}
