//! Where rows go.

use plimsoll_archive::{Event, Writer};
use plimsoll_recording::{Change, ChangeKind, Row, UnixMicros};

/// Where rows go.
pub trait Sink {
    /// Why a row could not be kept.
    type Error: std::error::Error + 'static;

    /// Keeps a row.
    fn keep(&mut self, row: &Row) -> Result<(), Self::Error>;

    /// Time has passed. Rows that this gives rise to are kept by whoever calls.
    fn pass_time(&mut self, now: UnixMicros) -> Result<Vec<Row>, Self::Error>;
}

/// In memory.
impl Sink for Vec<Row> {
    type Error = std::convert::Infallible;

    fn keep(&mut self, row: &Row) -> Result<(), Self::Error> {
        self.push(row.clone());
        Ok(())
    }

    fn pass_time(&mut self, _: UnixMicros) -> Result<Vec<Row>, Self::Error> {
        Ok(Vec::new())
    }
}

/// In files; what becomes of them is noted in the recording itself.
#[derive(Debug)]
pub struct Filed {
    writer: Writer,
    removed_segments: u64,
    removed_bytes: u64,
    /// Bytes of all that was closed.
    closed_bytes: u64,
    holds: Holds,
}

/// Whether there is anything to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Nothing,
    Rows,
}

impl Filed {
    /// Into these files.
    pub fn new(writer: Writer) -> Self {
        Self { writer, removed_segments: 0, removed_bytes: 0, closed_bytes: 0, holds: Holds::Nothing }
    }

    /// Closes the last file, and says how many bytes were written.
    pub fn finish(mut self, now: UnixMicros) -> Result<u64, plimsoll_archive::Error> {
        let events = std::mem::take(&mut self.closed_bytes);
        let closed = |event: &Event| if let Event::Closed { bytes, .. } = event { *bytes } else { 0 };
        Ok(events + self.writer.finish(now)?.iter().map(closed).sum::<u64>())
    }

    /// Closes the last file after something went wrong, as far as that can be done. Where nothing was recorded, no file stays
    /// that a recording of another kind could not be added to.
    pub fn give_up(self, now: UnixMicros) {
        if self.holds == Holds::Rows {
            // What went wrong is told already.
            let _ = self.finish(now);
        }
    }

    fn note(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Closed { bytes, .. } => self.closed_bytes += bytes,
                Event::Removed { bytes, .. } => {
                    self.removed_segments += 1;
                    self.removed_bytes += bytes;
                }
                _ => {}
            }
        }
    }
}

impl Sink for Filed {
    type Error = plimsoll_archive::Error;

    fn keep(&mut self, row: &Row) -> Result<(), Self::Error> {
        self.holds = Holds::Rows;
        let events = self.writer.write(row)?;
        self.note(&events);
        Ok(())
    }

    fn pass_time(&mut self, now: UnixMicros) -> Result<Vec<Row>, Self::Error> {
        let events = self.writer.tick(now)?;
        self.note(&events);
        if self.removed_segments == 0 {
            return Ok(Vec::new());
        }
        let what = format!("{} segments, {} bytes", self.removed_segments, self.removed_bytes);
        (self.removed_segments, self.removed_bytes) = (0, 0);
        Ok(vec![Row::Change(Change { at: now, kind: ChangeKind::SegmentsRemoved, what, from: None, to: None })])
    }
}
