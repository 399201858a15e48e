//! A capture as a workload.

use std::fs::File;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use plimsoll_capture::{Capture, Skipped};
use plimsoll_model::Untrusted;
use plimsoll_simulate::{Datagram, Datagrams};

use crate::files::open_regular;

/// A file of packets. Each run reads it anew.
#[derive(Debug)]
pub(super) struct Recording {
    path: String,
    /// How much of it is played; all, if nothing is said.
    only: Option<Duration>,
    ended: Mutex<Ended>,
}

/// How reading it ended.
#[derive(Debug, Default)]
struct Ended {
    failure: Option<anyhow::Error>,
    /// Of the run that came farthest.
    skipped: Skipped,
}

impl Recording {
    /// Looks whether it is one.
    pub(super) fn open(path: &str, only: Option<Duration>) -> anyhow::Result<Self> {
        let recording = Self { path: path.to_string(), only, ended: Mutex::default() };
        recording.begin()?;
        Ok(recording)
    }

    pub(super) fn name(&self) -> Untrusted {
        Untrusted::from(self.path.as_str())
    }

    /// Its packets. What goes wrong is kept: see [`Recording::ended`].
    pub(super) fn packets(&self) -> Box<dyn Datagrams + '_> {
        let capture = self.begin().map_err(|error| self.note(|ended| ended.failure = Some(error))).ok();
        Box::new(Packets { recording: self, capture, first: None, last: Duration::ZERO })
    }

    /// What was passed over in it, if it could be read.
    pub(super) fn ended(&self) -> anyhow::Result<Skipped> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.failure.take().map_or_else(|| Ok(ended.skipped.clone()), Err)
    }

    fn begin(&self) -> anyhow::Result<Capture<File>> {
        let reading = || format!("reading {}", self.name());
        let file = open_regular(&self.path).with_context(reading)?;
        Capture::open(file).with_context(reading)
    }

    fn note(&self, what: impl FnOnce(&mut Ended)) {
        what(&mut self.ended.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

struct Packets<'a> {
    recording: &'a Recording,
    capture: Option<Capture<File>>,
    /// When the first packet came that has a time.
    first: Option<Duration>,
    last: Duration,
}

impl Datagrams for Packets<'_> {
    fn next_datagram(&mut self) -> Option<Datagram<'_>> {
        let datagram = match self.capture.as_mut()?.next_datagram() {
            Ok(datagram) => datagram?,
            Err(error) => {
                let error = anyhow::Error::new(error).context(format!("reading {}", self.recording.name()));
                self.recording.note(|ended| ended.failure = Some(error));
                return None;
            }
        };
        // Counted from the first, so that packets without a time before it come with it and not decades earlier.
        let since_first = datagram.at.map(|at| at.saturating_sub(*self.first.get_or_insert(at)));
        self.last = self.last.max(since_first.unwrap_or(self.last));
        if self.recording.only.is_some_and(|only| self.last > only) {
            return None;
        }
        Some(Datagram { at: self.last, bytes: datagram.bytes })
    }
}

impl Drop for Packets<'_> {
    fn drop(&mut self) {
        let Some(capture) = &self.capture else { return };
        let number = |skipped: &Skipped| skipped.iter().map(|(_, count)| count).sum::<u64>();
        self.recording.note(|ended| {
            if number(capture.skipped()) > number(&ended.skipped) {
                ended.skipped = capture.skipped().clone();
            }
        });
    }
}
