//! `plimsoll history`: what was done, when, by whom, and what came of it.

use std::process::ExitCode;

use plimsoll_apply::{Application, Author};
use plimsoll_model::Untrusted;
use serde_json::json;

use super::arguments::HistoryArguments;
use super::report::{application_as_json, edit_in_words, render, results};
use crate::date::utc;
use crate::output;

/// Lists the applications.
pub(crate) fn run(arguments: &HistoryArguments) -> anyhow::Result<ExitCode> {
    let applications = plimsoll_apply::history(&arguments.common.state_dir())?;
    let written = if arguments.common.json {
        let listed: Vec<_> = applications.iter().map(application_as_json).collect();
        render(&json!({ "schema": "plimsoll.history/1", "applications": listed }))?
    } else if applications.is_empty() {
        "Nothing was applied.\n".to_string()
    } else {
        applications.iter().map(entry).collect()
    };
    output::write(&written, arguments.common.color)?;
    Ok(ExitCode::SUCCESS)
}

fn entry(application: &Application) -> String {
    let begun = &application.begun;
    let mut text = format!(
        "{}  {}  {}  by {}, in {}\n",
        begun.id,
        utc(application.began_unix_secs),
        application.outcome(),
        begun.by.shown(),
        Untrusted::from(begun.namespace.name.as_str())
    );
    for change in &begun.changes {
        let why =
            if change.why.is_empty() { String::new() } else { format!(": {}", Untrusted::from(change.why.as_str())) };
        text += &format!("   {}{why}\n", edit_in_words(&change.edit));
    }
    if let Some(by) = application.confirmed_by.as_ref().map(Author::shown) {
        text += &format!("   confirmed by {by}\n");
    }
    if let Some(because) = application.undone_because.last() {
        text += &format!("   undone: {}\n", Untrusted::from(because.to_string().as_str()));
        results(application).lines().for_each(|line| text += &format!(" {line}\n"));
    }
    text
}
