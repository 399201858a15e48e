//! `plimsoll rollback`: undoing.

use std::path::Path;
use std::process::ExitCode;

use plimsoll_apply::{Application, Phase, Progress, RolledBack, Root, Undone, Which};
use serde_json::json;

use super::arguments::RollbackArguments;
use super::report::{application_as_json, render, results, unwritten_in_words};
use super::{REMAINS, UNDONE, guardian, tell};
use crate::output;

/// Undoes, and says what came of it.
pub(crate) fn run(arguments: &RollbackArguments) -> anyhow::Result<ExitCode> {
    let state_dir = arguments.common.state_dir();
    let rolled_back = undo(arguments, &state_dir)?;
    for left in rolled_back.iter().filter(|one| remains(&one.application)) {
        // What is undone is told all the same.
        if let Err(error) = guardian().and_then(|guardian| Ok(guardian.go_on(&state_dir, left.application.begun.id)?)) {
            let unguarded = format!("plimsoll: nobody goes on trying, but for the next `plimsoll apply`: {error:#}\n");
            output::write_progress(&unguarded, arguments.common.color);
        }
    }
    let written = if arguments.common.json {
        let applications: Vec<_> = rolled_back.iter().map(document).collect();
        render(&json!({ "schema": "plimsoll.rollback/1", "applications": applications }))?
    } else {
        text(&rolled_back)
    };
    Ok(tell(&written, arguments.common.color, code(&rolled_back)))
}

fn undo(arguments: &RollbackArguments, state_dir: &Path) -> Result<Vec<RolledBack>, plimsoll_apply::Error> {
    let which = match (arguments.number, arguments.if_unconfirmed) {
        _ if arguments.left_behind => return plimsoll_apply::release(state_dir, &|_, _| {}),
        (_, Some(id)) => Which::IfUnconfirmed(id),
        (Some(id), None) => Which::Since(id),
        (None, None) => Which::Last,
    };
    plimsoll_apply::rollback(state_dir, &Root::default(), which, &|_, _| {})
}

fn document(one: &RolledBack) -> serde_json::Value {
    let mut document = application_as_json(&one.application);
    document["unwritten"] = json!(one.unwritten);
    document
}

fn code(rolled_back: &[RolledBack]) -> u8 {
    let superseded = |application: &Application| {
        let is = |result: &Undone| matches!(result, Undone::Superseded { .. });
        application.changes.iter().any(|change| matches!(change, Progress::Undone(result) if is(result)))
            || application.files.iter().any(|(_, result)| result.as_ref().is_some_and(is))
    };
    if rolled_back.iter().any(|one| remains(&one.application)) {
        REMAINS
    } else if rolled_back.iter().any(|one| superseded(&one.application)) {
        UNDONE
    } else {
        0
    }
}

fn remains(application: &Application) -> bool {
    application.phase != Phase::Ended
}

fn text(rolled_back: &[RolledBack]) -> String {
    if rolled_back.is_empty() {
        return "Nothing to undo.\n".to_string();
    }
    let mut text = String::new();
    for one in rolled_back {
        let done = if remains(&one.application) { "is not wholly undone" } else { "is undone" };
        text += &format!("Application {} {done}:\n{}", one.application.begun.id, results(&one.application));
        text += &unwritten_in_words(&one.unwritten);
    }
    text
}
