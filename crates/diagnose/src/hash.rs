//! `hash-too-small`, `chain-too-long`.

use plimsoll_model::{Confidence, Counter, Finding, FindingId, NamespaceSnapshot, Severity, Snapshot};

use crate::evidence::{command, limit, number};
use crate::thresholds::{CHAIN_CAP, LONG_CHAIN_NODES, TOLERABLE_LOSS};
use crate::words::{bytes, grouped, percent, rate};

pub(crate) fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let mut findings: Vec<_> = snapshot.namespaces.iter().filter_map(|ns| chain_too_long(snapshot, ns)).collect();
    findings.extend(too_small(snapshot));
    findings
}

/// Entries that the chain cap refused within the interval.
fn chain_too_long(snapshot: &Snapshot, ns: &NamespaceSnapshot) -> Option<Finding> {
    let change = ns.change.as_ref()?;
    let refused = change.counters.get(Counter::ChainTooLong).filter(|refused| *refused > 0)?;
    let per_sec = refused as f64 / change.over.as_secs_f64();
    let mut evidence =
        vec![number("chain_too_long_per_sec", per_sec, format!("{} entries refused a second", rate(per_sec)))];
    if let Some(load) = Load::of(snapshot) {
        evidence.push(load.evidence());
    }
    Some(Finding {
        id: FindingId::ChainTooLong,
        severity: Severity::Critical,
        confidence: Confidence::Certain,
        namespace: Some(ns.namespace.name.clone()),
        holds: None,
        whose: Vec::new(),
        title: format!("{} new flows a second are refused because their hash chain is too long", rate(per_sec)),
        evidence,
        meaning: "The packets are lost although the table is not full, and the kernel logs nothing.".to_string(),
        remedies: Load::of(snapshot).map(|load| load.more_buckets()).into_iter().collect(),
    })
}

/// A hash that would refuse entries before the limit is reached.
fn too_small(snapshot: &Snapshot) -> Option<Finding> {
    let load = Load::of(snapshot)?;
    let now = load.refused(load.entries);
    let at_limit = load.refused(load.entries_at_limit());
    let (severity, title) = if now > TOLERABLE_LOSS {
        (
            Severity::Critical,
            format!("the hash has too few buckets: {} of new flows are refused by the chain cap", percent(now)),
        )
    } else if at_limit > TOLERABLE_LOSS {
        let stall = load.stalls_at();
        (
            Severity::Warning,
            format!(
                "the hash has too few buckets for its limit: new flows are refused from about {} entries on",
                grouped(stall)
            ),
        )
    } else if load.mean_chain() > LONG_CHAIN_NODES {
        (
            Severity::Info,
            format!("the hash's chains are long: {:.0} nodes on average, every packet walks one", load.mean_chain()),
        )
    } else {
        return None;
    };
    Some(Finding {
        id: FindingId::HashTooSmall,
        severity,
        confidence: Confidence::Likely,
        namespace: None,
        holds: None,
        whose: Vec::new(),
        title,
        evidence: vec![
            number("buckets", load.buckets.into(), format!("{} buckets", grouped(load.buckets.into()))),
            load.evidence(),
            number(
                "refused_at_limit_ratio",
                at_limit,
                format!("at the limit {} of new flows would be refused", percent(at_limit)),
            ),
        ],
        meaning: "Since 5.15 the kernel refuses an entry whose chain has 50 to 79 nodes already. The packet is lost, \
                  the limit not reached, and nothing is logged."
            .to_string(),
        remedies: vec![load.more_buckets()],
    })
}

/// What the hash, which all namespaces share, carries.
struct Load {
    buckets: u32,
    entries: u64,
    limit: Option<u32>,
    has_chain_cap: bool,
}

impl Load {
    fn of(snapshot: &Snapshot) -> Option<Self> {
        // Kernels with a chain cap show how often it struck.
        let has_chain_cap = snapshot
            .namespaces
            .iter()
            .filter_map(|ns| ns.counters.as_ref())
            .any(|counters| counters.total(Counter::ChainTooLong).is_some());
        Some(Self {
            buckets: snapshot.limits.buckets?.0.max(1),
            entries: snapshot.total_occupancy(),
            limit: snapshot.namespaces.first().and_then(limit),
            has_chain_cap,
        })
    }

