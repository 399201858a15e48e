//! The act: stale entries go, batch by batch as they are read, so that little time passes between looking and writing.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use plimsoll_ctnetlink::{Change, Changer, EntryKey, Refusal, table_statistics};
use plimsoll_host::monotonic_now;
use plimsoll_model::{Occupancy, StateKey};

use crate::limits::{Ended, Limits};
use crate::pace::{Pace, sleep_until};
use crate::rule::{Certainty, GRACE_SECS, Judgement, Manner};
use crate::second_look::{SECOND_LOOK_AFTER, Sighting};
use crate::tally::{Tally, key};
use crate::walk::Walk;
use crate::{Error, Trimming};

/// Entries that are kept in mind for a second look: about 25 MiB. Of more, the rest waits for another run.
const MOST_AMBIGUOUS: usize = 1 << 18;

/// After so many batches the kernel's count is read again, where the act ends by it.
const BATCHES_A_COUNT: u32 = 16;

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acted {
    /// What was read, as far as it was read; stale are those that were found so at the first look.
    pub tally: Tally,
    /// Entries that were changed, by state.
    pub changed: BTreeMap<StateKey, u64>,
    /// Stale entries that were no longer there when it was their turn.
    pub gone: u64,
    /// Stale entries whose timeout the kernel would not change.
    pub fixed: u64,
    /// Entries that a second look showed to be alive, or gone.
    pub alive: u64,
    /// Ambiguous entries that were not looked at a second time: it ended before, or there were more than can be kept in
    /// mind. For another run.
    pub not_looked_at: u64,
    /// Entries that the kernel counted before.
    pub before: Occupancy,
    /// Why it ended.
    pub ended: Ended,
    /// What was done to entries.
    pub manner: Manner,
    /// When the last entry was changed, on the monotonic clock; `None` where none was.
    pub last_change: Option<Duration>,
}

impl Acted {
    /// Entries that were changed.
    pub fn changed(&self) -> u64 {
        self.changed.values().sum()
    }
}

impl Trimming {
    /// Changes stale entries, each soon after it was read. Ambiguous ones come last, in a second walk some seconds later.
    ///
    /// # Errors
    /// Netlink's. Entries that were changed until then stay changed.
    pub fn act(&self, limits: &Limits<'_>) -> Result<Acted, Error> {
        let mut act = Act::begin(self, limits)?;
        let ambiguous = act.first_walk()?;
        if act.acted.ended != Ended::Complete {
            act.acted.not_looked_at += ambiguous.len() as u64;
        } else if !ambiguous.is_empty() {
            sleep_until(monotonic_now() + SECOND_LOOK_AFTER, limits);
            act.second_walk(ambiguous)?;
        }
        Ok(act.acted)
    }
}

type Ambiguous = HashMap<EntryKey, Sighting>;

/// An act under way.
struct Act<'a> {
    trimming: &'a Trimming,
    limits: &'a Limits<'a>,
    changer: Changer,
    pace: Pace,
    /// How many more may go, by the last count.
    room: Room,
    acted: Acted,
}

/// How many entries may go before few enough are left.
#[derive(Clone, Copy, Debug)]
struct Room {
    left: u64,
    batches: u32,
}

impl<'a> Act<'a> {
    fn begin(trimming: &'a Trimming, limits: &'a Limits<'a>) -> Result<Self, Error> {
        let before = table_statistics()?.occupancy;
        let mut act = Self {
            trimming,
            limits,
            changer: Changer::open()?,
            pace: Pace::of(limits.entries_per_sec),
            room: Room { left: u64::MAX, batches: 0 },
            acted: Acted {
                tally: Tally::default(),
                changed: BTreeMap::new(),
                gone: 0,
                fixed: 0,
                alive: 0,
                not_looked_at: 0,
                before,
                ended: Ended::Complete,
                manner: trimming.manner,
                last_change: None,
            },
        };
        act.measure(before);
        Ok(act)
    }

