//! One target's mailbox: news are laid into it, and a thread of the target's own tells them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use plimsoll_watch::alerts::Notice;

use crate::outbox::{Letter, Outbox};
use crate::{Error, KEPT_EVERY, News, Outcome, Target};

/// After a failure nothing is tried for this long.
const REST: Duration = Duration::from_secs(10);

/// Nor, where a target asks for more, for longer than this.
const LONGEST_REST: Duration = Duration::from_mins(5);

/// One target's.
#[derive(Debug)]
pub(crate) struct Mailbox {
    target: Target,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    outbox: Outbox,
    stage: Stage,
    standing: Standing,
    /// When the connection was last used, where there is one.
    used: Option<Instant>,
    /// Notices that were dropped since there was last room.
    burst: usize,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Working,
    /// What waits is tried once more, until then.
    Ending {
        until: Instant,
    },
    /// Nobody wants it any more.
    Removed,
    /// Its thread does nothing more.
    Ended,
}

/// How it stands with a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Well,
    /// It would not take the last letter.
    Refusing,
    /// It could not be told; nothing is tried until then.
    Failing {
        until: Instant,
    },
}

/// What came of notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) told: u64,
    pub(crate) refused: u64,
    pub(crate) dropped: u64,
}

/// What a mailbox's thread is to do.
#[derive(Debug)]
pub(crate) enum Task {
    /// Tell this.
    Tell(Letter),
    /// Use the connection, so that it stays open.
    KeepOpen,
    /// End.
    End,
}

