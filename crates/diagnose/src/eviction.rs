//! `early-drop`, and what `early_drop` can do for a full table.

use plimsoll_model::{
    Buckets, Confidence, Counter, Finding, FindingId, Interval, NamespaceSnapshot, Severity, Snapshot,
};

use crate::evidence::{advice, limit, number, raise_capacity};
use crate::thresholds::ROOM_FACTOR;
use crate::words::{grouped, rate};

pub(crate) fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    snapshot.namespaces.iter().filter_map(|ns| finding(snapshot, ns)).collect()
}

fn finding(snapshot: &Snapshot, ns: &NamespaceSnapshot) -> Option<Finding> {
    let change = ns.change.as_ref()?;
    let killed = change.counters.get(Counter::EarlyDrop).filter(|killed| *killed > 0)?;
    let secs = change.over.as_secs_f64();
    let per_sec = killed as f64 / secs;
    let mut evidence = vec![
        number("early_drop_entries", killed as f64, format!("{} entries killed within {secs:.1} s", grouped(killed))),
        number("early_drop_per_sec", per_sec, format!("{} a second", rate(per_sec))),
    ];
    if let Some(total) = ns.counters.as_ref().and_then(|counters| counters.total(Counter::EarlyDrop)) {
        evidence.push(number("early_drop_total", total as f64, format!("{} so far", grouped(total))));
    }
    let mut remedies = Vec::new();
    if let Some(limit) = limit(ns) {
        remedies.push(raise_capacity(snapshot, ns, u64::from(limit) * u64::from(ROOM_FACTOR)));
    }
    remedies.push(advice(
        "Find what opens the flows that hold entries without being answered (the census below), and stop or filter it \
         before it is tracked: a rule in the input or forward chain acts after the entry is taken.",
    ));
    Some(Finding {
        id: FindingId::EarlyDrop,
        severity: Severity::Warning,
        confidence: Confidence::Certain,
        namespace: Some(ns.namespace.name.clone()),
        holds: None,
        whose: Vec::new(),
        title: format!("the table is full and the kernel kills {} entries a second to make room", rate(per_sec)),
        evidence,
        meaning: "Only flows that are not assured die: handshakes under way, one-way UDP, pings. Established \
                  connections are not touched."
            .to_string(),
        remedies,
    })
}

/// The probability that a new flow is refused by a full table: that `early_drop` finds nothing to kill.
///
/// It looks at eight consecutive buckets of the hash that all namespaces share, and kills entries of the same namespace
/// that are not assured. With `killable` such entries, each two nodes, spread over `buckets` chains at random, eight
/// chains hold none with probability exp(−16 · killable / buckets). Checked against six kernels by measurement.
pub(crate) fn loss(killable: Interval, buckets: Buckets) -> Interval {
    let loss = |killable: f64| (-16.0 * killable / f64::from(buckets.0.max(1))).exp();
    Interval { low: loss(killable.high), value: loss(killable.value), high: loss(killable.low) }
}

/// How many entries `early_drop` could kill in a namespace; `None` where no entry was read.
pub(crate) fn killable(ns: &NamespaceSnapshot) -> Option<Interval> {
    let census = ns.census.as_ref().filter(|census| census.read > 0)?;
    Some(Interval {
        low: census.killable.entries.low as f64,
        // Expired entries that the kernel still counts are not in the dump: the estimate takes them for few.
        value: census.killable.share.value * census.live.high as f64,
        high: census.killable.entries.high as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_what_was_measured_on_six_kernels() {
        // KERNEL.md §3: U/B of 0.001, 0.0642 and 0.125 gave .984, .358 and .124.
        for (share, measured) in [(0.001, 0.984), (0.0625, 0.358), (0.125, 0.124)] {
            let loss = loss(Interval::exact(share * 65_536.0), Buckets(65_536));
            assert!((loss.value - measured).abs() < 0.012, "{share}: {} against {measured}", loss.value);
        }
    }

    #[test]
    fn more_buckets_make_a_full_table_worse() {
        let killable = Interval::exact(10_000.0);
        assert!(loss(killable, Buckets(262_144)).value > loss(killable, Buckets(65_536)).value);
    }

    #[test]
    fn an_interval_turns_around() {
        let loss = loss(Interval { low: 100.0, value: 1000.0, high: 10_000.0 }, Buckets(65_536));
        assert!(loss.low < loss.value && loss.value < loss.high);
    }
}
