//! Lending silences to flows whose own are not known.

use std::time::Duration;

use plimsoll_model::Timeouts;
use plimsoll_recording::State;

use crate::replay::compile::{Compiler, called};
use crate::replay::donors::Lent;
use crate::replay::gather::{draw_for, in_force_secs};
use crate::replay::pattern::{Armed, Pattern, Silence};
use crate::replay::stays::Stay;
use crate::replay::timeline::{Meanwhile, Played};

/// A stay whose silences are not known.
pub(super) struct Wanted {
    pub(super) life: usize,
    /// `None` for the stay at the start.
    pub(super) mark: Option<usize>,
    pub(super) stay: Stay,
}

impl Compiler<'_> {
    /// Lends silences to those whose own are not known.
    pub(super) fn lend(&mut self) {
        self.donors.sort();
        let mut as_silent = None;
        for Wanted { life, mark, stay } in std::mem::take(&mut self.wanted) {
            let Some(played) = self.replay.lives.get(life).copied() else { continue };
            let lasts = stay.until.saturating_sub(stay.at);
            let nanos = u64::from(stay.at.subsec_nanos()) ^ stay.at.as_secs() << 32;
            let mut draw = draw_for(self.replay.seed ^ nanos, played.key);
            let called = called(&played.original);
            let pattern = match self.donors.borrow(called, stay.state, lasts, &mut draw) {
                Lent::Busy => None,
                Lent::Silences(pattern) => {
                    Some(Pattern { longest: longest_known(&self.replay.in_force, stay.state, &played), ..pattern })
                }
                Lent::Nothing => {
                    if as_silent.replace(life) != Some(life) {
                        self.replay.not_played.flows_taken_as_silent +=
                            f64::from(played.copies) * self.replay.stands_for;
                    }
                    Some(self.as_silent_as_can_be(&played, stay.state))
                }
            };
            let then = pattern.map_or(Meanwhile::Busy, |pattern| {
                let silent = self.longest_of(&pattern, lasts);
                if let Some(played) = self.replay.lives.get_mut(life) {
                    played.longest_silence = played.longest_silence.max(silent);
                }
                self.add(pattern)
            });
            self.set(life, mark, then);
        }
    }

    /// No silence was longer than the timeout in force: the entry was there.
    fn as_silent_as_can_be(&mut self, played: &Played, state: State) -> Pattern {
        let secs = longest_known(&self.replay.in_force, state, played);
        let first = u32::try_from(self.replay.silences.len()).unwrap_or(u32::MAX);
        self.replay.silences.push(Silence::new(Duration::ZERO, Some(secs), Armed::Own));
        Pattern { first, count: 1, factor: 1.0, repeats: secs, longest: secs }
    }

    fn longest_of(&self, pattern: &Pattern, lasts: Duration) -> Duration {
        let silences = pattern.of(&self.replay.silences).iter();
        let each = silences.filter_map(|silence| {
            let left = lasts.checked_sub(pattern.after(silence))?;
            Some(pattern.lasts(silence).map_or(left, |own| own.min(left)))
        });
        each.max().unwrap_or_default()
    }
}

/// The longest silence after which an entry was still there, under the timeouts in force.
fn longest_known(in_force: &Timeouts, state: State, played: &Played) -> Duration {
    let secs = state.held_by(played.original.protocol).and_then(|timeout| in_force_secs(in_force, timeout));
    Duration::from_secs(secs.unwrap_or(0).saturating_sub(1).max(1).into())
}
