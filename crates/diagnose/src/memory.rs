//! `memory-at-risk`.

use plimsoll_model::{Confidence, Finding, FindingId, NamespaceSnapshot, Relation, Severity, Snapshot};

use crate::evidence::{advice, bytes_per_entry, limit, number};
use crate::thresholds::{BUCKET_BYTES, FILLING, MEMORY_SHARE};
use crate::words::{bytes, grouped};

pub(crate) fn findings(snapshot: &Snapshot) -> Option<Finding> {
    unlimited(snapshot).or_else(|| too_large(snapshot))
}

/// A limit of 0, which kernels before 7.0 take as none at all.
fn unlimited(snapshot: &Snapshot) -> Option<Finding> {
    let capacity = snapshot.limits.capacity.filter(|capacity| capacity.limit().is_none())?;
    Some(Finding {
        id: FindingId::MemoryAtRisk,
        severity: Severity::Warning,
        confidence: Confidence::Certain,
        namespace: None,
        holds: None,
        whose: Vec::new(),
        title: "the table has no limit: nf_conntrack_max is 0".to_string(),
        evidence: vec![number("capacity_entries", capacity.0.into(), "limit 0: none".to_string())],
        meaning: "A flood takes kernel memory until there is none. Kernels from 7.0 on refuse this value.".to_string(),
        remedies: vec![advice("Set net.netfilter.nf_conntrack_max to what the memory bears.")],
    })
}

/// A limit that the memory does not bear: the tables that are in use, filled to it, would take more than is available.
fn too_large(snapshot: &Snapshot) -> Option<Finding> {
    let available = snapshot.host.available_bytes?;
    let in_use: Vec<_> = snapshot.namespaces.iter().filter(|ns| ns.occupancy.is_some_and(|o| o.0 > 0)).collect();
    let growth_of = |namespaces: &[&NamespaceSnapshot]| -> u64 {
        namespaces.iter().filter_map(|ns| growth_bytes(snapshot, ns)).sum()
    };
    // Those that may well fill up: the host's own, and whatever is three quarters full.
    let likely: Vec<_> = in_use.iter().copied().filter(|ns| may_fill(ns)).collect();
    let (growth_likely, growth_all) = (growth_of(&likely), growth_of(&in_use));
    let affordable = available as f64 * MEMORY_SHARE;
    let (severity, which, growth) = if growth_likely as f64 > affordable {
        (Severity::Warning, likely, growth_likely)
    } else if growth_all as f64 > affordable {
        (Severity::Info, in_use, growth_all)
    } else {
        return None;
    };
    let limit = which.first().and_then(|ns| limit(ns))?;
    let mut evidence = vec![
        number(
            "growth_bytes",
            growth as f64,
            format!(
                "{} more if {} table(s) fill to the limit of {}",
                bytes(growth),
                which.len(),
                grouped(limit.into())
            ),
        ),
        number("available_bytes", available as f64, format!("{} of memory available", bytes(available))),
    ];
    if let Some(buckets) = snapshot.limits.buckets {
        let hash = u64::from(buckets.0) * BUCKET_BYTES;
        evidence.push(number("hash_bytes", hash as f64, format!("{} are in the buckets already", bytes(hash))));
    }
    Some(Finding {
        id: FindingId::MemoryAtRisk,
        severity,
        confidence: Confidence::Likely,
        namespace: None,
        holds: None,
        whose: Vec::new(),
        title: format!(
            "tables filled to the limit would take {}, and {} are available",
            bytes(growth),
            bytes(available)
        ),
        evidence,
        meaning:
            "The limit holds for each namespace on its own. Entries are kernel memory that cannot be swapped out: \
                  when it runs out, processes are killed."
                .to_string(),
        remedies: vec![
            advice("Lower nf_conntrack_max to what the memory bears (it evicts nothing that is there)."),
            advice("Keep traffic that needs no state out of the table."),
        ],
    })
}

fn may_fill(ns: &NamespaceSnapshot) -> bool {
    ns.namespace.relation == Relation::Own || ns.utilization().is_some_and(|utilization| utilization >= FILLING)
}

fn growth_bytes(snapshot: &Snapshot, ns: &NamespaceSnapshot) -> Option<u64> {
    let growth = limit(ns)?.saturating_sub(ns.occupancy?.0);
    Some(u64::from(growth) * bytes_per_entry(snapshot.slab, ns).low)
}
