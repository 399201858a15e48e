//! What is being done, while it is done.

use std::io::{self, IsTerminal};
use std::time::Duration;

use plimsoll_apply::{Event, Moment};
use plimsoll_model::Untrusted;

use super::report::edit_in_words;
use crate::arguments::Color;
use crate::output;

/// Tells of each step on standard error.
pub(super) struct Progress {
    soak: Duration,
    color: Color,
    changes: std::cell::RefCell<Vec<String>>,
}

impl Progress {
    pub(super) fn begin(soak: Duration, color: Color) -> Self {
        let progress = Self { soak, color, changes: Vec::new().into() };
        if !soak.is_zero() && io::stderr().is_terminal() {
            progress.say(&format!("Counting for {} s what happens before anything is changed ...", soak.as_secs_f64()));
        }
        progress
    }

    pub(super) fn show(&self, moment: Moment, event: &Event) {
        match (moment, event) {
            (Moment::After, Event::Begun(begun)) => {
                *self.changes.borrow_mut() = begun.changes.iter().map(|change| edit_in_words(&change.edit)).collect();
            }
            (Moment::After, Event::Scheduled { refused: Some(refused) }) => self.say(&format!(
                "there is no timer beside the watchdog, which undoes all the same unless somebody kills it: {}",
                Untrusted::from(refused.as_str())
            )),
            (Moment::After, Event::Written { change }) => {
                let changes = self.changes.borrow();
                let what = changes.get(*change).map_or("", String::as_str);
                let watched = if self.soak.is_zero() {
                    String::new()
                } else {
                    format!("; watched for {} s", self.soak.as_secs_f64())
                };
                self.say(&format!("Change {} of {}: {what}{watched}", change + 1, changes.len()));
            }
            (Moment::After, Event::Undoing { because }) => {
                self.say(&format!("Undoing: {}", Untrusted::from(because.to_string().as_str())));
            }
            _ => {}
        }
    }

    fn say(&self, text: &str) {
        output::write_progress(&format!("plimsoll: {text}\n"), self.color);
    }
}
