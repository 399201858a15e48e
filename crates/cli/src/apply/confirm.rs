//! `plimsoll confirm`: keeping what was applied.

use std::process::ExitCode;

use plimsoll_apply::{Author, Confirmed, Persistence, Root};
use plimsoll_model::Untrusted;
use serde_json::{Value, json};

use super::arguments::ConfirmArguments;
use super::report::{application_as_json, render, unproven_in_words};
use super::{UNDONE, tell};
use crate::wrap::paragraph;

/// Keeps the application that awaits it.
pub(crate) fn run(arguments: &ConfirmArguments) -> anyhow::Result<ExitCode> {
    let persistence = if arguments.no_persist { Persistence::RuntimeOnly } else { Persistence::Files(Root::default()) };
    let state_dir = arguments.common.state_dir();
    let confirmed = plimsoll_apply::confirm(&state_dir, &persistence, Author::of_this_process(), &|_, _| {})?;
    let written = if arguments.common.json { render(&document(&confirmed))? } else { text(&confirmed, arguments) };
    let code = if confirmed.not_lasting.is_empty() { 0 } else { UNDONE };
    Ok(tell(&written, arguments.common.color, code))
}

fn document(confirmed: &Confirmed) -> Value {
    let mut document = application_as_json(&confirmed.application);
    document["schema"] = "plimsoll.confirm/1".into();
    document["superseded"] = json!(confirmed.superseded.sysctls);
    document["removed"] = json!(confirmed.superseded.rules.iter().map(ToString::to_string).collect::<Vec<_>>());
    document["not_lasting"] =
        json!(confirmed.not_lasting.iter().map(|why| Untrusted::from(why.as_str())).collect::<Vec<_>>());
    document
}

fn text(confirmed: &Confirmed, arguments: &ConfirmArguments) -> String {
    let application = &confirmed.application;
    let mut text = format!("Application {} stays.\n", application.begun.id);
    for path in &confirmed.written {
        text += &format!("Written: {}\n", Untrusted::from(path.to_string_lossy().as_ref()));
    }
    if arguments.no_persist {
        text += "No file was written (--no-persist): it lasts until the next reboot.\n";
    }
    for why in &confirmed.not_lasting {
        text += &paragraph("", &format!("It lasts until the next reboot only: {}", Untrusted::from(why.as_str())));
    }
    for sysctl in &confirmed.superseded.sysctls {
        text += &format!("Somebody else has changed {sysctl} since; that is left as it is, and is in no file.\n");
    }
    for rules in &confirmed.superseded.rules {
        text += &paragraph(
            "",
            &format!("Somebody else has removed the rules {rules} since; they are not made again, and are in no file."),
        );
    }
    text + &unproven_in_words(&confirmed.unproven)
}
