//! A shield that is watched: in shadow until it can be judged, and while it drops.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use plimsoll_apply::Shielded;
use plimsoll_host::boottime_now;
use plimsoll_shield::{Judgement, NotEnforced, Peers};

use super::ShieldArguments;
use super::made::Made;
use super::report::{Outcome, State};
use crate::output;

/// How often it is asked what the rules of a shield that drops have counted.
const GLANCE: Duration = Duration::from_secs(2);
/// Of the time at most so much is spent on reading the table: a twentieth.
const READING: u32 = 20;
/// Looks in a row that may fail before a shield is taken back to shadow.
const MOST_FAILURES: u32 = 3;
/// How often it is asked meanwhile whether to stop.
const NAP: Duration = Duration::from_millis(100);

pub(super) struct Watch<'a> {
    shielded: &'a Shielded,
    arguments: &'a ShieldArguments,
    stop: &'a AtomicBool,
    /// Who has completed flows, since it began: a shield that keeps them out must not make them forgotten.
    peers: Peers,
    /// When the table may be read again, after boot.
    due: Duration,
}

/// What a judgement rests on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// The table as it is.
    Table,
    /// What is remembered of it.
    Memory,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        shielded: &'a Shielded,
        arguments: &'a ShieldArguments,
        stop: &'a AtomicBool,
    ) -> anyhow::Result<Self> {
        let peers = shielded.peers(&shielded.reading()?.hit_sources())?;
        Ok(Self { shielded, arguments, stop, peers, due: Duration::ZERO })
    }

    /// What came of it.
    pub(super) fn run(mut self, made: Option<Made>) -> anyhow::Result<Outcome> {
        let (age, _) = self.shielded.age_and_rest()?;
        let shadow = self.arguments.shadow.saturating_sub(age);
        if !shadow.is_zero() {
            let (id, secs) = (self.shielded.id(), shadow.as_secs_f64());
            self.tell(&format!("In shadow, application {id}: what would be dropped is counted for {secs:.0} s.\n"));
        }
        let is_whole = self.wait(shadow);
        let state = self.look(By::Table)?;
        let judgement = state.collateral.judge(self.arguments.max_collateral.0);
        if !is_whole || !self.arguments.enforce || matches!(judgement, Judgement::Stay(_)) {
            return Ok(Outcome::Judged { made, state, judgement });
        }
        self.shielded.enforce(&|_, _| {})?;
        if self.arguments.no_watch {
            return Ok(Outcome::Enforced { made, state: self.look(By::Memory)? });
        }
        self.tell("Enforced. It is watched whom it hits; Ctrl-C ends the watching, not the shield.\n");
        self.keep_watch(made)
    }

    fn keep_watch(&mut self, made: Option<Made>) -> anyhow::Result<Outcome> {
        let mut failures = 0;
        loop {
            let is_whole = self.wait(GLANCE);
            let (_, rest) = self.shielded.age_and_rest()?;
            if rest.is_zero() {
                return Ok(Outcome::Over(self.shielded.id()));
            }
            let by = if boottime_now() >= self.due { By::Table } else { By::Memory };
            let mut state = match self.look(by) {
                Ok(state) => state,
                // Under a flood one look may fail.
                Err(_) if failures < MOST_FAILURES => {
                    failures += 1;
                    continue;
                }
                Err(error) => {
                    self.shielded.to_shadow(&|_, _| {})?;
                    return Err(
                        error.context("whom the shield hits could not be seen any more, so it is back in shadow")
                    );
                }
            };
            failures = 0;
            if !state.reading.is_enforced() || !is_whole {
                return Ok(Outcome::Enforced { made, state });
            }
            // What is remembered does not tell a flooder that has completed a flow once: the table does.
            if by == By::Memory && self.why_withdrawn(&state).is_some() {
                state = self.look(By::Table).unwrap_or(state);
            }
            if let Some(why) = self.why_withdrawn(&state) {
                self.shielded.to_shadow(&|_, _| {})?;
                return Ok(Outcome::Withdrawn { made, state, why });
            }
        }
    }

    /// Why it is to drop no more. That nobody is known is no worse than it was: it was judged, or allowed.
    fn why_withdrawn(&self, state: &State) -> Option<NotEnforced> {
        match state.collateral.judge(self.arguments.max_collateral.0) {
            Judgement::Stay(why @ (NotEnforced::TooMany { .. } | NotEnforced::Unrecorded(_))) => Some(why),
            Judgement::Stay(NotEnforced::NobodyKnown) | Judgement::Enforce(_) => None,
        }
    }

    fn look(&mut self, by: By) -> anyhow::Result<State> {
        let reading = self.shielded.reading()?;
        if by == By::Table {
            let began = boottime_now();
            self.peers = self.shielded.peers(&reading.hit_sources())?.and_before(&self.peers);
            let now = boottime_now();
            self.due = now + now.saturating_sub(began) * READING;
        }
        State::with(self.shielded, reading, &self.peers)
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
