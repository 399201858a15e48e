//! `plimsoll lab`: workloads played on this machine's kernel, in namespaces of their own.

mod conform;
mod expected;
mod introduction;
mod json;
mod library;
mod run;
mod uptime;

use std::process::ExitCode;

use anyhow::Context;
use plimsoll_diagnose::words::grouped;
use plimsoll_model::Untrusted;

use crate::arguments::{LabCommand, ListArguments};
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
    let scenarios = library::all()?;
    let written = if arguments.json {
        json::list(&scenarios)?
    } else {
        let width = scenarios.iter().map(|scenario| scenario.name.as_str().len()).max().unwrap_or(0);
        let mut text =
            format!("{} scenarios; `plimsoll lab run NAME --check` plays one:\n", grouped(scenarios.len() as u64));
        for scenario in &scenarios {
            text.push_str(&format!("  {:<width$}  {}\n", scenario.name, scenario.title));
        }
        text
    };
    output::write(&written, arguments.color)
}
