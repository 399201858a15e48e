//! A capture as a workload.

use std::fs::File;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use plimsoll_capture::{Capture, Skipped};
use plimsoll_diagnose::words::grouped;
use plimsoll_model::Untrusted;
use plimsoll_simulate::{Datagram, Datagrams};

use crate::files::open_regular;

/// The longest time without a packet that is believed, beyond the longest timeout that a kernel sets by itself (five days):
/// a clock that is set while a capture runs may jump by decades, and gc would walk the table all the while.
const LONGEST_SILENCE: Duration = Duration::from_hours(6 * 24);

/// A file of packets. Each run reads it anew.
#[derive(Debug)]
pub(super) struct Captured {
    path: String,
    /// How much of it is played; all, if nothing is said.
    only: Option<Duration>,
    ended: Mutex<Ended>,
}

/// How reading it ended.
#[derive(Debug, Default)]
struct Ended {
    failure: Option<anyhow::Error>,
    passed_over: PassedOver,
}

/// What is in a capture and is not simulated as it is there; of the run that came farthest.
#[derive(Clone, Debug, Default)]
pub(super) struct PassedOver {
    pub(super) skipped: Skipped,
    /// How often the clock jumped ahead by more than six days, each taken as six days.
    pub(super) clock_jumps: u64,
}

impl PassedOver {
    /// What was skipped: each reason with its number.
    pub(super) fn listed(&self) -> Vec<String> {
        self.skipped.iter().map(|(reason, count)| format!("{} {reason}", grouped(count))).collect()
    }

    fn number(&self) -> u64 {
        self.skipped.iter().map(|(_, count)| count).sum::<u64>() + self.clock_jumps
    }
}

impl Captured {
    /// Looks whether it is one.
    pub(super) fn open(path: &str, only: Option<Duration>) -> anyhow::Result<Self> {
        let captured = Self { path: path.to_string(), only, ended: Mutex::default() };
        captured.begin()?;
        Ok(captured)
    }

    /// How much of it is played; all, if nothing is said.
    pub(super) fn only(&self) -> Option<Duration> {
        self.only
    }

    pub(super) fn name(&self) -> Untrusted {
        Untrusted::from(self.path.as_str())
    }

    /// Its packets. What goes wrong is kept: see [`Captured::ended`].
    pub(super) fn packets(&self) -> Box<dyn Datagrams + '_> {
        let capture = self.begin().map_err(|error| self.note(|ended| ended.failure = Some(error))).ok();
        Box::new(Packets { captured: self, capture, zero: None, last: Duration::ZERO, clock_jumps: 0 })
    }

    /// What was passed over in it, if it could be read.
    pub(super) fn ended(&self) -> anyhow::Result<PassedOver> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.failure.take().map_or_else(|| Ok(ended.passed_over.clone()), Err)
    }

    /// What was passed over in it as far as it was read.
    pub(super) fn passed_over(&self) -> PassedOver {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).passed_over.clone()
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
    captured: &'a Captured,
    capture: Option<Capture<File>>,
    /// From when time is counted: the first packet that has a time; later, if the clock jumped.
    zero: Option<Duration>,
    last: Duration,
    clock_jumps: u64,
}

impl Datagrams for Packets<'_> {
    fn next_datagram(&mut self) -> Option<Datagram<'_>> {
        let datagram = match self.capture.as_mut()?.next_datagram() {
            Ok(datagram) => datagram?,
            Err(error) => {
                let error = anyhow::Error::new(error).context(format!("reading {}", self.captured.name()));
                self.captured.note(|ended| ended.failure = Some(error));
                return None;
            }
        };
        // Packets without a time come with their predecessor.
        if let Some(at) = datagram.at {
            // Not counted from 1970: those without a time before the first that has one come with it.
            let zero = self.zero.get_or_insert(at);
            let silence = at.saturating_sub(*zero).saturating_sub(self.last);
            if silence > LONGEST_SILENCE {
                *zero += silence.saturating_sub(LONGEST_SILENCE);
                self.clock_jumps += 1;
            }
            self.last += silence.min(LONGEST_SILENCE);
        }
        if self.captured.only.is_some_and(|only| self.last > only) {
            return None;
        }
        Some(Datagram { at: self.last, bytes: datagram.bytes })
    }
}

impl Drop for Packets<'_> {
    fn drop(&mut self) {
        let Some(capture) = &self.capture else { return };
        let passed_over = PassedOver { skipped: capture.skipped().clone(), clock_jumps: self.clock_jumps };
        self.captured.note(|ended| {
            if passed_over.number() > ended.passed_over.number() {
                ended.passed_over = passed_over;
            }
        });
    }
}
