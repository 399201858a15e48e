//! A history in a file: a line of JSON for each reading and span. It grows by lines, and is written anew, from memory, when it has
//! grown to twice what it takes; so whoever is killed loses no more than the line that was being written.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Point, Span};
use crate::replace::{Manner, replace};

/// A line that is longer is none of ours.
const LONGEST_LINE: u64 = 4096;

/// Below this it is not written anew.
const SMALL_BYTES: u64 = 1 << 20;

/// A file of histories that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the history of readings in {path}: {tried}: {answered} (--state-dir names another folder)", path = path.display())]
pub struct Error {
    path: PathBuf,
    tried: &'static str,
    #[source]
    answered: io::Error,
}

/// What a line tells.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    namespace: String,
    #[serde(flatten)]
    kept: Kept,
}

/// A reading, or a span.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Kept {
    Point(Point),
    Span(Span),
}

impl Record {
    pub(super) fn of_point(namespace: &str, point: Point) -> Self {
        Self { namespace: namespace.to_string(), kept: Kept::Point(point) }
    }

    pub(super) fn of_span(namespace: &str, span: Span) -> Self {
        Self { namespace: namespace.to_string(), kept: Kept::Span(span) }
    }

    pub(super) fn into_parts(self) -> (String, Kept) {
        (self.namespace, self.kept)
    }
}

#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    /// What it took when it was written anew.
    least_bytes: u64,
    bytes: u64,
    /// Whether all that should be in it is.
    is_whole: bool,
}

impl File {
    /// Opens it, and hands on what it holds.
    pub(super) fn open(path: &Path, each: &mut dyn FnMut(Record)) -> Result<Self, Error> {
        let file = Self { path: path.to_owned(), least_bytes: 0, bytes: 0, is_whole: false };
        let opened = match fs::File::open(path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(file),
            Err(error) => return Err(file.failed("open")(error)),
        };
        let mut reader = BufReader::new(opened);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = io::Read::take(&mut reader, LONGEST_LINE).read_until(b'\n', &mut line);
            if read.map_err(file.failed("read"))? == 0 {
                return Ok(file);
            }
            // A line that was torn, or that an older version wrote, tells nothing; the others do.
            if let Ok(record) = serde_json::from_slice(&line) {
                each(record);
            }
        }
    }

    pub(super) fn is_due_to_be_written_anew(&self) -> bool {
        !self.is_whole || self.bytes > SMALL_BYTES.max(2 * self.least_bytes)
    }

    pub(super) fn append(&mut self, records: &[Record]) -> Result<(), Error> {
        let mut lines = Vec::new();
        for record in records {
            // A record is numbers and a name, which always make a line.
            serde_json::to_writer(&mut lines, record).map_err(|error| self.failed("write")(error.into()))?;
            lines.push(b'\n');
        }
        let appended = OpenOptions::new().append(true).open(&self.path).and_then(|mut file| file.write_all(&lines));
        self.is_whole = appended.is_ok();
        self.bytes += lines.len() as u64;
        appended.map_err(self.failed("write"))
    }

    /// Writes all of it, beside what is there, and puts it in its place.
    pub(super) fn write_anew(&mut self, records: impl Iterator<Item = Record>) -> Result<(), Error> {
        let written = replace(&self.path, Manner::Kept, |file| {
            for record in records {
                serde_json::to_writer(&mut *file, &record)?;
                file.write_all(b"\n")?;
            }
            Ok(())
        });
        self.is_whole = written.is_ok();
        let bytes = written.map_err(self.failed("write"))?;
        (self.least_bytes, self.bytes) = (bytes, bytes);
        Ok(())
    }

    fn failed(&self, tried: &'static str) -> impl Fn(io::Error) -> Error + use<> {
        let path = self.path.clone();
        move |answered| Error { path: path.clone(), tried, answered }
    }
}
