//! Taking the steps, in one network namespace.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plimsoll_apply::watchdog::Guardian;
use plimsoll_apply::{Author, Because, Change, Governed, Observer, Phase, Place, RolledBack, Set};
use plimsoll_host::monotonic_now;
use plimsoll_model::{Edit, Sysctl, Timeout};

use crate::act::{Act, Effect, What};
use crate::error::Error;
use crate::governor::Governor;
use crate::rules::Floors;
use crate::scale::Scale;
use crate::step::{Reading, Setting, Step, Why};
use crate::trim;

/// Where a steward works, and by what means.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The network namespace, as `check` calls it: `host`, a name, an inode, or `this`.
    pub namespace: String,
    /// The folder of journals.
    pub state_dir: PathBuf,
    /// How the watchdog is started. Its timer is not used: there is no deadline.
    pub guardian: Guardian,
    /// Who asked for it.
    pub by: Author,
}

/// Does what a governor wants. Its timeouts come back when it ends, is dropped, or its process is killed.
#[derive(Debug)]
pub struct Steward {
    governor: Governor,
    seat: Seat,
    /// What is set, and by which application.
    tenure: Option<Tenure>,
    /// A reading that began earlier tells of timeouts that are no longer in force.
    settled_at: Duration,
    /// Timeouts that were read, and that others have set: entries may have been armed with them.
    seen: BTreeSet<(Timeout, u32)>,
    /// The failure that was told last.
    told: Option<String>,
}

#[derive(Clone, Debug)]
enum Tenure {
    Governs(Governed),
    /// It is to be undone, and could not be yet.
    Ending(Governed, Because),
}

/// What can go wrong while timeouts are being set.
enum NotSet {
    Ended(Because),
    Failed(Error),
}

