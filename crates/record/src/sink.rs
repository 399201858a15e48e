//! Where rows go.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use plimsoll_archive::{Error, Event, Writer};
use plimsoll_recording::{Change, ChangeKind, Row, UnixMicros};

/// Where rows go.
pub trait Sink {
    /// Why a row could not be kept.
    type Error: std::error::Error + 'static;

    /// Takes the rows, and keeps them.
    fn keep(&mut self, rows: &mut Vec<Row>) -> Result<(), Self::Error>;

    /// Time has passed.
    fn pass_time(&mut self, now: UnixMicros) -> Result<(), Self::Error>;
}

/// In memory.
impl Sink for Vec<Row> {
    type Error = std::convert::Infallible;

    fn keep(&mut self, rows: &mut Vec<Row>) -> Result<(), Self::Error> {
        self.append(rows);
        Ok(())
    }

    fn pass_time(&mut self, _: UnixMicros) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// What there is of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Bytes of its files.
    pub bytes: u64,
    /// Segments that were removed to keep within the space given.
    pub removed_segments: u64,
}

/// In files; what becomes of them is noted in the recording itself.
///
/// A thread of its own writes them: to encode a row group takes tens of milliseconds, and to bring a file to the disk as long
/// as the disk likes. Meanwhile events are taken all the same. Where the disk lags so far behind that [`Filed::WAITING`]
/// rows wait for it, whoever brings more waits too.
#[derive(Debug)]
pub struct Filed {
    /// `None` once it is over.
    to: Option<SyncSender<Work>>,
    thread: Option<JoinHandle<Result<Files, Error>>>,
    gathered: Vec<Row>,
    holds: Holds,
}

/// Whether there is anything to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Nothing,
    Rows,
}

#[derive(Debug)]
enum Work {
    Rows(Vec<Row>),
    Time(UnixMicros),
}

/// Rows that are handed over together: each time the other thread is woken.
const GATHERED: usize = 512;

impl Filed {
    /// Rows that may wait to be written: those of a second or so of a very busy host.
    pub const WAITING: usize = 64 * GATHERED;

    /// Into these files.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn new(writer: Writer) -> io::Result<Self> {
        let (to, from) = sync_channel(Self::WAITING / GATHERED);
        let files = Files { writer, removed_segments: 0, removed_bytes: 0, kept: Kept::default() };
        let thread = thread::Builder::new().name("plimsoll-write".to_owned()).spawn(move || files.write_all(from))?;
        Ok(Self { to: Some(to), thread: Some(thread), gathered: Vec::with_capacity(GATHERED), holds: Holds::Nothing })
    }

    /// Closes the last file, and says what there is.
    pub fn finish(mut self, now: UnixMicros) -> Result<Kept, Error> {
        self.hand_over()?;
        self.to = None;
        self.files()?.map_or(Ok(Kept::default()), |files| files.finish(now))
    }

    /// Closes the last file after something went wrong, as far as that can be done. Where nothing was recorded, no file stays
    /// that a recording of another kind could not be added to.
    pub fn give_up(self, now: UnixMicros) {
        if self.holds == Holds::Rows {
            // What went wrong is told already.
            let _ = self.finish(now);
        }
    }

    fn hand_over(&mut self) -> Result<(), Error> {
        let rows = std::mem::replace(&mut self.gathered, Vec::with_capacity(GATHERED));
        self.send(Work::Rows(rows))
    }

    fn send(&mut self, work: Work) -> Result<(), Error> {
        match &self.to {
            Some(to) if to.send(work).is_ok() => Ok(()),
            // It has ended, and says why.
            _ => self.files().map(drop),
        }
    }

    /// Waits until all is written; `None` if that was done before.
    fn files(&mut self) -> Result<Option<Files>, Error> {
        let Some(thread) = self.thread.take() else { return Ok(None) };
        match thread.join() {
            Ok(files) => files.map(Some),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Sink for Filed {
    type Error = Error;

    fn keep(&mut self, rows: &mut Vec<Row>) -> Result<(), Error> {
        if !rows.is_empty() {
            self.holds = Holds::Rows;
        }
        self.gathered.append(rows);
        if self.gathered.len() < GATHERED { Ok(()) } else { self.hand_over() }
    }

    fn pass_time(&mut self, now: UnixMicros) -> Result<(), Error> {
        self.hand_over()?;
        self.send(Work::Time(now))
    }
}

/// The thread's side.
#[derive(Debug)]
struct Files {
    writer: Writer,
    removed_segments: u64,
    removed_bytes: u64,
    kept: Kept,
}

impl Files {
    fn write_all(mut self, from: Receiver<Work>) -> Result<Self, Error> {
        for work in from {
            match work {
                Work::Rows(rows) => rows.iter().try_for_each(|row| self.write(row))?,
                Work::Time(now) => self.pass_time(now)?,
            }
        }
        Ok(self)
    }

    fn write(&mut self, row: &Row) -> Result<(), Error> {
        let events = self.writer.write(row)?;
        self.note(&events);
        Ok(())
    }

    fn pass_time(&mut self, now: UnixMicros) -> Result<(), Error> {
        let events = self.writer.tick(now)?;
        self.note(&events);
        if self.removed_segments == 0 {
            return Ok(());
        }
        let what = format!("{} segments, {} bytes", self.removed_segments, self.removed_bytes);
        (self.removed_segments, self.removed_bytes) = (0, 0);
        self.write(&Row::Change(Change { at: now, kind: ChangeKind::SegmentsRemoved, what, from: None, to: None }))
    }

    fn finish(self, now: UnixMicros) -> Result<Kept, Error> {
        let Self { writer, mut kept, .. } = self;
        for event in writer.finish(now)? {
            kept.note(&event);
        }
        Ok(kept)
    }

    fn note(&mut self, events: &[Event]) {
        for event in events {
            if let Event::Removed { bytes, .. } = event {
                self.removed_segments += 1;
                self.removed_bytes += bytes;
            }
            self.kept.note(event);
        }
    }
}

impl Kept {
    fn note(&mut self, event: &Event) {
        match event {
            Event::Closed { bytes, .. } => self.bytes += bytes,
            Event::Removed { bytes, .. } => {
                self.bytes = self.bytes.saturating_sub(*bytes);
                self.removed_segments += 1;
            }
            _ => {}
        }
    }
}
