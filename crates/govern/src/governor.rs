//! What to do: a pure function of what was read and of what was done before.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plimsoll_model::Timeout;

use crate::rules::{BadRules, Floors, Rules};
use crate::scale::Scale;
use crate::step::{Outlook, Reading, Setting, Step, Why};

/// Decides for one namespace. Times are of any clock that does not go back.
#[derive(Clone, Debug)]
pub struct Governor {
    rules: Rules,
    floors: Floors,
    scale: Scale,
    held: BTreeMap<Timeout, Held>,
    /// Timeouts that somebody else has changed.
    left: BTreeSet<Timeout>,
    changed_at: Option<Duration>,
    growth: Growth,
    trimmed: Option<LastTrim>,
}

/// A timeout that is shrunk.
#[derive(Clone, Copy, Debug)]
struct Held {
    base_secs: u32,
    secs: u32,
}

/// When timeouts grow again.
#[derive(Clone, Copy, Debug)]
struct Growth {
    /// Since when the table has asked for less, and for how much at most.
    asked: Option<(Duration, Scale)>,
    /// When they last grew.
    grew_at: Option<Duration>,
    /// For how long it must ask.
    patience: Duration,
}

/// The last trim.
#[derive(Clone, Copy, Debug)]
struct LastTrim {
    began: Duration,
    /// The processor time that it took; none while that is not known.
    cpu: Duration,
}

/// How many times as long as [`Rules::restore_after`] is waited at most.
const MOST_PATIENCE: u32 = 16;

/// Trimming takes one part in so many of a processor's time, at most.
const TRIM_COST: u32 = 20;

impl Governor {
    /// At rest: nothing is shrunk.
    pub fn new(rules: Rules, floors: Floors) -> Result<Self, BadRules> {
        let rules = rules.checked()?;
        let growth = Growth { asked: None, grew_at: None, patience: rules.restore_after };
        Ok(Self {
            rules,
            floors,
            scale: Scale::WHOLE,
            held: BTreeMap::new(),
            left: BTreeSet::new(),
            changed_at: None,
            growth,
            trimmed: None,
        })
    }

    /// What is to be done now, in this order. All of it is taken for done, unless [`Governor::leave`] or [`Governor::ended`] says
    /// otherwise.
    pub fn decide(&mut self, now: Duration, reading: &Reading) -> Vec<Step> {
        let why = Why { utilization: reading.occupancy.utilization(reading.capacity), outlook: reading.outlook };
        let mut steps = self.leave_what_others_changed(reading);
        if self.held.is_empty() && self.scale != Scale::WHOLE {
            steps.push(Step::Restore { from: self.scale, why });
            self.ended(now);
        }
        let wanted = self.wanted(why);
        if let Some(scale) = self.next_scale(now, wanted) {
            steps.extend(self.rescale(now, scale, reading, why));
        }
        if reading.outlook == Outlook::Saturates && self.may_trim(now, why) {
            self.trimmed = Some(LastTrim { began: now, cpu: Duration::ZERO });
            steps.push(Step::Trim { as_if: self.trimmed_as_if(reading), why });
        }
        steps
    }

    /// How far timeouts are shrunk.
    pub const fn scale(&self) -> Scale {
        self.scale
    }

    /// The values below which no timeout goes.
    pub const fn floors(&self) -> &Floors {
        &self.floors
    }

    /// Others from now on. Nothing may be shrunk.
    pub(crate) fn keep_above(&mut self, floors: Floors) {
        self.floors = floors;
    }

    /// Whether a timeout is what this governor has set.
    pub fn holds(&self, timeout: Timeout) -> bool {
        self.held.contains_key(&timeout)
    }

    /// A timeout was found to be somebody else's while it was being set.
    pub fn leave(&mut self, timeout: Timeout) {
        self.held.remove(&timeout);
        self.left.insert(timeout);
    }

    /// All timeouts are what they were, whoever saw to that, or will be: nothing is changed for [`Rules::at_most_every`].
    pub fn ended(&mut self, now: Duration) {
        self.scale = Scale::WHOLE;
        self.held.clear();
        self.changed_at = Some(now);
        self.growth.asked = None;
    }

    /// A trim that began at a time took so much of a processor's time.
    pub fn trimmed(&mut self, began: Duration, cpu: Duration) {
        self.trimmed = Some(LastTrim { began, cpu });
    }

    /// The less room is left, the sooner it may be trimmed again: a table that fills within a minute would be full before the next trim.
    fn may_trim(&self, now: Duration, why: Why) -> bool {
        let Some(LastTrim { began, cpu }) = self.trimmed else { return true };
        let room = (1.0 - why.utilization.unwrap_or(0.0)) / (1.0 - self.rules.start);
        let pause = self.rules.trim_every.mul_f64(room.clamp(0.0, 1.0));
        now.saturating_sub(began) >= pause.max(cpu.saturating_mul(TRIM_COST))
    }

