//! Where the number of a table's entries leads.

use std::collections::BTreeMap;

use plimsoll_model::{Capacity, Coverage, Homogeneity, Interval, NamespaceSnapshot, StateKey};
use serde::{Deserialize, Serialize};

use crate::arrivals::rate_within;
use crate::course::{Course, sum};
use crate::dating::age_since_made;
use crate::flow::MOST_UNDATED;
use crate::poisson;
use crate::slope::{Of, growth};
use crate::table::Table;

/// Where the number of entries leads, at the churn of now and with the timeouts in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outlook {
    /// The table is full now.
    Full,
    /// It rises, falls or stays, and then stays.
    LevelsOff {
        /// Which way it goes.
        direction: Direction,
        /// Entries then, as the kernel counts them.
        entries: Interval,
        /// Entries over capacity then; `None` without a limit.
        utilization: Option<Interval>,
        /// After so many seconds it is there but for a fiftieth.
        within_secs: f64,
        /// So far ahead only, where that is known of no longer: what cannot be dated may go on otherwise.
        for_secs: Option<f64>,
        /// What the statement rests on beside what was counted.
        assuming: Assumption,
    },
    /// It reaches the capacity.
    FullIn {
        /// Most likely after so many seconds.
        secs: f64,
        /// Not before.
        at_least_secs: f64,
        /// Not after; `None` where it may not fill at all.
        at_most_secs: Option<f64>,
        /// What the statement rests on beside what was counted.
        assuming: Assumption,
    },
    /// It cannot be said.
    NotKnown {
        /// Why.
        because: String,
        /// What would tell more.
        needs: Needs,
    },
}

/// What it takes to say where a number leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Needs {
    /// Entries counted for longer: half a minute shows slopes that a second does not.
    LongerWatch,
    /// More entries read.
    LargerSample,
    /// Nothing that a reading could do.
    Time,
}

/// Which way a number goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Up.
    Rises,
    /// Down.
    Falls,
    /// Neither, as far as can be told.
    Stays,
}

/// What becomes of the entries that cannot be dated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Assumption {
    /// There are none.
    Nothing,
    /// They stay as many as they are.
    UndatedStay {
        /// Their share of the entries now.
        share: f64,
    },
    /// They grow as they were seen to.
    UndatedGrow {
        /// Entries a second: what the count grew by beyond what can be dated.
        per_sec: Interval,
        /// So far ahead that may be carried on: twice the longest time that an entry was seen to be held.
        for_secs: f64,
    },
}

/// With fewer entries drawn of a table that was not read whole, nothing is foretold: a fifth of them more or less is
/// chance.
pub(crate) const FEWEST_DRAWN: usize = 200;

pub(crate) fn outlook(ns: &NamespaceSnapshot, table: &Table<'_>) -> Outlook {
    let limit = ns.capacity.and_then(Capacity::limit).map(f64::from);
    if let (Some(occupancy), Some(limit)) = (ns.occupancy, limit)
        && f64::from(occupancy.0) >= limit
    {
        return Outlook::Full;
    }
    if let Homogeneity::GcPressure { .. } | Homogeneity::Uneven { .. } = table.census.homogeneity {
        let because = "parts of the table differ: it is being cleared under pressure, or changed while it was read";
        return Outlook::NotKnown { because: because.to_string(), needs: Needs::Time };
    }
    if matches!(table.census.coverage, Coverage::Sample { .. }) && table.census.drawn.len() < FEWEST_DRAWN {
        let because = format!("too few entries were read: {}", table.census.drawn.len());
        return Outlook::NotKnown { because, needs: Needs::LargerSample };
    }
    let mut course = Course::of(table);
    let now = course.entries_in(0.0).value;
    let undated = course.undated();
    let residual = residual(ns, table);
    let moves = |residual: &Interval| residual.low > 0.0 || residual.high < 0.0;
    let assuming = match residual {
        Some(per_sec) if moves(&per_sec) || undated > MOST_UNDATED * now => {
            course.growth_per_sec = per_sec;
            Assumption::UndatedGrow { per_sec, for_secs: 2.0 * longest_hold_secs(table) }
        }
        _ if undated == 0.0 => Assumption::Nothing,
        _ if undated <= MOST_UNDATED * course.entries_in(course.settles_secs()).value => {
            Assumption::UndatedStay { share: undated / now }
        }
        _ => {
            let because = format!("{}, and how long those are held one reading cannot tell", most_undated(table));
            return Outlook::NotKnown { because, needs: Needs::LongerWatch };
        }
    };
    lead(&course, assuming, now, limit, watched_secs(ns))
}