    /// Changes what is certain, and returns what is not.
    fn first_walk(&mut self) -> Result<Ambiguous, Error> {
        let mut ambiguous = Ambiguous::new();
        let mut certain = Vec::new();
        let mut walk = Walk::begin()?;
        while self.goes_on() {
            certain.clear();
            let Self { trimming, acted, .. } = self;
            let more = walk.next_batch(|dumped, moment| {
                let entry = &dumped.entry;
                let judgement = trimming.rule.judge(entry, moment.unix_nanos);
                acted.tally.count(entry, judgement);
                match judgement {
                    Judgement::Left(_) => {}
                    Judgement::Stale(Certainty::Certain) => certain.push((dumped.key(), key(entry))),
                    Judgement::Stale(Certainty::Ambiguous) if ambiguous.len() < MOST_AMBIGUOUS => {
                        let remaining_secs = entry.remaining_secs.unwrap_or(0);
                        ambiguous.insert(dumped.key(), Sighting::of(remaining_secs, moment.window));
                    }
                    Judgement::Stale(Certainty::Ambiguous) => acted.not_looked_at += 1,
                }
            })?;
            if !more {
                break;
            }
            self.change(&certain)?;
        }
        Ok(ambiguous)
    }

    /// Changes what is still stale and has seen no packet since the first look.
    fn second_walk(&mut self, mut ambiguous: Ambiguous) -> Result<(), Error> {
        let mut silent = Vec::new();
        let mut walk = Walk::begin()?;
        while self.goes_on() && !ambiguous.is_empty() {
            silent.clear();
            let Self { trimming, acted, .. } = self;
            let more = walk.next_batch(|dumped, moment| {
                let entry = &dumped.entry;
                let Some(first) = ambiguous.remove(&dumped.key()) else { return };
                let is_stale = matches!(trimming.rule.judge(entry, moment.unix_nanos), Judgement::Stale(_));
                let second = entry.remaining_secs.map(|secs| Sighting::of(secs, moment.window));
                if is_stale && second.is_some_and(|second| first.is_same_arming(second)) {
                    silent.push((dumped.key(), key(entry)));
                } else {
                    acted.alive += 1;
                }
            })?;
            if !more {
                // What is not there any more has gone by itself.
                self.acted.alive += ambiguous.len() as u64;
                return Ok(());
            }
            self.change(&silent)?;
        }
        self.acted.not_looked_at += ambiguous.len() as u64;
        Ok(())
    }

    /// Whether to go on; says why not.
    fn goes_on(&mut self) -> bool {
        self.pace.wait(self.limits);
        let ended = if self.room.left == 0 { Some(Ended::FewEnough) } else { self.limits.ended() };
        self.acted.ended = ended.unwrap_or(Ended::Complete);
        ended.is_none()
    }

    fn change(&mut self, stale: &[(EntryKey, StateKey)]) -> Result<(), Error> {
        let most = usize::try_from(self.room.left).unwrap_or(usize::MAX);
        let stale = stale.get(..most).unwrap_or(stale);
        if stale.is_empty() {
            return Ok(());
        }
        let change = match self.trimming.manner {
            Manner::Expire => Change::Expire { after_secs: GRACE_SECS },
            Manner::Delete => Change::Delete,
        };
        self.pace.changes(stale.len());
        let keys: Vec<EntryKey> = stale.iter().map(|(key, _)| *key).collect();
        let refused = self.changer.make(change, &keys)?;
        self.acted.last_change = Some(monotonic_now());
        let acted = &mut self.acted;
        for (_, state) in stale {
            *acted.changed.entry(*state).or_default() += 1;
        }
        for refused in &refused {
            if let Some(count) = stale.get(refused.index).and_then(|(_, state)| acted.changed.get_mut(state)) {
                *count -= 1;
            }
            match refused.why {
                Refusal::Gone => acted.gone += 1,
                Refusal::Fixed => acted.fixed += 1,
            }
        }
        acted.changed.retain(|_, count| *count > 0);
        self.count_down((stale.len() - refused.len()) as u64)
    }

    /// Keeps account of how many more may go. The kernel's count is read again now and then, since flows come and go.
    fn count_down(&mut self, changed: u64) -> Result<(), Error> {
        if self.limits.until.is_none() {
            return Ok(());
        }
        self.room.left = self.room.left.saturating_sub(changed);
        self.room.batches += 1;
        if self.room.batches >= BATCHES_A_COUNT || self.room.left == 0 {
            self.room.batches = 0;
            let now = table_statistics()?.occupancy;
            self.measure(now);
        }
        Ok(())
    }

    /// How many more may go, where so many are counted. Entries that were given little time are counted still; after that
    /// time some may not be, and then it ends too early, never too late.
    fn measure(&mut self, counted: Occupancy) {
        if let Some(until) = self.limits.until {
            let counted_still = match self.trimming.manner {
                Manner::Expire => self.acted.changed(),
                Manner::Delete => 0,
            };
            self.room.left = u64::from(counted.0).saturating_sub(counted_still).saturating_sub(u64::from(until.0));
        }
    }
}
