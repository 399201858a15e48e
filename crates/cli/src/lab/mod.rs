//! `plimsoll lab`: workloads played on this machine's kernel, in namespaces of their own.

mod conform;
mod expected;
mod introduction;
mod json;
mod run;
mod uptime;

use std::process::ExitCode;

use anyhow::Context;
use plimsoll_diagnose::words::grouped;
use plimsoll_model::Untrusted;

use crate::arguments::{LabCommand, ListArguments};
use crate::library::{self, Player};
use crate::output;

/// Does what was asked for; the code says whether a check found what was expected.
pub(crate) fn run(command: &LabCommand) -> anyhow::Result<ExitCode> {
    match command {
        LabCommand::List(arguments) => list(arguments).map(|()| ExitCode::SUCCESS),
        LabCommand::Conform(arguments) => conform::run(arguments).context("lab conform"),
        LabCommand::Run(arguments) => {
            run::run(arguments).with_context(|| format!("lab run {}", Untrusted::from(arguments.scenario.as_str())))
        }
    }
}

fn list(arguments: &ListArguments) -> anyhow::Result<()> {
    let scenarios = library::all(Player::Lab)?;
    let written = if arguments.json {
        json::list(&scenarios)?
    } else {
        let number = grouped(scenarios.len() as u64);
        format!("{number} scenarios; `plimsoll lab run NAME --check` plays one:\n{}", library::listed(&scenarios))
    };
    output::write(&written, arguments.color)
}