/// Follows the course as far as it may be followed, or to the limit.
fn lead(course: &Course, assuming: Assumption, now: f64, limit: Option<f64>, watched_secs: f64) -> Outlook {
    const STEPS: u32 = 120;
    const SETTLED: f64 = 0.02;
    /// Nothing is foretold for a moment only.
    const HORIZON_SECS: f64 = 120.0;
    let settles = course.settles_secs().max(watched_secs).max(HORIZON_SECS);
    let until = match assuming {
        Assumption::UndatedGrow { per_sec, for_secs } if per_sec.low > 0.0 => for_secs.max(1.0),
        Assumption::UndatedGrow { for_secs, .. } => settles.min(for_secs.max(1.0)),
        Assumption::Nothing | Assumption::UndatedStay { .. } => settles,
    };
    let times = (1..=STEPS).map(|step| until * f64::from(step) / f64::from(STEPS));
    let path: Vec<_> = times.map(|secs| (secs, course.entries_in(secs))).collect();
    let reaches = |of: &dyn Fn(&Interval) -> f64| {
        let limit = limit?;
        path.iter().find(|(_, entries)| of(entries) >= limit).map(|(secs, _)| *secs)
    };
    if let Some(secs) = reaches(&|entries| entries.value) {
        let at_least_secs = reaches(&|entries| entries.high).unwrap_or(secs) - until / f64::from(STEPS);
        return Outlook::FullIn { secs, at_least_secs, at_most_secs: reaches(&|entries| entries.low), assuming };
    }
    let level = course.entries_in(until);
    if let Some((because, needs)) = doubt(&assuming, &level, until, settles, limit) {
        return Outlook::NotKnown { because, needs };
    }
    let off = |entries: &Interval| (entries.value - level.value).abs() > SETTLED * level.value.max(1.0);
    let within_secs = path.iter().rev().find(|(_, entries)| off(entries)).map_or(0.0, |(secs, _)| *secs);
    let direction = if level.low > now {
        Direction::Rises
    } else if level.high < now {
        Direction::Falls
    } else {
        Direction::Stays
    };
    let of = |limit: f64| Interval { low: level.low / limit, value: level.value / limit, high: level.high / limit };
    let for_secs = matches!(assuming, Assumption::UndatedGrow { .. }).then_some(until);
    Outlook::LevelsOff { direction, entries: level, utilization: limit.map(of), within_secs, for_secs, assuming }
}

/// Why a level that was worked out is nothing to state.
fn doubt(
    assuming: &Assumption,
    level: &Interval,
    until: f64,
    settles: f64,
    limit: Option<f64>,
) -> Option<(String, Needs)> {
    /// Of the capacity.
    const UNCERTAIN: f64 = 0.25;
    let held = format!("entries were not seen to be held for longer than {:.0} s", until / 2.0);
    match assuming {
        Assumption::UndatedGrow { per_sec, .. } if per_sec.low > 0.0 => {
            let (low, high) = (per_sec.low, per_sec.high);
            Some((
                format!(
                    "what cannot be dated grows by {} to {} entries a second, and {held}",
                    grouped(low),
                    grouped(high)
                ),
                Needs::Time,
            ))
        }
        Assumption::UndatedGrow { .. } if until < settles => {
            Some((format!("how long most are held cannot be told, and {held}"), Needs::Time))
        }
        _ if limit.is_some_and(|limit| level.half_width() > UNCERTAIN * limit) => Some((
            format!(
                "in {until:.0} s it may be anything between {} and {} entries, by {}",
                grouped(level.low),
                grouped(level.high),
                most_uncertain(assuming)
            ),
            Needs::LongerWatch,
        )),
        _ => None,
    }
}

/// What leaves a level open.
fn most_uncertain(assuming: &Assumption) -> String {
    match assuming {
        Assumption::UndatedGrow { per_sec, .. } => {
            let moves = per_sec.high.max(-per_sec.low);
            format!("how fast what cannot be dated moves: within {} entries a second either way", grouped(moves))
        }
        Assumption::Nothing | Assumption::UndatedStay { .. } => {
            "how many entries have expired and are still counted, and by how fast others come".to_string()
        }
    }
}

