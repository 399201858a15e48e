//! `plimsoll plan --check-drift`: what is in force against what files set and what was applied last.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use plimsoll_diagnose::{drift, drift_report, in_force};
use plimsoll_model::{Drift, Snapshot};
use plimsoll_observe::{Depth, Options, Target, observe};
use serde::Serialize;

use super::PlanArguments;
use crate::{apply, output};

/// The exit code for drift.
const DRIFTED: u8 = 1;

const FILES_UNREAD: &str =
    "What files set could not be read, or they are not this host's own: only what was applied was looked at.\n";
const UNREAD: &str = "It could not be told: what files set could not be read, or they are not this host's own, and nothing was \
                      applied, or its journal may not be read. Both take root, on the host itself.\n";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    taken_at_unix_secs: u64,
    drift: &'a [Drift],
}

pub(super) fn run(arguments: &PlanArguments) -> anyhow::Result<ExitCode> {
    let snapshot = read()?;
    let applied = apply::what_was_applied();
    let drifted = drift(&in_force(&snapshot), snapshot.lasting.as_ref(), applied.as_deref(), &snapshot.writers);
    let written = if arguments.json {
        let document =
            Document { schema: "plimsoll.drift/1", taken_at_unix_secs: snapshot.taken_at_unix_secs, drift: &drifted };
        format!("{}\n", serde_json::to_string_pretty(&document)?)
    } else {
        match (&snapshot.lasting, &applied, &drifted[..]) {
            (Some(_), _, _) => drift_report(&drifted),
            (None, None, _) => UNREAD.to_string(),
            (None, Some(_), []) => format!("{FILES_UNREAD}What was applied is in force.\n"),
            (None, Some(_), _) => format!("{FILES_UNREAD}{}", drift_report(&drifted)),
        }
    };
    output::write(&written, arguments.color)?;
    Ok(ExitCode::from(match (&snapshot.lasting, &applied) {
        (None, None) => output::COULD_NOT_TELL,
        _ if drifted.is_empty() => 0,
        _ => DRIFTED,
    }))
}

/// The settings alone: no entry is needed for it.
fn read() -> anyhow::Result<Snapshot> {
    const FEWEST: std::num::NonZeroU64 = std::num::NonZeroU64::MIN;
    let options = Options {
        target: Target::All,
        interval: Duration::ZERO,
        depth: Depth::Sample(FEWEST),
        timeout: Duration::from_secs(1),
    };
    observe(&options, &mut |_| {}).context("reading this host")
}
