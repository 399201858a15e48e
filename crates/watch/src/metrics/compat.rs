//! The names that `node_exporter` has for these figures (its collector `conntrack`), for hosts that have none. Types and values are
//! its own too: gauges, of the namespace that it runs in.

use plimsoll_model::{Capacity, Counter, Relation};

use super::{Family, alone, gauge};
use crate::status::{Status, TableStatus};

/// `node_exporter`'s metrics of connection tracking.
pub(super) fn of_node_exporter(status: &Status) -> Vec<Family> {
    let own = status.namespaces.iter().find(|table| table.namespace.relation == Relation::Own);
    let Some(own) = own else { return Vec::new() };
    let entries = own.occupancy.map(|occupancy| f64::from(occupancy.0));
    let limit = own.capacity.map(|Capacity(limit)| f64::from(limit));
    // Not counted since Linux 5.10, which prints 0 in its column (`ct_cpu_seq_show`).
    let ignored = own.counters.as_ref().map(|_| 0.0);
    let counted = |name, help, counter| gauge(name, help, alone(total(own, counter)));
    vec![
        gauge("node_nf_conntrack_entries", "Entries in the connection-tracking table.", alone(entries)),
        gauge("node_nf_conntrack_entries_limit", "Entries that the connection-tracking table may hold.", alone(limit)),
        counted("node_nf_conntrack_stat_found", "Look-ups that found an entry.", Counter::Found),
        counted("node_nf_conntrack_stat_invalid", "Packets that could not be tracked.", Counter::Invalid),
        gauge("node_nf_conntrack_stat_ignore", "Packets that were tracked already; always 0.", alone(ignored)),
        counted("node_nf_conntrack_stat_insert", "Entries inserted.", Counter::Insert),
        counted("node_nf_conntrack_stat_insert_failed", "Entries that could not be inserted.", Counter::InsertFailed),
        counted("node_nf_conntrack_stat_drop", "Packets dropped because of connection tracking.", Counter::Drop),
        counted("node_nf_conntrack_stat_early_drop", "Entries killed to make room.", Counter::EarlyDrop),
        counted("node_nf_conntrack_stat_search_restart", "Look-ups begun anew.", Counter::SearchRestart),
    ]
}

fn total(table: &TableStatus, counter: Counter) -> Option<f64> {
    Some(table.counters.as_ref()?.total(counter)? as f64)
}
