//! `plimsoll apply`, `confirm`, `rollback`, `history`: changes that undo themselves unless they are kept.

mod arguments;
mod confirm;
mod history;
mod input;
mod pending;
mod progress;
mod report;
mod rollback;
mod untracked;
mod watchdog;

use std::process::ExitCode;

use anyhow::Context;
use plimsoll_apply::watchdog::{Guardian, Timer};
use plimsoll_apply::{Applied, Author, Manner, Place, Prepared, Root, StateDir};

pub(crate) use self::arguments::state_dir;
pub(crate) use self::arguments::{
    ApplyArguments, CommonArguments, ConfirmArguments, HistoryArguments, RollbackArguments, WatchdogArguments,
};
pub(crate) use self::confirm::run as confirm;
pub(crate) use self::history::run as history;
pub(crate) use self::pending::{armed_with, say_what_is_pending, what_was_applied};
pub(crate) use self::rollback::run as rollback;
pub(crate) use self::watchdog::run as watchdog;

use self::input::Input;
use self::report::{Document, Outcome};
use crate::arguments::Color;
use crate::output;
use crate::stop::stop_on_signals;

/// Something was undone, or is not as it was asked for.
const UNDONE: u8 = 1;
/// Something could not be undone.
const REMAINS: u8 = 2;

/// Carries changes out, or says what would be written.
pub(crate) fn run(arguments: &ApplyArguments) -> anyhow::Result<ExitCode> {
    let input = Input::of(arguments)?;
    let outcome = if arguments.dry_run { rehearse(arguments, &input)? } else { carry_out(arguments, &input)? };
    let code = match &outcome {
        Outcome::Planned { .. } | Outcome::NothingToDo | Outcome::Awaiting(_) => 0,
        Outcome::Undone { application, .. } if application.remaining().is_empty() => UNDONE,
        Outcome::Undone { .. } => REMAINS,
    };
    let written =
        if arguments.common.json { Document::of(&outcome).render()? } else { report::text(&outcome, arguments) };
    Ok(tell(&written, arguments.common.color, code))
}

/// Writes what came of it. Done is done: the exit code tells it even where it cannot be written.
fn tell(written: &str, color: Color, code: u8) -> ExitCode {
    if let Err(error) = output::write(written, color) {
        output::write_progress(&format!("plimsoll: {error:#}\n"), color);
    }
    ExitCode::from(code)
}

/// What would be written; nothing is.
fn rehearse(arguments: &ApplyArguments, input: &Input) -> anyhow::Result<Outcome> {
    let folder = StateDir::open(&arguments.common.state_dir())?;
    let prepared = prepare(input, Prepared::next_id(folder.as_ref())?)?;
    Ok(if prepared.changes.is_empty() {
        Outcome::NothingToDo
    } else {
        Outcome::Planned {
            namespace: prepared.namespace().to_string(),
            lasting: prepared.lasting(&Root::default()),
            changes: prepared.changes,
            reverts: prepared.reverts,
        }
    })
}

fn carry_out(arguments: &ApplyArguments, input: &Input) -> anyhow::Result<Outcome> {
    let manner = Manner {
        soak: arguments.soak,
        confirm_within: arguments.confirm_within,
        probe: arguments.probe.clone(),
        by: Author::of_this_process(),
    };
    // What ends this process by force leaves the watchdog; what only asks it to end is told what became of the changes.
    let stop = stop_on_signals()?;
    let stopped = || stop.load(std::sync::atomic::Ordering::Relaxed);
    let progress = progress::Progress::begin(arguments.soak, arguments.common.color);
    let applied = plimsoll_apply::apply(
        &arguments.common.state_dir(),
        &manner,
        &guardian()?,
        &|moment, event| progress.show(moment, event),
        &stopped,
        |id| prepare(input, id),
    )?;
    Ok(match applied {
        None => Outcome::NothingToDo,
        Some(Applied::Awaiting(application)) => Outcome::Awaiting(application),
        Some(Applied::Undone { because, application, unwritten }) => {
            Outcome::Undone { because, application, unwritten }
        }
    })
}

fn prepare(input: &Input, id: u32) -> Result<Prepared, plimsoll_apply::Error> {
    let place = Place::named(input.namespace())?;
    let changes = input.changes(&place)?;
    Prepared::new(changes, place, id)
}

/// How watchdogs are started: by this program.
pub(crate) fn guardian() -> anyhow::Result<Guardian> {
    let program = std::env::current_exe().context("finding this program, which has to watch over the changes")?;
    Ok(Guardian { program, timer: Timer::of_this_machine() })
}
