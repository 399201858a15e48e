//! Writing to people and to programs.

use std::io::{self, ErrorKind, Write};

use anstream::{AutoStream, ColorChoice};
use plimsoll_model::Verdict;

use crate::arguments::Color;

/// Exit code for "it could not be told".
pub(crate) const COULD_NOT_TELL: u8 = 3;

/// Exit codes as monitoring plugins have them.
pub(crate) const fn exit_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Ok => 0,
        Verdict::Warning => 1,
        Verdict::Critical => 2,
        Verdict::Unknown => COULD_NOT_TELL,
    }
}

/// Writes text to standard output at once, with its colours only where they are wanted. A reader that has gone away
/// (`| head`) is no error.
pub(crate) fn write(text: &str, color: Color) -> anyhow::Result<()> {
    let choice = match color {
        Color::Auto => AutoStream::choice(&io::stdout()),
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    };
    let mut stream = AutoStream::new(io::stdout().lock(), choice);
    match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| anyhow::anyhow!("writing to standard output: {error}")),
    }
}

/// Writes text to standard error, where progress belongs: what reads standard output gets the final answer alone.
pub(crate) fn write_progress(text: &str, color: Color) {
    let choice = match color {
        Color::Auto => AutoStream::choice(&io::stderr()),
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    };
    // Nobody is left to be told it if this fails.
    let _ = AutoStream::new(io::stderr().lock(), choice).write_all(text.as_bytes());
}

/// Columns that a picture on standard output may take: those of the terminal, or a hundred.
pub(crate) fn width() -> usize {
    const MOST: usize = 100;
    const LEAST: usize = 40;
    let terminal = rustix::termios::tcgetwinsize(io::stdout()).ok();
    terminal.map_or(MOST, |size| usize::from(size.ws_col)).clamp(LEAST, MOST)
}

/// Says on standard error why there is no answer.
pub(crate) fn complain(error: &anyhow::Error) {
    // Nothing is left to be told it if this fails.
    let _ = writeln!(io::stderr(), "plimsoll: {error:#}");
}
