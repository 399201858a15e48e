//! How far it has come, on a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use plimsoll_diagnose::words::grouped;
use plimsoll_simulate::Progress;

use super::report::time;

/// Nothing is said of what is over sooner, and nothing more often.
const SILENT_FOR: Duration = Duration::from_millis(700);
const EVERY: Duration = Duration::from_millis(200);

/// One line on standard error that is written over and over, if that is a terminal.
pub(super) struct Display {
    shown: Option<Mutex<Shown>>,
}

struct Shown {
    runs: Vec<Option<Progress>>,
    next: Instant,
    is_there: bool,
}

impl Display {
    pub(super) fn new(runs: usize) -> Self {
        let shown = Shown { runs: vec![None; runs], next: Instant::now() + SILENT_FOR, is_there: false };
        Self { shown: io::stderr().is_terminal().then(|| Mutex::new(shown)) }
    }

    pub(super) fn show(&self, run: usize, progress: Progress) {
        let Some(mut shown) = self.shown.as_ref().map(|shown| shown.lock().unwrap_or_else(PoisonError::into_inner))
        else {
            return;
        };
        if let Some(place) = shown.runs.get_mut(run) {
            *place = Some(progress);
        }
        if Instant::now() >= shown.next {
            shown.next = Instant::now() + EVERY;
            shown.is_there = true;
            write(&format!("\r\x1b[K{}", shown.line()));
        }
    }

    /// Leaves nothing of it.
    pub(super) fn clear(&self) {
        let shown = self.shown.as_ref().map(|shown| shown.lock().unwrap_or_else(PoisonError::into_inner));
        if shown.is_some_and(|shown| shown.is_there) {
            write("\r\x1b[K");
        }
    }
}

impl Shown {
    fn line(&self) -> String {
        let begun = || self.runs.iter().flatten();
        let packets: u64 = begun().map(|progress| progress.packets).sum();
        let share = |progress: &Progress| Some(progress.at.as_secs_f64() / progress.lasts?.as_secs_f64());
        let shares: Option<f64> = begun().map(share).sum();
        let far = match shares {
            Some(shares) => format!("{:.0}%", 100.0 * (shares / self.runs.len() as f64).min(1.0)),
            None => time(begun().map(|progress| progress.at).max().unwrap_or_default()),
        };
        format!("Simulated {far}, {} packets. Ctrl-C gives the result so far.", grouped(packets))
    }
}

fn write(text: &str) {
    // Nobody is left to be told it if this fails.
    let _ = io::stderr().write_all(text.as_bytes());
}
