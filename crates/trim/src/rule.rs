//! Which entries go. Pure: the entry, the time and all settings are given.

use std::num::NonZeroU64;

use plimsoll_census::{Armings, longest_secs};
use plimsoll_model::{Entry, Extension, Policies, Status, Timeout, Timeouts};
use serde::Serialize;

use crate::{Ground, Selection};

/// Seconds that an entry is left, in which a packet arms it again: never less, unless it is deleted.
pub const GRACE_SECS: u32 = 10;

/// What becomes of entries that go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// They expire after [`GRACE_SECS`], unless a packet comes.
    Expire,
    /// They are deleted at once.
    Delete,
}

/// What is wished.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Which entries are looked at.
    pub selection: Selection,
    /// Timeouts in seconds to hold entries against, in place of those in force.
    pub as_if: Vec<(Timeout, u32)>,
    /// Timeouts in seconds that were in force earlier, beside those in force and those compiled in: the kernel could have
    /// armed an entry with each.
    pub armed: Vec<(Timeout, u32)>,
}

/// Judges entries.
#[derive(Clone, Debug)]
pub struct Rule {
    selection: Selection,
    armings: Armings,
    target: Timeouts,
    policies: Policies,
    manner: Manner,
}

/// What is to become of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It has been idle for longer than the target.
    Stale(Certainty),
    /// It is left as it is.
    Left(Left),
}

/// How a stale entry's idle age is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// Only one timeout could have armed it, or it is closing and nothing is lost with it.
    Certain,
    /// Several could have armed it. All of them say that it is stale; but should another one have armed it, its packets
    /// would show: it is to be looked at a second time.
    Ambiguous,
}

/// Why an entry is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    /// It is not among those that were asked for.
    NotSelected,
    /// It may have seen a packet within the target.
    Fresh,
    /// It expires by itself within [`GRACE_SECS`].
    Expiring,
    /// An accelerator handles it, and it shows no timeout.
    Offloaded,
    /// Its timeout is fixed.
    FixedTimeout,
    /// A helper follows it, or made it, and arms it with times of its own.
    Helper,
    /// There are timeout policies in the namespace, or it is not known whether: any of them may have armed it.
    Policy,
    /// Nothing says how long it has been idle: its timeouts could not be read, none of them gives as much time as it has
    /// left, or it was made later than any of them says.
    Unknown,
}

impl Rule {
    /// What is wished, on this ground.
    pub fn new(ground: &Ground, wish: Wish, manner: Manner) -> Self {
        let Ground { timeouts, policies, uptime_secs, .. } = ground;
        let Wish { selection, as_if, armed } = wish;
        Self {
            selection,
            armings: Armings::over_time(timeouts, &armed, *policies, *uptime_secs),
            target: timeouts.iter_secs().chain(as_if).collect(),
            policies: *policies,
            manner,
        }
    }

    /// Judges an entry as it was seen at a time, in nanoseconds since 1970.
    #[inline]
    pub fn judge(&self, entry: &Entry, seen_unix_nanos: u64) -> Judgement {
        if !self.selection.takes(entry) {
            return Judgement::Left(Left::NotSelected);
        }
        let Some(remaining_secs) = entry.remaining_secs.filter(|_| !entry.is_offloaded()) else {
            return Judgement::Left(Left::Offloaded);
        };
        if let Some(others) = self.armed_by_others(entry) {
            return Judgement::Left(others);
        }
        let Some(target_secs) = longest_secs(&self.target, entry) else {
            return Judgement::Left(Left::Unknown);
        };
        let idle = self.armings.idle_age(entry);
        let Some(high_secs) = idle.high_secs else {
            return Judgement::Left(Left::Unknown);
        };
        if idle.low_secs <= target_secs.max(self.selection.idle_over_secs.unwrap_or(0)) {
            return Judgement::Left(Left::Fresh);
        }
        if is_younger(entry, idle.low_secs, seen_unix_nanos) {
            return Judgement::Left(Left::Unknown);
        }
        if self.manner == Manner::Expire && remaining_secs <= GRACE_SECS {
            return Judgement::Left(Left::Expiring);
        }
        // One timeout gives an interval of one second, for the kernel rounds what remains.
        let is_certain = high_secs - idle.low_secs <= 1 || entry.is_closing();
        Judgement::Stale(if is_certain { Certainty::Certain } else { Certainty::Ambiguous })
    }

    fn armed_by_others(&self, entry: &Entry) -> Option<Left> {
        if entry.status.has(Status::FIXED_TIMEOUT) {
            return Some(Left::FixedTimeout);
        }
        if entry.status.has(Status::EXPECTED)
            || entry.status.has(Status::HELPER)
            || entry.extensions.contains(Extension::Helper)
        {
            return Some(Left::Helper);
        }
        (self.policies != Policies::None).then_some(Left::Policy)
    }
}

/// Whether an entry was made within its idle age: then something else armed it. Only where the kernel keeps when entries
/// were made (`nf_conntrack_timestamp`).
fn is_younger(entry: &Entry, idle_secs: u32, seen_unix_nanos: u64) -> bool {
    const NANOS: u64 = 1_000_000_000;
    let age_nanos = |started: NonZeroU64| seen_unix_nanos.saturating_sub(started.get());
    entry.started_unix_nanos.is_some_and(|started| age_nanos(started) / NANOS < u64::from(idle_secs))
}
