//! The `plimsoll` command.

mod apply;
mod arguments;
mod check;
mod columns;
mod consent;
mod date;
mod drawn;
mod explain;
mod files;
mod lab;
mod library;
mod measured;
mod nearest;
mod output;
mod plan;
mod record;
mod recording;
mod relieve;
mod report;
mod rules;
mod setting;
mod shield;
mod simulate;
mod stop;
mod svg;
mod top;
mod trim;
mod watch;
mod wrap;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::output::COULD_NOT_TELL;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Of clap's own codes, 2 would be read as "critical" by whatever watches `check`.
        Err(error) => {
            let asked_for = !error.use_stderr();
            // Nothing is left to be told it if this fails.
            let _ = error.print();
            return ExitCode::from(if asked_for { 0 } else { COULD_NOT_TELL });
        }
    };
    let ended = match &arguments.command {
        None => check::run(&arguments.check).map(output::exit_code).map(ExitCode::from),
        Some(Command::Check(check)) => check::run(check).map(output::exit_code).map(ExitCode::from),
        Some(Command::Explain(explain)) => explain::run(explain).map(|()| ExitCode::SUCCESS),
        Some(Command::Lab(command)) => lab::run(command),
        Some(Command::Plan(plan)) => plan::run(plan),
        Some(Command::Record(record)) => record::run(record),
        Some(Command::Relieve(relieve)) => relieve::run(relieve),
        Some(Command::Report(report)) => report::run(report),
        Some(Command::Rules(rules)) => rules::run(rules),
        Some(Command::Shield(shield)) => shield::run(shield),
        Some(Command::Simulate(simulate)) => simulate::run(simulate),
        Some(Command::Top(top)) => top::run(top),
        Some(Command::Trim(trim)) => trim::run(trim),
        Some(Command::Watch(watch)) => watch::run(watch),
        Some(Command::Apply(apply)) => apply::run(apply),
        Some(Command::Confirm(confirm)) => apply::confirm(confirm),
        Some(Command::Rollback(rollback)) => apply::rollback(rollback),
        Some(Command::History(history)) => apply::history(history),
        Some(Command::Watchdog(watchdog)) => apply::watchdog(watchdog),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            output::complain(&error);
            ExitCode::from(COULD_NOT_TELL)
        }
    }
}