/// A number of entries, in groups of three digits.
fn grouped(entries: f64) -> String {
    let digits = format!("{entries:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("−", digits));
    let mut text = sign.to_string();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn watched_secs(ns: &NamespaceSnapshot) -> f64 {
    ns.change.as_ref().map_or(0.0, |change| change.watched.as_secs_f64())
}

/// What the entries that cannot be dated gain a second: what all really gained, less what the dated ones did.
fn residual(ns: &NamespaceSnapshot, table: &Table<'_>) -> Option<Interval> {
    let backlog = match table.census.coverage {
        // The count was taken just before the dump.
        Coverage::Complete => ns.occupancy.map(|counted| (f64::from(counted.0) - table.census.read as f64).max(0.0)),
        Coverage::Sample { .. } => None,
    };
    let growth = growth(&ns.change.as_ref()?.course, backlog)?;
    let came = came_per_sec(table, watched_secs(ns));
    let expire = expire_per_sec(table);
    // Of what expired, what had not been taken out of the count already adds to what is left for the rest.
    let gone = match growth.of {
        Of::Live => expire,
        Of::Counted { expired_per_sec } => Interval {
            low: expired_per_sec.map_or(0.0, |still_counted| (expire.low - still_counted).max(0.0)),
            value: expire.value / 2.0,
            high: expire.high,
        },
    };
    // What takes the port of an older entry takes its place too, and adds none.
    let replaced = table.replaced();
    let value = growth.per_sec.value - came.value / replaced.likely + gone.value;
    // Chance adds up by its squares; what is not known at all may lie all on one side.
    let chance = |growth: f64, came: f64| growth.hypot(came);
    let low = growth.per_sec.value - came.value + gone.low
        - chance(growth.per_sec.value - growth.per_sec.low, came.high - came.value);
    let high = growth.per_sec.value - came.value / replaced.most
        + gone.high
        + chance(growth.per_sec.high - growth.per_sec.value, came.value - came.low);
    // Where it may be nothing, that is the simplest.
    Some(Interval { low, value: if low <= 0.0 && high >= 0.0 { 0.0 } else { value }, high })
}

/// How many dated entries came a second while the count was watched.
fn came_per_sec(table: &Table<'_>, watched_secs: f64) -> Interval {
    let mut by_series = BTreeMap::<_, (u32, Vec<_>)>::new();
    for entry in &table.dated {
        let of = by_series.entry(entry.dated.series).or_insert((entry.dated.timeout_secs, Vec::new()));
        of.1.push((entry.dated.age_secs, entry.weight));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of seconds, not negative")]
    let watched_secs = watched_secs.round() as u32;
    let of_series = by_series.into_iter().map(|(series, (timeout_secs, aged))| {
        let youngest_secs = series.youngest_secs();
        let longest_secs = timeout_secs.saturating_sub(youngest_secs + 1).max(1);
        rate_within(&aged, youngest_secs, watched_secs.clamp(1, longest_secs), &table.per_drawn)
    });
    sum(&of_series.collect::<Vec<_>>())
}

/// How many dated entries expire a second: the next ones, and so, if the churn was the same before, the last ones.
fn expire_per_sec(table: &Table<'_>) -> Interval {
    const NEXT_SECS: f64 = 10.0;
    let next = table.dated.iter().filter(|entry| entry.remaining_secs() < NEXT_SECS).count() as u64;
    let (low, high) = if next == 0 { (0.0, 0.0) } else { poisson::expected(next) };
    let per_sec = |entries: f64, per_drawn: f64| entries * per_drawn / NEXT_SECS;
    Interval {
        low: per_sec(low, table.per_drawn.low),
        value: per_sec(next as f64, table.per_drawn.value),
        high: per_sec(high, table.per_drawn.high),
    }
}

/// The longest time for which an entry has certainly been there.
fn longest_hold_secs(table: &Table<'_>) -> f64 {
    let read_at = table.census.read_at_unix_nanos.map(std::num::NonZeroU64::get);
    let of_drawn = table.census.drawn.iter().map(|drawn| {
        let made = read_at.and_then(|read_at| age_since_made(&drawn.entry, read_at));
        made.unwrap_or(0.0).max(f64::from(drawn.idle.low_secs))
    });
    of_drawn.fold(0.0, f64::max)
}

/// The state that most of those entries are in that cannot be dated.
fn most_undated(table: &Table<'_>) -> String {
    let mut states = BTreeMap::<StateKey, usize>::new();
    for drawn in &table.undated {
        let key = StateKey { protocol: drawn.entry.original.protocol, state: drawn.entry.state };
        *states.entry(key).or_default() += 1;
    }
    let Some((state, count)) = states.into_iter().max_by_key(|(_, count)| *count) else { return "some".to_string() };
    format!("{:.0}% are {state}", 100.0 * count as f64 / table.drawn().max(1) as f64)
}
