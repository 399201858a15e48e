//! What was told, and what has still to be told, kept in a file over a restart: a line of JSON for each. It is small, and written whole
//! whenever it changes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::alerts::{Alert, Notice};
use crate::replace::{Manner, replace};

/// Troubles that are written down. Those of the 27 findings in 150 namespaces, all at once, are not more.
const MOST_TOLD: usize = 4096;

/// A line that is longer is none of ours.
const LONGEST_LINE: u64 = 64 << 10;

/// What lies beyond this in a file is none of ours.
const MOST_BYTES: u64 = 64 << 20;

/// What was told, and what has still to be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// Troubles that were told of and are not over, as they were told.
    pub told: Vec<Alert>,
    /// What waits, the oldest first, by the key of who is to be told. Whoever is not in it has heard of nothing.
    pub waiting: BTreeMap<String, Vec<Notice>>,
}

/// A ledger's file.
#[derive(Debug)]
pub struct LedgerFile {
    path: PathBuf,
    /// What is in it, where that is known.
    holds: Option<Ledger>,
}

/// A ledger that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused.
    #[error("what was told, in {path}: {tried}: {answered} (--state-dir names another folder)", path = path.display())]
    System {
        /// The file.
        path: PathBuf,
        /// What was tried.
        tried: &'static str,
        /// What was answered.
        #[source]
        answered: io::Error,
    },
    /// Some of it makes no sense.
    #[error("what was told, in {path}: {lines} lines make no sense, and are left out; what they told of may be told anew", path = path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// How many lines.
        lines: usize,
    },
    /// There is more than is written down. The rest of it is.
    #[error("what was told, in {path}: {left_out} troubles of more than {MOST_TOLD} are left out; they may be told anew after a restart", path = path.display())]
    TooMuch {
        /// The file.
        path: PathBuf,
        /// How many troubles are left out.
        left_out: usize,
    },
}

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record<'a> {
    Told(Cow<'a, Alert>),
    Target(Cow<'a, str>),
    Waiting { target: Cow<'a, str>, notice: Cow<'a, Notice> },
}

impl LedgerFile {
    /// Opens it, and reads what it holds. What cannot be read is complained of, and left out.
    pub fn open(path: &Path, complain: &dyn Fn(&Error)) -> (Self, Ledger) {
        let failed = |tried| move |answered| complain(&Error::System { path: path.to_owned(), tried, answered });
        let mut ledger = Ledger::default();
        let unread = match File::open(path) {
            Ok(file) => ledger.read(file).map_err(failed("read")).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(0),
            Err(error) => {
                failed("open")(error);
                None
            }
        };
        if let Some(lines @ 1..) = unread {
            complain(&Error::Broken { path: path.to_owned(), lines });
        }
        let holds = (unread == Some(0)).then(|| ledger.clone());
        (Self { path: path.to_owned(), holds }, ledger)
    }

    /// Writes a ledger down, unless it is what the file holds. What is too much is left out, and complained of each time.
    pub fn keep(&mut self, ledger: Ledger) -> Result<(), Error> {
        let left_out = ledger.told.len().saturating_sub(MOST_TOLD);
        if self.holds.as_ref() != Some(&ledger) {
            self.write(ledger)?;
        }
        if left_out > 0 {
            return Err(Error::TooMuch { path: self.path.clone(), left_out });
        }
        Ok(())
    }

    fn write(&mut self, ledger: Ledger) -> Result<(), Error> {
        let written = replace(&self.path, Manner::Kept, |file| {
            for record in ledger.records() {
                serde_json::to_writer(&mut *file, &record)?;
                file.write_all(b"\n")?;
            }
            Ok(())
        });
        // If it failed after all of it was written, this writes it once more.
        self.holds = written.is_ok().then_some(ledger);
        written.map(drop).map_err(|answered| Error::System { path: self.path.clone(), tried: "write", answered })
    }
}

impl Ledger {
    /// Adds what a file holds; returns how many lines make no sense.
    fn read(&mut self, file: File) -> io::Result<usize> {
        let mut reader = BufReader::new(file.take(MOST_BYTES));
        let mut unread = 0;
        let mut line = Vec::new();
        loop {
            line.clear();
            if Read::take(&mut reader, LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
                return Ok(unread);
            }
            match serde_json::from_slice(&line) {
                Ok(record) => self.add(record),
                Err(_) => unread += 1,
            }
        }
    }

    fn add(&mut self, record: Record<'_>) {
        match record {
            Record::Told(alert) => self.told.push(alert.into_owned()),
            Record::Target(target) => drop(self.waiting.entry(target.into_owned()).or_default()),
            Record::Waiting { target, notice } => {
                self.waiting.entry(target.into_owned()).or_default().push(notice.into_owned());
            }
        }
    }

    fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let told = self.told.iter().take(MOST_TOLD).map(|alert| Record::Told(Cow::Borrowed(alert)));
        let waiting = self.waiting.iter().flat_map(|(target, notices)| {
            let waits = |notice| Record::Waiting { target: Cow::Borrowed(target), notice: Cow::Borrowed(notice) };
            std::iter::once(Record::Target(Cow::Borrowed(target))).chain(notices.iter().map(waits))
        });
        told.chain(waiting)
    }
}
