//! A recording that is read.

use std::cell::RefCell;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use anyhow::{Context, anyhow, bail};
use plimsoll_archive::{Archive, Rows};
use plimsoll_model::{Timeout, Timeouts, Untrusted};
use plimsoll_plan::{MeasureRequest, Measured, Silences, measure, recorded_setup};
use plimsoll_recording::Origin;
use plimsoll_simulate::{Replay, ReplayOptions};
use plimsoll_twin::Capabilities;

/// Flows that are replayed for each value that is judged, at most: there are many.
const REPLAYED_FLOWS: u64 = 100_000;

/// A recording, as its files tell it.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) archive: Archive,
    pub(crate) name: Untrusted,
}

impl Recording {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let name = Untrusted::from(path.to_string_lossy().as_ref());
        if !fs::metadata(path).with_context(|| format!("reading {name}"))?.is_dir() {
            bail!(
                "reading {name}: it is no directory, and a recording is the one that `plimsoll record --to DIR` wrote"
            )
        }
        Ok(Self { archive: Archive::open(path)?, name })
    }

    /// Where its first file comes from.
    pub(crate) fn origin(&self) -> anyhow::Result<&Origin> {
        self.archive.origins().first().ok_or_else(|| {
            anyhow!(
                "{} holds no file that was closed: a recorder closes its first one after --segment-every",
                self.name
            )
        })
    }

    /// Its settings, with no silence.
    pub(crate) fn settings(&self) -> anyhow::Result<Silences> {
        let mut settings = Silences::new();
        for change in self.archive.changes()? {
            settings.note(&change?);
        }
        Ok(settings)
    }

    /// Its silences and settings.
    pub(crate) fn silences(&self) -> anyhow::Result<Silences> {
        let mut silences = self.settings()?;
        for gap in self.archive.gaps()? {
            silences.add(&gap?);
        }
        silences.finish();
        let is_known = |timeout| silences.in_force_secs(timeout).is_some();
        if silences.count() > 0 && !Timeout::all_with_sysctl().any(is_known) {
            bail!(
                "{} does not tell which timeouts were in force when these flows were silent, so nothing follows from it: its \
                 table `changes` is missing or empty",
                self.name
            )
        }
        Ok(silences)
    }

    /// What it says of timeouts, replayed through a twin that behaves as this kernel does.
    pub(crate) fn measured(&self, request: MeasureRequest<'_>, capabilities: Capabilities) -> anyhow::Result<Measured> {
        let silences = self.silences()?;
        let mut measured = measure(&silences, request);
        let replay = self.replay(&silences, REPLAYED_FLOWS, request.seed)?;
        let setup = recorded_setup(&silences, capabilities, request.seed);
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        measured.replay(&replay, &setup, threads).with_context(|| format!("replaying {}", self.name))?;
        Ok(measured)
    }

    /// Its flows, ready to be played.
    pub(crate) fn replay(&self, silences: &Silences, most_flows: u64, seed: u64) -> anyhow::Result<Replay> {
        let in_force: Timeouts = Timeout::all_with_sysctl()
            .filter_map(|timeout| Some((timeout, silences.in_force_secs(timeout)?)))
            .collect();
        let failure = RefCell::new(None);
        let replay = Replay::of(
            until_failure(self.archive.lives()?, &failure),
            until_failure(self.archive.gaps()?, &failure),
            until_failure(self.archive.readings()?, &failure),
            &ReplayOptions { seed, most_flows, in_force },
        );
        if let Some(error) = failure.into_inner() {
            return Err(error.into());
        }
        replay.with_context(|| format!("replaying {}", self.name))
    }
}

/// Rows up to the first that cannot be read; why it cannot is kept.
fn until_failure<'a, T>(
    rows: Rows<T>,
    failure: &'a RefCell<Option<plimsoll_archive::Error>>,
) -> impl Iterator<Item = T> + use<'a, T>
where
    Rows<T>: Iterator<Item = Result<T, plimsoll_archive::Error>> + 'a,
{
    rows.map_while(|row| row.map_err(|error| failure.replace(Some(error))).ok())
}
