//! How far a recording has come, on a terminal.

use std::io::{self, IsTerminal, Write};

use plimsoll_diagnose::words::{duration, grouped};
use plimsoll_record::Progress;

/// One line on standard error that is written over and over, if that is a terminal.
#[derive(Debug)]
pub(super) struct Display {
    to: Where,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Nowhere,
    Terminal,
}

impl Display {
    pub(super) fn new(quiet: bool) -> Self {
        let to = if !quiet && io::stderr().is_terminal() { Where::Terminal } else { Where::Nowhere };
        Self { to }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        if self.to == Where::Terminal {
            write(&format!("\r\x1b[K{}", line(progress)));
        }
    }

    /// Leaves nothing of it.
    pub(super) fn clear(&mut self) {
        if self.to == Where::Terminal {
            write("\r\x1b[K");
        }
    }
}

fn line(progress: &Progress) -> String {
    let Progress { lasted, occupancy, recorded, followed, looked_at, one_in } = progress;
    let entries = occupancy.map_or("?".to_string(), |entries| grouped(entries.into()));
    let mut line = format!(
        "{}: {entries} entries, {} flows ended, {} followed, {} silences of {} entries",
        duration(lasted.as_secs()),
        grouped(recorded.lives),
        grouped(*followed),
        grouped(recorded.gaps),
        grouped(*looked_at)
    );
    if *one_in > 1 {
        line.push_str(&format!("; one entry in {one_in}"));
    }
    if recorded.losses > 0 {
        line.push_str(&format!("; events lost {} times", grouped(recorded.losses)));
    }
    line
}

fn write(text: &str) {
    // Nobody is left to be told it if this fails.
    let _ = io::stderr().write_all(text.as_bytes());
}