    /// Nodes in the mean chain: each entry is in two.
    fn mean_chain(&self) -> f64 {
        2.0 * self.entries as f64 / f64::from(self.buckets)
    }

    fn entries_at_limit(&self) -> u64 {
        self.limit.map_or(self.entries, |limit| self.entries.max(limit.into()))
    }

    /// Share of new flows that the chain cap refuses while the hash holds so many entries. A chain's length is Poisson
    /// distributed, the cap is drawn anew for each insert, and both of an entry's chains must be short enough.
    fn refused(&self, entries: u64) -> f64 {
        if !self.has_chain_cap {
            return 0.0;
        }
        let mean = 2.0 * entries as f64 / f64::from(self.buckets);
        let mut accepted_by_one = 0.0;
        let mut at_most = 0.0;
        // ln P(length = n), built up from n = 0 so that nothing overflows.
        let mut ln_p = -mean;
        for length in 0..CHAIN_CAP.end {
            if length > 0 {
                ln_p += mean.ln() - f64::from(length).ln();
            }
            at_most += ln_p.exp();
            if CHAIN_CAP.contains(&length) {
                accepted_by_one += at_most.min(1.0).powi(2) / f64::from(CHAIN_CAP.end - CHAIN_CAP.start);
            }
        }
        if mean == 0.0 { 0.0 } else { (1.0 - accepted_by_one).clamp(0.0, 1.0) }
    }

    /// The number of entries from which more than a tolerable share of new flows is refused.
    fn stalls_at(&self) -> u64 {
        let (mut low, mut high) = (self.entries, self.entries_at_limit());
        while low + 1 < high {
            let middle = u64::midpoint(low, high);
            if self.refused(middle) > TOLERABLE_LOSS { high = middle } else { low = middle }
        }
        high
    }

    fn evidence(&self) -> plimsoll_model::Evidence {
        number(
            "mean_chain_nodes",
            self.mean_chain(),
            format!(
                "{:.1} nodes in the mean chain ({} entries of all namespaces, two nodes each)",
                self.mean_chain(),
                grouped(self.entries)
            ),
        )
    }

    fn more_buckets(&self) -> plimsoll_model::Remedy {
        // As `plan` has it: more than a quarter looks up little faster, and early_drop finds less.
        let buckets = (self.entries_at_limit() / 4).max(1024).next_multiple_of(512);
        command(
            format!(
                "Set {} buckets ({} of memory), a quarter of the limit; `plimsoll plan` weighs up others. It rehashes every entry \
                 while it runs, and more buckets weaken early_drop: not in an emergency.",
                grouped(buckets),
                bytes(buckets * crate::thresholds::BUCKET_BYTES),
            ),
            format!("sysctl -w net.netfilter.nf_conntrack_buckets={buckets}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(buckets: u32, entries: u64) -> Load {
        Load { buckets, entries, limit: None, has_chain_cap: true }
    }

    #[test]
    fn with_512_buckets_the_table_stalls_near_17000_entries_as_measured() {
        // KERNEL.md §1: it stalls at about 17,000, where nearly every insert is refused; the first are long before.
        assert!(load(512, 17_000).refused(17_000) > 0.5, "{}", load(512, 17_000).refused(17_000));
        assert!(load(512, 8_000).refused(8_000) < 0.01, "{}", load(512, 8_000).refused(8_000));
    }

    #[test]
    fn one_bucket_an_entry_refuses_nothing() {
        assert!(load(262_144, 262_144).refused(262_144) < 1e-12);
        assert!(load(65_536, 262_144).refused(262_144) < 1e-6, "max/4 is fine too");
        assert!(load(512, 0).refused(0) < f64::EPSILON);
    }

    #[test]
    fn an_older_kernel_has_no_cap() {
        assert!(Load { has_chain_cap: false, ..load(512, 100_000) }.refused(100_000) < f64::EPSILON);
    }
}