impl From<plimsoll_apply::Error> for NotSet {
    fn from(error: plimsoll_apply::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Steward {
    /// At rest.
    pub fn new(governor: Governor, seat: Seat) -> Self {
        Self { governor, seat, tenure: None, settled_at: Duration::ZERO, seen: BTreeSet::new(), told: None }
    }

    /// How far timeouts are shrunk.
    pub const fn scale(&self) -> Scale {
        self.governor.scale()
    }

    /// Takes what was read, and does what is to be done: it may take seconds, where entries are trimmed. `began` is when the reading
    /// began, on the monotonic clock; one that began before the last act had ended is passed over.
    pub fn tick(&mut self, began: Duration, reading: &Reading, observer: Observer<'_>) -> Vec<Act> {
        if began < self.settled_at {
            return Vec::new();
        }
        let others = reading.timeouts.iter_secs().filter(|(timeout, _)| !self.governor.holds(*timeout));
        self.seen.extend(others);
        let mut acts = Vec::new();
        if self.notice(began, &mut acts, observer).is_continue() {
            for step in self.governor.decide(began, reading) {
                acts.extend(self.take(step, observer));
            }
        }
        if !acts.is_empty() {
            self.settled_at = monotonic_now();
        }
        acts
    }

    /// No timeout goes below these from now on. Where they are others than before, what is set is undone, and the next reading
    /// begins anew; what others changed is left as before.
    pub fn keep_above(&mut self, floors: Floors, observer: Observer<'_>) -> Vec<Act> {
        if *self.governor.floors() == floors {
            return Vec::new();
        }
        let acts = if self.tenure.is_some() { self.end(observer) } else { Vec::new() };
        self.governor.keep_above(floors);
        if !acts.is_empty() {
            self.settled_at = monotonic_now();
        }
        acts
    }

    /// Undoes what is set. It may go on afterwards, from rest.
    pub fn end(&mut self, observer: Observer<'_>) -> Vec<Act> {
        self.governor.ended(monotonic_now());
        self.undo(Because::Interrupted, "governing ends", observer).into_iter().collect()
    }

    /// Looks whether somebody else has undone what was set, and undoes what could not be undone before. While that, or what would
    /// undo it, is not known, nothing more is done.
    fn notice(&mut self, now: Duration, acts: &mut Vec<Act>, observer: Observer<'_>) -> ControlFlow<()> {
        match self.tenure.clone() {
            None => ControlFlow::Continue(()),
            Some(Tenure::Ending(_, because)) => {
                acts.extend(self.undo(because, "it could not be undone before", observer));
                if self.tenure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
            Some(Tenure::Governs(governed)) => match governed.application() {
                Ok(application) => {
                    if application.phase != Phase::Applying {
                        let because = application.undone_because.last().cloned().unwrap_or(Because::Asked);
                        acts.push(self.give_way(now, governed.id(), &because));
                    }
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    acts.extend(self.failed("its journal has to be read", &error.into()));
                    ControlFlow::Break(())
                }
            },
        }
    }

    fn take(&mut self, step: Step, observer: Observer<'_>) -> Vec<Act> {
        match step {
            Step::Set { from, to, settings, why } => self.set(from, to, &settings, why, observer),
            Step::Restore { why, .. } => self.undo(Because::Eased, &why.to_string(), observer).into_iter().collect(),
            Step::Trim { as_if, why } => self.trim(&as_if, why).into_iter().collect(),
            Step::Leave { timeout, ours_secs, found_secs } => self.leave(timeout, ours_secs, found_secs, observer),
        }
    }

    fn set(&mut self, from: Scale, to: Scale, settings: &[Setting], why: Why, observer: Observer<'_>) -> Vec<Act> {
        match self.try_to_set(settings, observer) {
            Ok((application, others)) => {
                self.told = None;
                let found = |sysctl: Sysctl| others.iter().find(|(of, _)| *of == sysctl).map(|(_, found)| *found);
                let (mut secs, mut leaves) = (Vec::new(), Vec::new());
                for one in settings {
                    let Some(sysctl) = Sysctl::of_timeout(one.timeout) else { continue };
                    match found(sysctl) {
                        None => secs.push((sysctl, one.secs)),
                        Some(found_secs) => {
                            self.governor.leave(one.timeout);
                            leaves.extend(left(one.timeout, one.secs, found_secs));
                        }
                    }
                }
                let what = if to < from { What::Shrink } else { What::Restore };
                let set = act(what, why.to_string(), Effect::Set { application, from, to, secs });
                [set].into_iter().chain(leaves).collect()
            }
            Err(NotSet::Ended(because)) => {
                let id = self.governed().map_or(0, Governed::id);
                vec![self.give_way(monotonic_now(), id, &because)]
            }
            Err(NotSet::Failed(error)) => {
                self.governor.ended(monotonic_now());
                let failed = self.failed(&why.to_string(), &error);
                let because = Because::Failed { answer: error.to_string() };
                let undone = self.undo(because, "not all could be set", observer);
                failed.into_iter().chain(undone).collect()
            }
        }
    }

    /// Sets timeouts; returns the application, and those that are somebody else's.
    fn try_to_set(
        &mut self,
        settings: &[Setting],
        observer: Observer<'_>,
    ) -> Result<(u32, Vec<(Sysctl, u32)>), NotSet> {
        let governed = match self.governed().cloned() {
            Some(governed) if !governed.is_long() => governed,
            Some(long) => {
                long.end(Because::Continued, observer)?;
                self.tenure = None;
                self.begin(settings, observer)?
            }
            None => self.begin(settings, observer)?,
        };
        let to = settings.iter().filter_map(|one| Some((Sysctl::of_timeout(one.timeout)?, one.secs)));
        let to: Vec<_> = to.collect();
        match governed.set(&to, observer)? {
            Set::Moved { left } => Ok((governed.id(), left)),
            Set::Ended(because) => Err(NotSet::Ended(because)),
        }
    }

    fn begin(&mut self, settings: &[Setting], observer: Observer<'_>) -> Result<Governed, plimsoll_apply::Error> {
        let Seat { namespace, state_dir, guardian, by } = &self.seat;
        let least = settings.iter().filter_map(|one| {
            let sysctl = Sysctl::of_timeout(one.timeout)?;
            let edit = Edit::Sysctl { sysctl, from: one.base_secs, to: one.floor_secs };
            Some(Change { edit, why: "so far it may be shrunk while the table fills".to_string() })
        });
        let place = Place::named(namespace)?;
        let governed = Governed::begin(state_dir, place, least.collect(), by.clone(), guardian, observer)?;
        self.tenure = Some(Tenure::Governs(governed.clone()));
        Ok(governed)
    }

    fn governed(&self) -> Option<&Governed> {
        match &self.tenure {
            Some(Tenure::Governs(governed) | Tenure::Ending(governed, _)) => Some(governed),
            None => None,
        }
    }

    /// Undoes what is set, if anything is. What cannot be undone now is tried again.
    fn undo(&mut self, because: Because, reason: &str, observer: Observer<'_>) -> Option<Act> {
        let (Tenure::Governs(governed) | Tenure::Ending(governed, _)) = self.tenure.take()?;
        match governed.end(because.clone(), observer) {
            Ok(RolledBack { application, .. }) => {
                self.told = None;
                let remaining = application.remaining().into_iter().map(ToString::to_string).collect();
                Some(act(What::Restore, reason.to_string(), Effect::Restored { application: governed.id(), remaining }))
            }
            Err(error) => {
                self.tenure = Some(Tenure::Ending(governed, because));
                self.failed(reason, &error.into())
            }
        }
    }

    fn give_way(&mut self, now: Duration, application: u32, because: &Because) -> Act {
        self.tenure = None;
        self.governor.ended(now);
        act(What::GiveWay, because.to_string(), Effect::Restored { application, remaining: Vec::new() })
    }

    /// Has the journal know that a timeout is somebody else's. Where it cannot be written, the undo compares all the same.
    fn leave(&mut self, timeout: Timeout, ours_secs: u32, found_secs: u32, observer: Observer<'_>) -> Vec<Act> {
        let noted = match (self.governed(), Sysctl::of_timeout(timeout)) {
            (Some(governed), Some(sysctl)) => governed.leave(sysctl, found_secs, observer),
            _ => Ok(()),
        };
        let failed = noted.err().and_then(|error| self.failed("a timeout is somebody else's", &error.into()));
        left(timeout, ours_secs, found_secs).into_iter().chain(failed).collect()
    }

    fn trim(&mut self, as_if: &[(Timeout, u32)], why: Why) -> Option<Act> {
        let began = monotonic_now();
        let trimmed = trim::trim(&self.seat.state_dir, &self.seat.namespace, as_if, &self.seen);
        match trimmed {
            Ok(trimmed) => {
                self.governor.trimmed(began, Duration::from_millis(trimmed.cpu_ms));
                Some(act(What::Trim, why.to_string(), Effect::Trimmed(trimmed)))
            }
            Err(error) => self.failed(&why.to_string(), &error),
        }
    }

    /// Tells a failure, unless it was the last one that was told.
    fn failed(&mut self, reason: &str, error: &Error) -> Option<Act> {
        let answer = error.to_string();
        if self.told.as_ref() == Some(&answer) {
            return None;
        }
        self.told = Some(answer.clone());
        Some(act(What::Fail, reason.to_string(), Effect::Failed { answer }))
    }
}

impl Drop for Steward {
    fn drop(&mut self) {
        // What fails here the watchdog does when the process ends.
        self.end(&|_, _| {});
    }
}

fn left(timeout: Timeout, ours_secs: u32, found_secs: u32) -> Option<Act> {
    let sysctl = Sysctl::of_timeout(timeout)?;
    let reason = format!("somebody else has changed {sysctl}, which was set to {ours_secs}");
    Some(act(What::Leave, reason, Effect::Left { sysctl, found_secs }))
}

fn act(what: What, reason: String, effect: Effect) -> Act {
    let at_unix_secs = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Act { at_unix_secs, what, reason, effect }
}
