//! A recording's directory, written.

use std::collections::BTreeMap;
use std::path::Path;

use plimsoll_model::Untrusted;
use plimsoll_recording::{Change, IdleGap, Life, Origin, Row, TableReading, UnixMicros};

use super::event::Event;
use super::limits::Limits;
use super::segment::{OpenSegment, Pushed};
use super::settings::Settings;
use crate::column::Table;
use crate::directory::{Contents, Directory};
use crate::error::Error;
use crate::read::RecordingFile;
use crate::segment::Segment;

/// Writes a recording.
///
/// Up to 32,768 rows of each table wait in memory, and are written together. After an error nothing more is written:
/// the open segment is removed, and what was closed can be read. So it is when the writer is dropped before
/// [`Writer::finish`].
#[derive(Debug)]
pub struct Writer {
    directory: Directory,
    origin: Origin,
    limits: Limits,
    /// `None` after an error.
    open: Option<OpenSegment>,
    closed: BTreeMap<Segment, u64>,
    settings: Settings,
    /// The latest moment that was heard of.
    latest: UnixMicros,
}

impl Writer {
    /// Begins a recording in a directory that is empty, or is made, or has a recording of the same host, namespace, sources
    /// and kind of addresses, which goes on. What a recorder that was killed has left open there is removed.
    ///
    /// # Errors
    ///
    /// If the directory holds something else, or another process records into it, or the system refuses.
    pub fn begin(path: &Path, origin: &Origin, limits: Limits) -> Result<(Self, Vec<Event>), Error> {
        let directory = Directory::claim(path)?;
        let contents = directory.contents()?;
        let mut events = clear(&directory, &contents)?;
        // Once more, since a segment that was whole may have got its names.
        let Contents { closed, .. } = directory.contents()?;
        check_origin(&directory, &closed, origin)?;
        let last = closed.keys().map(|segment| segment.number).max().unwrap_or(0);
        let segment = Segment::new(last.saturating_add(1), origin.began_at);
        let limits = Limits { segment_bytes: limits.segment_bytes.min(limits.total_bytes / 4), ..limits };
        let open = Some(OpenSegment::begin(&directory, segment, origin)?);
        let (origin, settings, latest) = (origin.clone(), Settings::default(), origin.began_at);
        let mut writer = Self { directory, origin, limits, open, closed, settings, latest };
        writer.keep_within(&mut events)?;
        Ok((writer, events))
    }

    /// Writes a row of any table.
    ///
    /// # Errors
    ///
    /// If the disk is full ([`Error::Full`]) or the system refuses.
    pub fn write(&mut self, row: &Row) -> Result<Vec<Event>, Error> {
        match row {
            Row::Life(life) => self.write_life(life),
            Row::Gap(gap) => self.write_gap(gap),
            Row::Reading(reading) => self.write_reading(reading),
            Row::Change(change) => self.write_change(change),
        }
    }

    /// Writes a life.
    ///
    /// # Errors
    ///
    /// As [`Writer::write`].
    pub fn write_life(&mut self, life: &Life) -> Result<Vec<Event>, Error> {
        self.row(life.ended_at, |open| open.lives.push(life))
    }

    /// Writes a gap.
    ///
    /// # Errors
    ///
    /// As [`Writer::write`].
    pub fn write_gap(&mut self, gap: &IdleGap) -> Result<Vec<Event>, Error> {
        self.row(gap.began_at, |open| open.gaps.push(gap))
    }

    /// Writes a reading.
    ///
    /// # Errors
    ///
    /// As [`Writer::write`].
    pub fn write_reading(&mut self, reading: &TableReading) -> Result<Vec<Event>, Error> {
        self.row(reading.at, |open| open.readings.push(reading))
    }

    /// Writes a change. The latest value of each setting is kept, and written again at the beginning of each segment.
    ///
    /// # Errors
    ///
    /// As [`Writer::write`].
    pub fn write_change(&mut self, change: &Change) -> Result<Vec<Event>, Error> {
        self.settings.note(change);
        self.row(change.at, |open| open.changes.push(change))
    }

    /// Closes the segment if it has lasted as long as it may. To be called every second or so.
    ///
    /// # Errors
    ///
    /// As [`Writer::write`].
    pub fn tick(&mut self, now: UnixMicros) -> Result<Vec<Event>, Error> {
        self.latest = self.latest.max(now);
        let open = self.open.as_ref().ok_or_else(|| over(&self.directory))?;
        let began = UnixMicros(open.segment.began_at_unix_secs.saturating_mul(1_000_000));
        let mut events = Vec::new();
        if self.latest.since(began) >= self.limits.segment_lasts && !open.is_empty() {
            self.attempt(|writer| writer.turn(&mut events))?;
        }
        Ok(events)
    }

