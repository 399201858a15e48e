//! What a table gains beyond what its entries tell of.

use std::time::Duration;

use plimsoll_churn::present;
use plimsoll_diagnose::thresholds::NAMED;
use plimsoll_model::NamespaceSnapshot;

/// Entries a second that a table gained while it was watched.
pub(crate) fn gained_per_sec(ns: &NamespaceSnapshot) -> Option<f64> {
    ns.change.as_ref()?.entries_per_sec()
}

/// Entries a second that a table gained beyond those that come in states which date them (open connections, half-closed ones,
/// streams), if within two minutes that is a tenth of it: a prediction from the dated ones alone would be wrong by as much.
pub(crate) fn unexplained_per_sec(ns: &NamespaceSnapshot) -> Option<f64> {
    const WITHIN: Duration = Duration::from_mins(2);
    let explained = present(ns).map_or(0.0, |present| present.rates.iter().map(|rate| rate.per_sec.high).sum());
    let unexplained = gained_per_sec(ns)? - explained;
    let now = f64::from(ns.occupancy?.0);
    (unexplained * WITHIN.as_secs_f64() > NAMED * now).then_some(unexplained)
}