    fn leave_what_others_changed(&mut self, reading: &Reading) -> Vec<Step> {
        // What was not read is not judged.
        let changed = self.held.iter().filter_map(|(timeout, held)| {
            let found_secs = reading.timeouts.get_secs(*timeout).filter(|found| *found != held.secs)?;
            Some((*timeout, held.secs, found_secs))
        });
        let changed: Vec<_> = changed.collect();
        let leave = |(timeout, ours_secs, found_secs)| {
            self.leave(timeout);
            Step::Leave { timeout, ours_secs, found_secs }
        };
        changed.into_iter().map(leave).collect()
    }

    fn wanted(&self, why: Why) -> Scale {
        let utilization = match (why.utilization, why.outlook) {
            (None, _) => return Scale::WHOLE,
            (Some(utilization), Outlook::Room) => utilization,
            // As if it were full already.
            (Some(utilization), Outlook::Saturates) => utilization.max(1.0),
        };
        Scale::at(utilization, &self.rules)
    }

    /// The scale to go to now, if any: a lower one at once, a higher one after it was asked for long enough.
    fn next_scale(&mut self, now: Duration, wanted: Scale) -> Option<Scale> {
        let may_change = self.changed_at.is_none_or(|changed| now.saturating_sub(changed) >= self.rules.at_most_every);
        match wanted.cmp(&self.scale) {
            Ordering::Equal => {
                self.growth.asked = None;
                None
            }
            Ordering::Less => {
                self.growth.asked = None;
                may_change.then_some(wanted)
            }
            Ordering::Greater => {
                let (since, most) = self.growth.asked.unwrap_or((now, wanted));
                let most = most.min(wanted);
                self.growth.asked = Some((since, most));
                let asked_for_long = now.saturating_sub(since) >= self.growth.patience;
                (asked_for_long && may_change).then_some(most)
            }
        }
    }

    fn rescale(&mut self, now: Duration, to: Scale, reading: &Reading, why: Why) -> Option<Step> {
        let from = self.scale;
        if from == Scale::WHOLE {
            self.held = self.governable(reading);
            if self.held.is_empty() {
                return None;
            }
        }
        if to < from {
            self.growth.shrank(now, &self.rules);
        } else {
            self.growth.grew(now);
        }
        if to == Scale::WHOLE {
            self.ended(now);
            return Some(Step::Restore { from, why });
        }
        (self.scale, self.changed_at) = (to, Some(now));
        let floors = &self.floors;
        let settings = self.held.iter_mut().map(|(timeout, held)| {
            let floor_secs = floors.get(timeout).copied().unwrap_or(held.base_secs);
            held.secs = to.secs(held.base_secs, floor_secs);
            Setting { timeout: *timeout, base_secs: held.base_secs, floor_secs, secs: held.secs }
        });
        Some(Step::Set { from, to, settings: settings.collect(), why })
    }

    /// Timeouts that can be set, are above their floors, and are nobody else's.
    fn governable(&self, reading: &Reading) -> BTreeMap<Timeout, Held> {
        let above = self.above_their_floors(reading).filter(|(timeout, ..)| timeout.sysctl().is_some());
        above.map(|(timeout, secs, _)| (timeout, Held { base_secs: secs, secs })).collect()
    }

    fn trimmed_as_if(&self, reading: &Reading) -> Vec<(Timeout, u32)> {
        self.above_their_floors(reading).map(|(timeout, _, floor)| (timeout, floor)).collect()
    }

    /// With what is in force, and the floor.
    fn above_their_floors(&self, reading: &Reading) -> impl Iterator<Item = (Timeout, u32, u32)> {
        let ours = self.floors.iter().filter(|(timeout, _)| !self.left.contains(timeout));
        ours.filter_map(|(timeout, floor)| {
            let floor = (*floor).max(1);
            let secs = reading.timeouts.get_secs(*timeout).filter(|secs| *secs > floor)?;
            Some((*timeout, secs, floor))
        })
    }
}

impl Growth {
    /// Where timeouts shrink again soon after they grew, they grew too soon: next time it takes longer. Else it takes less again.
    fn shrank(&mut self, now: Duration, rules: &Rules) {
        let Some(grew_at) = self.grew_at.take() else { return };
        let too_soon = now.saturating_sub(grew_at) < self.patience.saturating_mul(2);
        let most = rules.restore_after.saturating_mul(MOST_PATIENCE);
        self.patience = if too_soon {
            self.patience.saturating_mul(2).min(most)
        } else {
            (self.patience / 2).max(rules.restore_after)
        };
    }

    fn grew(&mut self, now: Duration) {
        self.grew_at = Some(now);
        self.asked = None;
    }
}
