//! How many entries the limit should allow.

use plimsoll_diagnose::words::{bytes, grouped, percent};
use plimsoll_model::{Answer, Capacity, NamespaceSnapshot, Snapshot, Untrusted};
use serde::Serialize;

use crate::demand::Demand;
use crate::memory::Budget;

/// The limit, and what decided it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sizing {
    /// What each namespace that tracks needs room for.
    pub demands: Vec<NamespaceDemand>,
    /// The limit in force; 0 is none.
    pub capacity_now: Option<u32>,
    /// What memory allows; `None` where the RAM was not read.
    pub budget: Option<Budget>,
    /// What is made of it.
    pub decision: SizeDecision,
    /// What all tables that track would take if each were full to the limit that is decided, buckets included. The limit
    /// holds for each namespace on its own, so nothing prevents it.
    pub all_full_bytes: Option<u64>,
}

/// What a namespace needs room for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamespaceDemand {
    /// Its name.
    pub namespace: Untrusted,
    /// How much.
    #[serde(flatten)]
    pub demand: Demand,
}

/// What becomes of the limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SizeDecision {
    /// It stays: there is room enough.
    Enough {
        /// In words.
        because: String,
    },
    /// It is raised.
    Raise {
        /// To so many entries.
        to: u32,
        /// Which bound decided, in words.
        because: String,
    },
    /// It should be raised, and memory does not bear that.
    Refused {
        /// The arithmetic.
        because: String,
        /// What memory would bear, in entries of all namespaces together.
        bears_entries: u64,
    },
    /// It cannot be said.
    NotKnown {
        /// Why.
        because: String,
    },
}

impl Sizing {
    /// Decides by what was measured of all namespaces that track.
    pub fn of(snapshot: &Snapshot, ns: &NamespaceSnapshot, growth: f64, memory_share: f64) -> Self {
        let tracking: Vec<_> = snapshot.namespaces.iter().filter(|ns| tracks(ns)).collect();
        let demands: Vec<_> = tracking
            .iter()
            .filter_map(|ns| {
                Some(NamespaceDemand { namespace: ns.namespace.name.clone(), demand: Demand::of(ns, growth)? })
            })
            .collect();
        let capacity_now = snapshot.limits.capacity.map(|capacity| capacity.0);
        let budget = Budget::of(snapshot, ns, memory_share);
        let buckets = snapshot.limits.buckets.map_or(0, |buckets| u64::from(buckets.0));
        let decision = match decide(snapshot, &demands, capacity_now, budget.as_ref(), buckets) {
            // That others have room enough says nothing of this one.
            SizeDecision::Enough { .. } if ns.occupancy.is_none() => {
                SizeDecision::NotKnown { because: format!("the entries of {} could not be counted", ns.namespace.name) }
            }
            decision => decision,
        };
        let capacity = match decision {
            SizeDecision::Raise { to, .. } => Some(to),
            _ => capacity_now,
        };
        let all_full_bytes = budget.zip(capacity).map(|(budget, capacity)| {
            budget.bytes_of(u64::from(capacity).saturating_mul(tracking.len() as u64), buckets)
        });
        Self { demands, capacity_now, budget, decision, all_full_bytes }
    }

    /// Entries that the fullest namespace needs room for.
    pub fn most_needed(&self) -> Option<&NamespaceDemand> {
        self.demands.iter().max_by_key(|of| of.demand.with_growth)
    }

    /// Entries for which there is no room under the limit in force.
    pub(crate) fn lacking(&self) -> u64 {
        let needed = self.most_needed().map_or(0, |of| of.demand.with_growth);
        needed.saturating_sub(self.capacity_now.unwrap_or(0).into())
    }

    /// The limit once the decision is carried out; `None` without one.
    pub fn capacity_then(&self) -> Option<u32> {
        match self.decision {
            SizeDecision::Raise { to, .. } => Some(to),
            _ => self.capacity_now.filter(|capacity| *capacity > 0),
        }
    }
}

/// Whether entries are made here, or may be.
fn tracks(ns: &NamespaceSnapshot) -> bool {
    ns.occupancy.is_some_and(|occupancy| occupancy.0 > 0) || ns.tracking == Answer::Yes
}

