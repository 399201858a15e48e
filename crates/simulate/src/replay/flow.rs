//! A flow that is being played: what it does next.

use std::time::Duration;

use plimsoll_model::{Tuple, Zone};
use plimsoll_recording::State;

use crate::replay::Replay;
use crate::replay::packets::Sent;
use crate::replay::pattern::Armed;
use crate::replay::timeline::{Mark, Meanwhile, Played};
use crate::watch::Watch;

/// A copy of a life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    /// Its place in the replay.
    pub(super) life: u32,
    pub(super) zone: Zone,
    /// By how much later than the life it is.
    pub(super) shift: Duration,
    pub(super) state: State,
    /// As the server's packets come.
    pub(super) reply: Tuple,
    pub(super) sent: Sent,
    pub(super) watch: Watch,
    pub(super) next: Next,
    /// How many marks are behind it.
    passed: u32,
    then: Meanwhile,
    /// From when its pattern counts.
    base: Duration,
    /// Which of the pattern's silences is or comes next.
    silence: u32,
    wakes: Option<Duration>,
}

/// What it does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It comes.
    Starts,
    /// What the next mark says.
    Mark,
    /// It says something.
    Talks,
    /// It says something, and falls silent.
    Falls(Armed),
    /// It breaks its silence.
    Speaks,
}

impl Flow {
    pub(super) const fn new(life: u32, played: &Played, zone: Zone, shift: Duration, sent: Sent) -> Self {
        Self {
            life,
            zone,
            shift,
            state: played.first,
            reply: played.reply,
            sent,
            watch: Watch::new(None),
            next: Next::Starts,
            passed: 0,
            then: Meanwhile::Silent,
            base: Duration::ZERO,
            silence: 0,
            wakes: None,
        }
    }

    /// It has come to a state.
    pub(super) const fn stays(&mut self, at: Duration, then: Meanwhile) {
        self.then = then;
        self.base = at;
        self.silence = 0;
        self.wakes = None;
    }

    /// It stands, and may have been silent for a while.
    pub(super) fn stands(&mut self, replay: &Replay, at: Duration, then: Meanwhile) {
        self.stays(at, then);
        let Meanwhile::Like(pattern) = then else { return };
        let Some(pattern) = replay.patterns.get(pattern as usize) else { return };
        let first = pattern.of(&replay.silences).first();
        if let Some(silence) = first.filter(|silence| pattern.after(silence).is_zero()) {
            self.wakes = Some(pattern.lasts(silence).map_or(Duration::MAX, |lasts| at.saturating_add(lasts)));
        }
    }

    /// It has fallen silent.
    pub(super) fn falls(&mut self, replay: &Replay) {
        let Meanwhile::Like(pattern) = self.then else { return };
        let Some(pattern) = replay.patterns.get(pattern as usize) else { return };
        if let Some(silence) = pattern.of(&replay.silences).get(self.silence as usize) {
            let falls = self.base.saturating_add(pattern.after(silence));
            let lasts = pattern.lasts(silence).unwrap_or(Duration::MAX);
            self.wakes = Some(falls.saturating_add(lasts));
        }
    }

    /// It has broken its silence.
    pub(super) const fn speaks(&mut self) {
        self.wakes = None;
        self.silence += 1;
    }

    /// The mark that is next; behind it is the one after.
    pub(super) fn take_mark(&mut self, replay: &Replay) -> Option<Mark> {
        let mark = self.mark(replay).copied();
        self.passed += 1;
        mark
    }

    fn mark<'a>(&self, replay: &'a Replay) -> Option<&'a Mark> {
        let played = replay.lives.get(self.life as usize)?;
        let number = (self.passed < played.marks).then_some(played.first_mark + self.passed)?;
        replay.marks.get(number as usize)
    }

    /// When it does something next, if it ever does: it talks at intervals of `pause`.
    pub(super) fn plan(&mut self, replay: &Replay, now: Duration, pause: Duration) -> Option<Duration> {
        let until = self.mark(replay).map(|mark| mark.at + self.shift);
        let (at, next) = match self.then {
            Meanwhile::Silent => (until?, Next::Mark),
            Meanwhile::Busy => sooner(now + pause, Next::Talks, until),
            Meanwhile::Like(pattern) => self.follow(replay, pattern, now, pause, until)?,
        };
        self.next = next;
        (at <= replay.lasts).then_some(at)
    }

    fn follow(
        &mut self,
        replay: &Replay,
        pattern: u32,
        now: Duration,
        pause: Duration,
        until: Option<Duration>,
    ) -> Option<(Duration, Next)> {
        let pattern = replay.patterns.get(pattern as usize)?;
        let silences = pattern.of(&replay.silences);
        loop {
            if let Some(wakes) = self.wakes {
                return match until {
                    None if wakes == Duration::MAX => None,
                    _ => Some(sooner(wakes, Next::Speaks, until)),
                };
            }
            let Some(silence) = silences.get(self.silence as usize) else {
                let again = self.base.saturating_add(pattern.repeats);
                if again < until.unwrap_or(replay.lasts) && !pattern.repeats.is_zero() {
                    (self.base, self.silence) = (again, 0);
                    continue;
                }
                return Some(sooner(now + pause, Next::Talks, until));
            };
            let falls = self.base.saturating_add(pattern.after(silence));
            if falls > now {
                let next =
                    if now + pause < falls { (now + pause, Next::Talks) } else { (falls, Next::Falls(silence.armed)) };
                return Some(sooner(next.0, next.1, until));
            }
            let wakes = falls.saturating_add(pattern.lasts(silence).unwrap_or(Duration::MAX));
            if wakes <= now {
                self.silence += 1;
            } else if silence.armed == Armed::Own {
                self.wakes = Some(wakes);
            } else {
                return Some((now, Next::Falls(silence.armed)));
            }
        }
    }
}

/// The mark, where that comes no later.
fn sooner(at: Duration, next: Next, until: Option<Duration>) -> (Duration, Next) {
    match until {
        Some(until) if until <= at => (until, Next::Mark),
        _ => (at, next),
    }
}
