//! A recording as a workload.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use plimsoll_model::Untrusted;
use plimsoll_plan::{Silences, recorded_setup};
use plimsoll_recording::ChangeKind;
use plimsoll_simulate::{Replay, Setup};
use plimsoll_twin::Capabilities;

use super::sysctl::Sysctl;
use crate::recording::Recording;

/// Flows that are played in a run, at most: of more, each stands for several. Each takes about a kilobyte.
const MOST_FLOWS: u64 = 1_000_000;

/// Flows that are silent for longer are told beside those that are hit: of the timeouts of open connections and streams, few that
/// anybody sets are shorter.
pub(super) const LONG: Duration = Duration::from_mins(1);

/// A recording, ready to be played.
#[derive(Debug)]
pub(super) struct Replayed {
    path: PathBuf,
    /// The kernel's release, as the recording has it.
    release: String,
    /// On how many kernels it was made.
    releases: usize,
    settings: Silences,
    changed: BTreeSet<Sysctl>,
    replay: Replay,
    only: Option<Duration>,
}

impl Replayed {
    /// Reads a recording; of its flows, all or those that come in its beginning.
    pub(super) fn open(path: &Path, only: Option<Duration>, seed: u64) -> anyhow::Result<Self> {
        refuse_others(path)?;
        let recording = Recording::open(path)?;
        let settings = recording.settings()?;
        let replay = recording.replay(&settings, MOST_FLOWS, seed)?;
        let replay = match only {
            Some(only) => replay.lasting(only),
            None => replay,
        };
        let origins = recording.archive.origins();
        let releases: BTreeSet<_> = origins.iter().map(|origin| origin.kernel.trim()).collect();
        // Settings are those of its end, too.
        let last = origins.last().map_or_else(|| recording.origin(), Ok)?;
        Ok(Self {
            path: path.to_path_buf(),
            release: last.kernel.trim().to_string(),
            releases: releases.len(),
            changed: changed(&recording)?,
            settings,
            replay,
            only,
        })
    }

    pub(super) fn name(&self) -> Untrusted {
        Untrusted::from(self.path.to_string_lossy().as_ref())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn replay(&self) -> &Replay {
        &self.replay
    }

    /// How much of it is played; all, if nothing is said.
    pub(super) fn only(&self) -> Option<Duration> {
        self.only
    }

    /// The release of the kernel that was recorded, at the end.
    pub(super) fn release(&self) -> &str {
        &self.release
    }

    /// Whether it goes on on another kernel than it began on.
    pub(super) fn has_several_kernels(&self) -> bool {
        self.releases > 1
    }

    /// The settings in force at its end.
    pub(super) fn setup(&self, capabilities: Capabilities, seed: u64) -> Setup {
        recorded_setup(&self.settings, capabilities, seed)
    }

    /// A setting at its end, as the recording has it.
    pub(super) fn setting(&self, sysctl: Sysctl) -> Option<u32> {
        self.settings.setting(sysctl.known())
    }

    /// Settings that were other before.
    pub(super) fn changed(&self) -> &BTreeSet<Sysctl> {
        &self.changed
    }
}

/// What is no recording is answered with what it may have been meant as.
fn refuse_others(path: &Path) -> anyhow::Result<()> {
    if path.is_file() {
        let name = Untrusted::from(path.to_string_lossy().as_ref());
        bail!("{name} is a file, and a recording is a directory: a capture or a scenario is named without --from")
    }
    Ok(())
}

fn changed(recording: &Recording) -> anyhow::Result<BTreeSet<Sysctl>> {
    let mut changed = BTreeSet::new();
    for change in recording.archive.changes()? {
        let change = change?;
        let is_other = change.from.is_some() && change.from != change.to;
        if change.kind == ChangeKind::Setting && is_other {
            changed.extend(change.what.parse().ok().and_then(Sysctl::simulated));
        }
    }
    Ok(changed)
}
