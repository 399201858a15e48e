//! What the daemon says: lines on standard error, which systemd keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use plimsoll_model::Untrusted;
use plimsoll_notify::Outcome;
use plimsoll_watch::alerts::Notice;

use crate::arguments::Color;
use crate::output;

/// What the daemon says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    loudness: Loudness,
    color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loudness {
    OnlyWhatIsWrong,
    All,
}

impl Log {
    pub(super) fn new(is_quiet: bool, color: Color) -> Self {
        Self { loudness: if is_quiet { Loudness::OnlyWhatIsWrong } else { Loudness::All }, color }
    }

    /// What it does.
    pub(super) fn say(self, text: &str) {
        if self.loudness == Loudness::All {
            self.write(text);
        }
    }

    /// What is wrong with it, or with the host.
    pub(super) fn wrong(self, text: &str) {
        self.write(text);
    }

    /// What is the matter with the host.
    pub(super) fn notice(self, notice: &Notice) {
        match notice {
            Notice::Raised(alert) => {
                let step = alert.first_step.as_ref().map(|step| match &step.command {
                    Some(command) => format!(" First: {} (`{command}`).", step.action),
                    None => format!(" First: {}.", step.action),
                });
                let severity = alert.severity.to_string().to_uppercase();
                self.wrong(&format!(
                    "{severity} {}: {}.{}",
                    alert.trouble.finding,
                    alert.title,
                    step.unwrap_or_default()
                ));
            }
            Notice::Resolved { alert, .. } => {
                self.wrong(&format!("resolved {}: {}", alert.trouble.finding, alert.title));
            }
        }
    }

    /// What came of telling others.
    pub(super) fn telling(self, outcome: &Outcome<'_>) {
        match outcome {
            Outcome::Recovered(target) => self.say(&format!("{target} can be told again")),
            Outcome::Failed(target, error) => self.wrong(&format!("{target} cannot be told: {error}")),
            Outcome::Refused(target, error) => {
                self.wrong(&format!("{target} does not take a notice, and is not told it again: {error}"));
            }
            Outcome::Overflowing(target) => {
                self.wrong(&format!("too many notices wait for {target}: the oldest are given up"));
            }
            Outcome::GivenUp(target, number) => {
                self.wrong(&format!("notices for {target} that were given up: {number}"));
            }
            Outcome::Removed(target, number) => {
                self.wrong(&format!("{target} is not told any more; notices that waited for it are dropped: {number}"));
            }
            Outcome::Forgotten(key, number) => {
                self.wrong(&format!(
                    "a target of an earlier run ({key}) is not told any more; notices that waited for it are dropped: \
                     {number}"
                ));
            }
            // What goes as it should is counted, and no news.
            _ => {}
        }
    }

    fn write(self, text: &str) {
        // A line is a line, whatever is in it.
        let line = Untrusted::from_escaped(text.replace('\n', "; "));
        output::write_progress(&format!("plimsoll watch: {line}\n"), self.color);
    }
}

/// Something that may go wrong again and again, and is told when that begins and when it ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Once {
    is_wrong: Arc<AtomicBool>,
}

impl Once {
    /// Takes note of an outcome, and says what is new.
    pub(super) fn note<E: std::fmt::Display>(&self, outcome: Result<(), E>, log: Log, well: &str) {
        let was_wrong = self.is_wrong.swap(outcome.is_err(), Ordering::Relaxed);
        match outcome {
            Err(error) if !was_wrong => log.wrong(&error.to_string()),
            Ok(()) if was_wrong => log.say(well),
            _ => {}
        }
    }
}
