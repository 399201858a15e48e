//! A shield that is watched: in shadow until it can be judged, and while it drops.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use plimsoll_apply::{By, Seen, Shielded, Vigil};
use plimsoll_host::boottime_now;
use plimsoll_shield::Judgement;

use super::ShieldArguments;
use super::made::Made;
use super::report::{Outcome, State};
use crate::output;

/// How often it is asked what the rules of a shield that drops have counted.
const GLANCE: Duration = Duration::from_secs(2);
/// How often it is asked meanwhile whether to stop.
const NAP: Duration = Duration::from_millis(100);

pub(super) struct Watch<'a> {
    shielded: &'a Shielded,
    arguments: &'a ShieldArguments,
    stop: &'a AtomicBool,
    vigil: Vigil,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        shielded: &'a Shielded,
        arguments: &'a ShieldArguments,
        stop: &'a AtomicBool,
    ) -> anyhow::Result<Self> {
        Ok(Self { shielded, arguments, stop, vigil: Vigil::begin(shielded)? })
    }

    /// What came of it.
    pub(super) fn run(mut self, made: Option<Made>) -> anyhow::Result<Outcome> {
        let max_collateral = self.arguments.max_collateral.0;
        let (age, _) = self.shielded.age_and_rest()?;
        let shadow = self.arguments.shadow.saturating_sub(age);
        if !shadow.is_zero() {
            let (id, secs) = (self.shielded.id(), shadow.as_secs_f64());
            self.tell(&format!("In shadow, application {id}: what would be dropped is counted for {secs:.0} s.\n"));
        }
        let is_whole = self.wait(shadow);
        let state = self.state(By::Table)?;
        let judgement = state.collateral.judge(max_collateral);
        if !is_whole || !self.arguments.enforce || matches!(judgement, Judgement::Stay(_)) {
            return Ok(Outcome::Judged { made, state, judgement });
        }
        // Its watchdog looks after it when this command does no more.
        let _claim = (!self.arguments.no_watch).then(|| self.vigil.claim()).transpose()?;
        self.shielded.enforce(max_collateral, &|_, _| {})?;
        if self.arguments.no_watch {
            return Ok(Outcome::Enforced { made, state: self.state(By::Memory)? });
        }
        self.tell(
            "Enforced. It is watched whom it hits; Ctrl-C ends this command, and the shield's watchdog goes on watching.\n",
        );
        self.keep_watch(made, max_collateral)
    }

    fn keep_watch(&mut self, made: Option<Made>, max_collateral: f64) -> anyhow::Result<Outcome> {
        let mut failures = 0;
        loop {
            let is_whole = self.wait(GLANCE);
            let (_, rest) = self.shielded.age_and_rest()?;
            if rest.is_zero() {
                return Ok(Outcome::Over(self.shielded.id()));
            }
            let seen = match self.vigil.look_again(max_collateral) {
                Ok(seen) => seen,
                // Under a flood one look may fail.
                Err(_) if failures < Vigil::MOST_FAILURES => {
                    failures += 1;
                    continue;
                }
                Err(error) => {
                    let why = format!("whom it hits could not be seen any more: {error}");
                    self.shielded.to_shadow(Some(why), &|_, _| {})?;
                    return Err(anyhow::Error::new(error)
                        .context("whom the shield hits could not be seen any more, so it is back in shadow"));
                }
            };
            failures = 0;
            if !seen.reading.is_enforced() || !is_whole {
                return Ok(Outcome::Enforced { made, state: State::with(self.shielded, seen)? });
            }
            if let Some(why) = seen.why_withdrawn(max_collateral) {
                self.shielded.to_shadow(Some(why.to_string()), &|_, _| {})?;
                return Ok(Outcome::Withdrawn { made, state: State::with(self.shielded, seen)?, why });
            }
        }
    }

    fn state(&mut self, by: By) -> anyhow::Result<State> {
        let seen: Seen = self.vigil.look(by)?;
        State::with(self.shielded, seen)
    }

    /// Whether so long has passed: not where it is to stop.
    fn wait(&self, span: Duration) -> bool {
        let until = boottime_now() + span;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
            match until.saturating_sub(boottime_now()) {
                Duration::ZERO => return true,
                left => thread::sleep(left.min(NAP)),
            }
        }
    }

    fn tell(&self, text: &str) {
        if !self.arguments.common.json {
            output::write_progress(text, self.arguments.common.color);
        }
    }
}
