//! Whose entries are read.
//!
//! A dump walks the whole host's hash, however few entries match, and holds softirqs off between matches: measured on a
//! hash of 262,144 buckets, 11 ms in an empty namespace and 55 ms with 262,000 entries elsewhere, while a dump that finds
//! entries yields at each full datagram. So a table is read only where it was asked for or where there is much to see.

use plimsoll_model::{Buckets, Counter, NamespaceSnapshot, Occupancy, Relation};

/// Occupancy over capacity from which a namespace's entries are worth reading: from there on a cause is named.
const WORTH_READING: f64 = 0.1;

/// Occupancy over capacity from which a sample is not enough: gc under pressure, which spoils samples, begins at 95 %.
const NEARLY_FULL: f64 = 0.9;

/// In a datagram of a dump there is room for about this many entries; so many matches, and the walk yields.
const ENTRIES_A_DATAGRAM: u64 = 120;

/// Buckets that a dump may walk without yielding: about 1.5 ms at 40 ns each.
const BUCKETS_WITHOUT_YIELDING: u64 = 32_768;

/// A table that will be worth reading after this time at the pace of the interval is worth it now: the time for which
/// the kernel, by default, keeps the entry of a connection that is over or was not answered.
const AHEAD_SECS: f64 = 120.0;

/// Entries that a table has to gain within the interval to be growing: fewer come and go anywhere.
const GROWING: i64 = 100;

/// Why a namespace's entries are read, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Not at all.
    Skip,
    /// Enough of them to know the shares.
    Sample,
    /// A sample first, for an answer at once, and then all.
    All,
}

/// Whether this namespace is the one that was asked for, by name or by being the only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    ByName,
    AmongAll,
}

pub(crate) fn choose(ns: &NamespaceSnapshot, asked: Asked, buckets: Option<Buckets>) -> Choice {
    let utilization = ns.utilization();
    if ns.occupancy.is_none_or(|occupancy| occupancy.0 == 0) {
        // The walk would find nothing, and hold up packets all the while.
        return Choice::Skip;
    }
    if refuses(ns) || utilization.is_some_and(|utilization| utilization >= NEARLY_FULL) {
        Choice::All
    } else if asked == Asked::ByName
        || utilization.is_some_and(|utilization| utilization >= WORTH_READING)
        || (walk_is_cheap(ns.occupancy, buckets) && (ns.namespace.relation == Relation::Own || may_have_a_cause(ns)))
    {
        Choice::Sample
    } else {
        Choice::Skip
    }
}

/// Whether a full table dropped packets within the interval.
fn refuses(ns: &NamespaceSnapshot) -> bool {
    ns.change.as_ref().and_then(|change| change.counters.full_table_drops()).is_some_and(|drops| drops > 0)
}

/// Whether flows found no entry for another reason, as where source translation has no port left; or the table grows.
fn may_have_a_cause(ns: &NamespaceSnapshot) -> bool {
    let failed = ns.change.as_ref().and_then(|change| change.counters.get(Counter::InsertFailed));
    failed.is_some_and(|failed| failed > 0)
        || utilization_ahead(ns).is_some_and(|utilization| utilization >= WORTH_READING)
}

/// Where the table will be soon if it goes on growing as it did within the interval.
fn utilization_ahead(ns: &NamespaceSnapshot) -> Option<f64> {
    let change = ns.change.as_ref().filter(|change| change.occupancy >= GROWING)?;
    let ahead = change.entries_per_sec()? * AHEAD_SECS;
    Some((f64::from(ns.occupancy?.0) + ahead) / f64::from(ns.capacity?.limit()?))
}

/// Whether a namespace's entries lie so close that a dump of them yields often, and holds up no packet for long.
pub fn walk_is_cheap(occupancy: Option<Occupancy>, buckets: Option<Buckets>) -> bool {
    match (occupancy, buckets) {
        (Some(occupancy), Some(buckets)) if occupancy.0 > 0 => {
            ENTRIES_A_DATAGRAM * u64::from(buckets.0) / u64::from(occupancy.0) <= BUCKETS_WITHOUT_YIELDING
        }
        _ => false,
    }
}
