//! The act: stale entries go, batch by batch as they are read, so that little time passes between looking and writing.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use plimsoll_ctnetlink::{Change, Changer, DumpedEntry, EntryKey, Looker, Refusal, table_statistics};
use plimsoll_host::monotonic_now;
use plimsoll_model::{Occupancy, StateKey};

use crate::limits::{Ended, Limits};
use crate::pace::{Pace, sleep_until};
use crate::rule::{Certainty, GRACE_SECS, Judgement, Manner};
use crate::second_look::{SECOND_LOOK_AFTER, Sighting, Window};
use crate::tally::{Tally, key};
use crate::walk::{Walk, unix_nanos};
use crate::{Error, Trimming};

/// Entries that are kept in mind for a second look: about 25 MiB. Of more, the rest waits for another run.
const MOST_AMBIGUOUS: usize = 1 << 18;

/// What was read longer ago is looked at once more before it is changed: where entries are changed slowly (`--rate`), or the
/// process was stopped meanwhile, a packet may have come, and the entry that it armed would be cut to ten seconds.
const FRESH: Duration = Duration::from_millis(250);

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
    looker: Looker,
    pace: Pace,
    /// How many more may go, by the last count.
    room: Room,
    acted: Acted,
}

/// A stale entry.
#[derive(Clone, Copy, Debug)]
struct Stale {
    key: EntryKey,
    state: StateKey,
    certainty: Certainty,
    /// When it was read, at the earliest.
    read_from: Duration,
    /// When it expires, as it was read.
    seen: Sighting,
    /// The same, as it was read the first time.
    first: Sighting,
}

impl Stale {
    fn of(dumped: &DumpedEntry<'_>, judgement: Judgement, read: Window) -> Option<Self> {
        let Judgement::Stale(certainty) = judgement else { return None };
        let seen = Sighting::of(dumped.entry.remaining_secs?, read);
        let (key, state) = (dumped.key(), key(&dumped.entry));
        Some(Self { key, state, certainty, read_from: read.from, seen, first: seen })
    }
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
            looker: Looker::open()?,
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
        let mut stale = Vec::new();
        let mut walk = Walk::begin()?;
        while self.goes_on() {
            stale.clear();
            let Self { trimming, acted, .. } = self;
            let more = walk.next_batch(|dumped, moment| {
                let judgement = trimming.rule.judge(&dumped.entry, moment.unix_nanos);
                acted.tally.count(&dumped.entry, judgement);
                stale.extend(Stale::of(dumped, judgement, moment.window));
            })?;
            if !more {
                break;
            }
            self.look_again(&mut stale)?;
            for one in stale.extract_if(.., |one| one.certainty == Certainty::Ambiguous) {
                self.keep_in_mind(&mut ambiguous, &one);
            }
            self.change(&stale)?;
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
                let Some(first) = ambiguous.remove(&dumped.key()) else { return };
                let judgement = trimming.rule.judge(&dumped.entry, moment.unix_nanos);
                match Stale::of(dumped, judgement, moment.window) {
                    Some(stale) if first.is_same_arming(stale.seen) => silent.push(Stale { first, ..stale }),
                    _ => acted.alive += 1,
                }
            })?;
            if !more {
                // What is not there any more has gone by itself.
                self.acted.alive += ambiguous.len() as u64;
                return Ok(());
            }
            self.look_again(&mut silent)?;
            self.change(&silent)?;
        }
        self.acted.not_looked_at += ambiguous.len() as u64;
        Ok(())
    }

    /// Keeps an ambiguous entry for a second look, if there is room.
    fn keep_in_mind(&mut self, ambiguous: &mut Ambiguous, stale: &Stale) {
        if ambiguous.len() < MOST_AMBIGUOUS {
            ambiguous.insert(stale.key, stale.seen);
        } else {
            self.acted.not_looked_at += 1;
        }
    }

    /// Looks once more at entries that were read too long ago, each by itself, and keeps those that have seen no packet since.
    fn look_again(&mut self, stale: &mut Vec<Stale>) -> Result<(), Error> {
        if stale.first().is_none_or(|first| monotonic_now().saturating_sub(first.read_from) <= FRESH) {
            return Ok(());
        }
        for before in std::mem::take(stale) {
            let from = monotonic_now();
            let Some(now) = self.looker.look(&before.key)? else {
                self.acted.gone += 1;
                continue;
            };
            let judgement = self.trimming.rule.judge(&now.entry, unix_nanos());
            match Stale::of(&now, judgement, Window { from, to: monotonic_now() }) {
                Some(now) if before.first.is_same_arming(now.seen) => stale.push(Stale { first: before.first, ..now }),
                _ => self.acted.alive += 1,
            }
        }
        Ok(())
    }

    /// Whether to go on; says why not.
    fn goes_on(&mut self) -> bool {
        self.pace.wait(self.limits);
        let ended = if self.room.left == 0 { Some(Ended::FewEnough) } else { self.limits.ended() };
        self.acted.ended = ended.unwrap_or(Ended::Complete);
        ended.is_none()
    }

    fn change(&mut self, stale: &[Stale]) -> Result<(), Error> {
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
        let keys: Vec<EntryKey> = stale.iter().map(|one| one.key).collect();
        let refused = self.changer.make(change, &keys)?;
        self.acted.last_change = Some(monotonic_now());
        let acted = &mut self.acted;
        for one in stale {
            *acted.changed.entry(one.state).or_default() += 1;
        }
        for refused in &refused {
            if let Some(count) = stale.get(refused.index).and_then(|one| acted.changed.get_mut(&one.state)) {
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