fn decide(
    snapshot: &Snapshot,
    demands: &[NamespaceDemand],
    capacity_now: Option<u32>,
    budget: Option<&Budget>,
    buckets: u64,
) -> SizeDecision {
    let Some(limit) = capacity_now else {
        return SizeDecision::NotKnown { because: "the limit in force could not be read".to_string() };
    };
    if Capacity(limit).limit().is_none() {
        return without_limit(demands, budget);
    }
    let Some(most) = demands.iter().max_by_key(|of| of.demand.with_growth) else {
        if snapshot.namespaces.iter().all(|ns| ns.occupancy.is_some()) {
            return SizeDecision::Enough { because: "nothing is tracked here".to_string() };
        }
        return SizeDecision::NotKnown {
            because: "no entry was counted, and not every namespace could be".to_string(),
        };
    };
    let needed = most.demand.with_growth;
    if needed <= u64::from(limit) {
        let because = format!(
            "{} needs room for {} entries ({}), and the limit is {}",
            most.namespace,
            grouped(needed),
            most.demand.derivation,
            grouped(limit.into())
        );
        return SizeDecision::Enough { because };
    }
    let Some(budget) = budget else {
        return SizeDecision::NotKnown {
            because: "how much memory there is could not be read, and a limit must not exceed it".to_string(),
        };
    };
    if let Some(because) = does_not_fit(snapshot, demands, budget, buckets) {
        return SizeDecision::Refused { because, bears_entries: budget.entries };
    }
    let Some((to, rounding)) = rounded_up(needed, budget.entries) else {
        let because = format!("{} entries are more than the kernel's limit can be", grouped(needed));
        return SizeDecision::Refused { because, bears_entries: budget.entries };
    };
    let because = format!(
        "{} needs room for {} entries ({}); {rounding}; memory would bear {} ({} of {} RAM at up to {} bytes an entry)",
        most.namespace,
        grouped(needed),
        most.demand.derivation,
        grouped(budget.entries),
        percent(budget.share),
        bytes(budget.ram_bytes),
        budget.bytes_per_entry
    );
    SizeDecision::Raise { to, because }
}

/// A limit of 0 lets a flood take all memory; kernels from 7.0 on refuse it.
fn without_limit(demands: &[NamespaceDemand], budget: Option<&Budget>) -> SizeDecision {
    let needed = demands.iter().map(|of| of.demand.with_growth).max().unwrap_or(0);
    match budget.map(|budget| (budget, u32::try_from(budget.entries).unwrap_or(LARGEST).min(LARGEST))) {
        Some((budget, to)) if needed <= u64::from(to) => SizeDecision::Raise {
            to,
            because: format!(
                "there is no limit (0), so that a flood may take all memory: {} of {} RAM at up to {} bytes an entry",
                percent(budget.share),
                bytes(budget.ram_bytes),
                budget.bytes_per_entry
            ),
        },
        Some((budget, _)) => SizeDecision::Refused {
            because: format!(
                "there is no limit (0), and {} entries are needed: a limit that memory bears would be lower",
                grouped(needed)
            ),
            bears_entries: budget.entries,
        },
        None => SizeDecision::NotKnown { because: "how much memory there is could not be read".to_string() },
    }
}

/// Why what all namespaces need does not fit into memory, with the arithmetic; `None` where it does.
fn does_not_fit(snapshot: &Snapshot, demands: &[NamespaceDemand], budget: &Budget, buckets: u64) -> Option<String> {
    let together: u64 = demands.iter().map(|of| of.demand.with_growth).sum();
    let now: u64 = demands.iter().map(|of| of.demand.now).sum();
    let needs = budget.bytes_of(together, buckets);
    let sum = format!(
        "{} entries in {} namespace(s), growth included, at up to {} bytes each and {} buckets of 8 bytes take {}",
        grouped(together),
        demands.len(),
        budget.bytes_per_entry,
        grouped(buckets),
        bytes(needs)
    );
    if needs > budget.bytes {
        return Some(format!(
            "{sum}; {} of {} RAM are {}: --memory-share allows more, or fewer entries are needed",
            percent(budget.share),
            bytes(budget.ram_bytes),
            bytes(budget.bytes)
        ));
    }
    let more = budget.bytes_of(together.saturating_sub(now), 0);
    let available = snapshot.host.available_bytes.filter(|available| more > *available)?;
    Some(format!("{sum}, {} more than now, and {} of memory are available", bytes(more), bytes(available)))
}

/// The largest that a sysctl of this kind takes on every kernel.
const LARGEST: u32 = i32::MAX.cast_unsigned();

/// A limit that people recognise where memory allows one: the next power of two; else the next thousand or so.
fn rounded_up(needed: u64, bears: u64) -> Option<(u32, &'static str)> {
    const STEP: u64 = 1024;
    let power = needed.checked_next_power_of_two().filter(|power| *power <= bears);
    let (to, rounding) = match power {
        Some(power) => (power, "rounded up to a power of two"),
        None => {
            (needed.next_multiple_of(STEP), "rounded up to a multiple of 1,024, since a power of two would not fit")
        }
    };
    u32::try_from(to).ok().filter(|to| *to <= LARGEST).map(|to| (to, rounding))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_power_of_two_where_memory_bears_one() {
        let to = |needed, bears| rounded_up(needed, bears).map(|(to, _)| to);
        assert_eq!(to(300_000, 1_000_000), Some(524_288));
        assert_eq!(to(300_000, 400_000), Some(300_032));
        assert_eq!(to(262_144, 262_144), Some(262_144));
        assert_eq!(to(u64::from(LARGEST) + 1, u64::MAX), None);
        assert_eq!(to(u64::MAX - 5000, u64::MAX), None);
    }
}