    /// Closes the segment: the recording is whole.
    ///
    /// # Errors
    ///
    /// As [`Writer::write`].
    pub fn finish(mut self, now: UnixMicros) -> Result<Vec<Event>, Error> {
        self.latest = self.latest.max(now);
        let mut events = Vec::new();
        let mut open = self.open.take().ok_or_else(|| over(&self.directory))?;
        let bytes = open.close(&self.directory)?;
        events.push(Event::Closed { segment: open.segment, bytes });
        self.closed.insert(open.segment, bytes);
        self.keep_within(&mut events)?;
        Ok(events)
    }

    fn row(
        &mut self,
        at: UnixMicros,
        push: impl FnOnce(&mut OpenSegment) -> Result<Pushed, Error>,
    ) -> Result<Vec<Event>, Error> {
        self.latest = self.latest.max(at);
        let open = self.open.as_mut().ok_or_else(|| over(&self.directory))?;
        match push(open) {
            Ok(Pushed::Waits) => Ok(Vec::new()),
            Ok(Pushed::Wrote) => {
                let mut events = Vec::new();
                self.attempt(|writer| writer.after_a_group(&mut events))?;
                Ok(events)
            }
            Err(error) => {
                self.open = None;
                Err(error)
            }
        }
    }

    fn after_a_group(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        if self.open.as_ref().is_some_and(|open| open.bytes() >= self.limits.segment_bytes) {
            return self.turn(events);
        }
        self.keep_within(events)
    }

    /// Closes the segment and begins the next.
    fn turn(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        let open = self.open.as_mut().ok_or_else(|| over(&self.directory))?;
        let ended = open.segment;
        let next = Segment::new(ended.number.saturating_add(1), self.latest);
        let bytes = open.turn(&self.directory, next, &self.origin)?;
        self.closed.insert(ended, bytes);
        events.push(Event::Closed { segment: ended, bytes });
        for setting in self.settings.in_force(self.latest) {
            open.changes.push(&setting)?;
        }
        self.keep_within(events)
    }

    /// Removes the oldest segments, as long as all are too large.
    fn keep_within(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        let open = self.open.as_ref().map_or(0, OpenSegment::bytes);
        // The newest stays, however large it is: what is left of a recording is never nothing.
        while self.closed.values().sum::<u64>() + open > self.limits.total_bytes
            && self.closed.len() > 1
            && let Some((segment, bytes)) = self.closed.pop_first()
        {
            self.directory.remove(segment)?;
            events.push(Event::Removed { segment, bytes });
        }
        Ok(())
    }

    /// Does something after whose failure nothing more is written.
    fn attempt(&mut self, what: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        what(self).inspect_err(|_| self.open = None)
    }
}

fn over(directory: &Directory) -> Error {
    Error::Over { path: directory.path().to_owned() }
}

/// Sees to what was left open. All files of a segment are whole before the first gets its name.
fn clear(directory: &Directory, contents: &Contents) -> Result<Vec<Event>, Error> {
    let left = contents.left_open.iter().map(|number| {
        if let Some(segment) = contents.closed.keys().find(|segment| segment.number == *number) {
            directory.publish(*segment)?;
            return Ok(Event::LeftoverClosed { segment: *segment });
        }
        directory.remove_open(*number)?;
        Ok(Event::LeftoverRemoved { number: *number })
    });
    left.collect()
}

/// A recording goes on only as what it was.
fn check_origin(directory: &Directory, closed: &BTreeMap<Segment, u64>, ours: &Origin) -> Result<(), Error> {
    let folder = directory.folder(Table::Changes);
    // The newest that can be read tells.
    let open = |segment: &Segment| RecordingFile::open(&folder.join(segment.file_name()), Table::Changes);
    let mut files = closed.keys().rev().map(open);
    let file = match files.next() {
        None => return Ok(()),
        Some(Ok(file)) => file,
        Some(Err(error)) => files.find_map(Result::ok).ok_or(error)?,
    };
    let theirs = file.origin();
    let host = |origin: &Origin| origin.host.clone().unwrap_or_else(|| "not told".to_string());
    let compared = [
        ("host", host(theirs), host(ours)),
        ("network namespace", theirs.namespace.clone(), ours.namespace.clone()),
        ("source", theirs.sources.name().to_string(), ours.sources.name().to_string()),
        ("kind of addresses", theirs.addresses.name().to_string(), ours.addresses.name().to_string()),
    ];
    let differs = compared.into_iter().find(|(_, theirs, ours)| theirs != ours);
    differs.map_or(Ok(()), |(what, theirs, ours)| {
        let shown = |text: String| Untrusted::from_bytes(text.as_bytes());
        Err(Error::OtherOrigin { path: directory.path().to_owned(), what, theirs: shown(theirs), ours: shown(ours) })
    })
}
