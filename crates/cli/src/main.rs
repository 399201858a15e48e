//! The `plimsoll` command.

mod arguments;
mod check;
mod output;

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
    let check = match &arguments.command {
        None => &arguments.check,
        Some(Command::Check(check)) => check,
    };
    match check::run(check) {
        Ok(verdict) => ExitCode::from(output::exit_code(verdict)),
        Err(error) => {
            output::complain(&error);
            ExitCode::from(COULD_NOT_TELL)
        }
    }
}
