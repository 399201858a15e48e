//! `plimsoll relieve`: room at once, in an emergency.

mod arguments;
mod evidence;
mod json;
mod raise;
mod report;
mod sweep;
mod text;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use plimsoll_diagnose::diagnose;
use plimsoll_diagnose::thresholds::{FILLING, FULL};
use plimsoll_host::monotonic_now;
use plimsoll_model::{NamespaceSnapshot, Snapshot};
use plimsoll_observe::{Depth, Options, Target, observe};
use plimsoll_plan::{Relief, Room, relief};

pub(crate) use self::arguments::RelieveArguments;

use self::report::{Done, Report};
use crate::check::Checked;
use crate::output;

/// Nothing was done.
const NOT_DONE: u8 = 1;
/// The table is nearly full all the same.
const STILL_FULL: u8 = 2;

/// After so long what is not trimmed yet is left: with the reading at the end, five seconds.
const PATIENCE: Duration = Duration::from_millis(3700);

/// Relieves the fullest table, or the one that was named.
pub(crate) fn run(arguments: &RelieveArguments) -> anyhow::Result<ExitCode> {
    let begun = monotonic_now();
    let target = arguments.netns.clone().map_or(Target::All, Target::Named);
    let before = read(target, Duration::ZERO)?;
    let Some(ns) = fullest(&before) else { anyhow::bail!("no network namespace could be read: see `plimsoll check`") };
    let what = relief(&before, ns, arguments.memory_share.0);
    let mut report = Report::new(&before, ns, &what);
    if !needs_relief(ns) {
        report.is_needed = false;
        return write(arguments, &report, 0);
    }
    if arguments.dry_run || !consents(arguments, &report)? {
        return write(arguments, &report, NOT_DONE);
    }
    // Whoever was asked has taken their time.
    let deadline = if arguments.yes { begun } else { monotonic_now() } + PATIENCE;
    report.done = Some(act(arguments, &before, ns, &what, deadline));
    let after = read(Target::Named(ns.namespace.name.to_string()), Duration::from_secs(1));
    report.after = after.ok();
    let is_full = report.utilization_after().is_some_and(|full| full >= FULL);
    write(arguments, &report, if is_full { STILL_FULL } else { 0 })
}

/// A few thousand entries tell enough; an emergency does not wait for more.
fn read(target: Target, interval: Duration) -> anyhow::Result<Snapshot> {
    const ENTRIES: std::num::NonZeroU64 = std::num::NonZeroU64::new(10_000).unwrap();
    let options = Options { target, interval, depth: Depth::Sample(ENTRIES), timeout: Duration::from_secs(1) };
    observe(&options, &mut |_| {}).context("reading this host")
}

fn fullest(snapshot: &Snapshot) -> Option<&NamespaceSnapshot> {
    let full = |ns: &NamespaceSnapshot| ns.utilization().unwrap_or(0.0);
    snapshot.namespaces.iter().max_by(|a, b| full(a).total_cmp(&full(b)))
}

/// Below this nothing is short; a table without a limit cannot be full.
fn needs_relief(ns: &NamespaceSnapshot) -> bool {
    ns.utilization().is_some_and(|full| full >= FILLING)
}

/// Asks once, where there is somebody to be asked.
fn consents(arguments: &RelieveArguments, report: &Report<'_>) -> anyhow::Result<bool> {
    if arguments.yes {
        return Ok(true);
    }
    if arguments.common.json || !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(false);
    }
    output::write_progress(&text::render(report), arguments.common.color);
    crate::consent::ask("Do this now? Trimmed entries cannot be brought back.", arguments.common.color)
}

fn act(
    arguments: &RelieveArguments,
    before: &Snapshot,
    ns: &NamespaceSnapshot,
    what: &Relief,
    deadline: Duration,
) -> Done {
    let evidence = save_evidence(arguments, before);
    let raised = match &what.room {
        Room::Raise { from, to, because } => Some(raise::raise(arguments, *from, *to, because)),
        Room::Stays { .. } => None,
    };
    let swept = sweep::sweep(&arguments.common.state_dir(), ns.namespace.name.as_str(), what.stale, deadline);
    // What was done before stays done, and is told.
    Done { evidence, raised, swept: swept.map_err(|error| format!("{error:#}")) }
}

/// What was seen, for whoever asks afterwards. A full disk does not keep anybody from relief.
fn save_evidence(arguments: &RelieveArguments, before: &Snapshot) -> Result<PathBuf, String> {
    let findings = diagnose(before);
    let checked = Checked { snapshot: before.clone(), findings };
    let document = checked.document().map_err(|error| error.to_string())?;
    let folder = arguments.common.state_dir();
    evidence::save(&folder, before.taken_at_unix_secs, &document)
        .map_err(|error| format!("{}: {error}", folder.join("evidence").display()))
}

fn write(arguments: &RelieveArguments, report: &Report<'_>, code: u8) -> anyhow::Result<ExitCode> {
    let written = if arguments.common.json { json::render(report)? } else { text::render(report) };
    output::write(&written, arguments.common.color)?;
    Ok(ExitCode::from(code))
}