/// Who is told what comes of it.
pub(crate) type Log = dyn Fn(Outcome<'_>) + Send + Sync;

impl Mailbox {
    pub(crate) fn new(target: Target, outbox: Outbox) -> Self {
        let state = State {
            outbox,
            stage: Stage::Working,
            standing: Standing::Well,
            used: None,
            burst: 0,
            counts: Counts::default(),
        };
        Self { target, state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Takes news. It never waits for the target.
    pub(crate) fn take(&self, news: &News, log: &Log) {
        let mut state = self.lock();
        let dropped = state.outbox.take(news);
        let is_new = state.burst == 0 && dropped > 0;
        state.burst += dropped;
        state.counts.dropped += dropped as u64;
        drop(state);
        self.changed.notify_all();
        if is_new {
            log(Outcome::Overflowing(&self.target));
        }
    }

    /// What would wait if it took this; `None` for a target that has heard of nothing yet.
    pub(crate) fn waiting_with(&self, news: &News) -> Option<Vec<Notice>> {
        let mut outbox = self.lock().outbox.clone();
        outbox.take(news);
        outbox.waiting()
    }

    /// What waits; `None` for a target that has heard of nothing yet.
    pub(crate) fn waiting(&self) -> Option<Vec<Notice>> {
        self.lock().outbox.waiting()
    }

    /// What came of notices, and how many wait.
    pub(crate) fn counts(&self) -> (Counts, usize) {
        let state = self.lock();
        (state.counts, state.outbox.len())
    }

    /// Waits until there is something to do.
    pub(crate) fn next(&self) -> Task {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if let Some(task) = state.task(&self.target, now) {
                return task;
            }
            state = match state.wakes_at(&self.target) {
                Some(at) => {
                    let waited = self.changed.wait_timeout(state, at.saturating_duration_since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// How long an answer may be waited for that is usually waited for so long.
    pub(crate) fn patience(&self, usual: Duration) -> Duration {
        match self.lock().stage {
            Stage::Ending { until } => usual.min(until.saturating_duration_since(Instant::now())),
            Stage::Working | Stage::Removed | Stage::Ended => usual,
        }
    }

    /// Takes note of what came of a letter.
    pub(crate) fn note_told(&self, letter: &Letter, outcome: &Result<(), Error>, log: &Log) {
        let mut state = self.lock();
        let before = state.standing;
        match outcome {
            Ok(()) => {
                state.outbox.settle(letter);
                state.counts.told += 1;
                state.standing = Standing::Well;
            }
            Err(error) if error.is_refusal() => {
                state.outbox.settle(letter);
                state.counts.refused += 1;
                state.standing = Standing::Refusing;
            }
            Err(error) => {
                state.outbox.keep();
                state.standing = Standing::failing(error);
            }
        }
        let given_up = if state.outbox.has_room() { std::mem::take(&mut state.burst) } else { 0 };
        drop(state);
        match outcome {
            Ok(()) => {
                if before != Standing::Well {
                    log(Outcome::Recovered(&self.target));
                }
                log(Outcome::Told(&self.target));
            }
            // What is there is told each minute: that it is refused is no news the second time. Each notice comes once.
            Err(error) if error.is_refusal() => {
                if before != Standing::Refusing || matches!(letter, Letter::Notice(_)) {
                    log(Outcome::Refused(&self.target, error));
                }
            }
            Err(error) => self.say_that_it_fails(before, error, log),
        }
        if given_up > 0 {
            log(Outcome::GivenUp(&self.target, given_up));
        }
    }

    /// Takes note of what came of using the connection for nothing.
    pub(crate) fn note_kept(&self, outcome: &Result<(), Error>, log: &Log) {
        let mut state = self.lock();
        let before = state.standing;
        match outcome {
            Err(error) => state.standing = Standing::failing(error),
            // That it answers says nothing of what it would not take.
            Ok(()) if matches!(before, Standing::Failing { .. }) && state.outbox.len() == 0 => {
                state.standing = Standing::Well;
            }
            Ok(()) => {}
        }
        let after = state.standing;
        drop(state);
        match outcome {
            Err(error) => self.say_that_it_fails(before, error, log),
            Ok(()) if after != before => log(Outcome::Recovered(&self.target)),
            Ok(()) => {}
        }
    }

    /// What waits is to be tried once more, until then.
    pub(crate) fn end(&self, until: Instant) {
        let mut state = self.lock();
        state.stage = Stage::Ending { until };
        if let Standing::Failing { until } = &mut state.standing {
            *until = Instant::now();
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until nothing more is done, but not longer than until then.
    pub(crate) fn await_end(&self, until: Instant) {
        let mut state = self.lock();
        while state.stage != Stage::Ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Nothing is to be told any more.
    pub(crate) fn remove(&self) {
        self.lock().stage = Stage::Removed;
        self.changed.notify_all();
    }

    /// Its thread does nothing more.
    pub(crate) fn note_end(&self) {
        self.lock().stage = Stage::Ended;
        self.changed.notify_all();
    }

    fn say_that_it_fails(&self, before: Standing, error: &Error, log: &Log) {
        if !matches!(before, Standing::Failing { .. }) {
            log(Outcome::Failed(&self.target, error));
        }
    }

    /// What a thread that died held is whole: nothing is left half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn task(&mut self, target: &Target, now: Instant) -> Option<Task> {
        let is_resting = matches!(self.standing, Standing::Failing { until } if now < until);
        match self.stage {
            Stage::Removed | Stage::Ended => return Some(Task::End),
            // It is tried once more, not again and again.
            Stage::Ending { until } if is_resting || now >= until => return Some(Task::End),
            Stage::Working if is_resting => return None,
            Stage::Working | Stage::Ending { .. } => {}
        }
        if let Some(letter) = self.outbox.letter(now) {
            self.used = Some(now);
            return Some(Task::Tell(letter));
        }
        if self.stage != Stage::Working {
            return Some(Task::End);
        }
        let is_used = self.used.is_some_and(|used| now.saturating_duration_since(used) < KEPT_EVERY);
        if is_used || matches!(target, Target::Command(_)) {
            return None;
        }
        self.used = Some(now);
        Some(Task::KeepOpen)
    }

    /// When there is something to do, though nothing happens.
    fn wakes_at(&self, target: &Target) -> Option<Instant> {
        if let Standing::Failing { until } = self.standing
            && until > Instant::now()
        {
            return Some(until);
        }
        let kept = self.used.filter(|_| !matches!(target, Target::Command(_))).map(|used| used + KEPT_EVERY);
        [kept, self.outbox.due()].into_iter().flatten().min()
    }
}

impl Standing {
    fn failing(error: &Error) -> Self {
        let rest = error.asks_to_wait().unwrap_or_default().clamp(REST, LONGEST_REST);
        Self::Failing { until: Instant::now() + rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest_after(wait: Option<Duration>) -> Duration {
        let now = Instant::now();
        match Standing::failing(&Error::Later { status: 429, wait }) {
            Standing::Failing { until } => until.duration_since(now),
            Standing::Well | Standing::Refusing => Duration::ZERO,
        }
    }

    #[test]
    fn who_asks_to_wait_is_waited_for_within_bounds() {
        assert!(rest_after(None) >= REST && rest_after(None) < Duration::from_mins(1));
        assert!(rest_after(Some(Duration::from_secs(1))) >= REST);
        assert!(rest_after(Some(Duration::from_mins(2))) >= Duration::from_mins(2));
        assert!(rest_after(Some(Duration::MAX)) < Duration::from_mins(6));
    }
}
