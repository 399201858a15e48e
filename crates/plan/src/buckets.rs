//! How many chains the hash should have.

use plimsoll_diagnose::thresholds::{BUCKET_BYTES, FULL, LONG_CHAIN_NODES};
use plimsoll_diagnose::words::{bytes, grouped, percent};
use plimsoll_model::{Buckets, Counter, NamespaceSnapshot, Snapshot};
use serde::Serialize;

use crate::Sizing;

/// The buckets, and what each number of them would mean.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BucketChoice {
    /// Those in force.
    pub now: u32,
    /// What was weighed up, in ascending order; each at the limit that the plan comes to.
    pub options: Vec<BucketOption>,
    /// What is proposed; those in force where they stay.
    pub then: u32,
    /// Why.
    pub because: String,
}

/// A number of buckets, with the table full, or with what all namespaces together need, if that is more.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BucketOption {
    /// How many.
    pub buckets: u32,
    /// What is known by this number.
    pub known_as: &'static str,
    /// Nodes in a mean chain (an entry has two).
    pub nodes_a_chain: f64,
    /// Nodes that a look-up for an entry that is there passes, on the average.
    pub nodes_a_lookup: f64,
    /// The share of new flows that the full table refuses, by exp(−16·U/B) with U the entries that `early_drop` may kill;
    /// `None` where those were not counted. More buckets let `early_drop` find fewer in the eight that it looks at.
    pub refused_when_full: Option<f64>,
    /// Whether the chain cap refuses entries before the table is full: below about a bucket for 25 entries.
    pub chain_cap_bites: bool,
    /// Memory.
    pub bytes: u64,
}

/// Entries a bucket from which the cap of a chain (50 to 79 nodes) begins to refuse entries.
const ENTRIES_AT_CHAIN_CAP: f64 = 25.0;

impl BucketChoice {
    /// `None` where buckets or limit were not read.
    pub fn of(snapshot: &Snapshot, ns: &NamespaceSnapshot, sizing: &Sizing) -> Option<Self> {
        let now = snapshot.limits.buckets?.0.max(1);
        let capacity = sizing.capacity_then()?;
        // One hash for all namespaces.
        let together: u64 = sizing.demands.iter().map(|of| of.demand.with_growth).sum();
        let entries = u32::try_from(together).unwrap_or(u32::MAX).max(capacity);
        let killable = ns.census.as_ref().map(|census| census.killable.share.value * f64::from(capacity));
        let option = |buckets: u32, known_as| {
            let nodes = 2.0 * f64::from(entries) / f64::from(buckets);
            BucketOption {
                buckets,
                known_as,
                nodes_a_chain: nodes,
                nodes_a_lookup: 1.0 + nodes / 2.0,
                refused_when_full: killable.map(|killable| (-16.0 * killable / f64::from(buckets)).exp()),
                chain_cap_bites: f64::from(entries) > ENTRIES_AT_CHAIN_CAP * f64::from(buckets),
                bytes: u64::from(buckets) * BUCKET_BYTES,
            }
        };
        let whole = |buckets: u32| Buckets::in_whole_pages(buckets.max(1)).map_or(buckets, |buckets| buckets.0);
        let (classic, modern) = (whole(entries / 4), whole(entries));
        let mut options = vec![
            option(classic, "a quarter of the limit, the classic"),
            option(modern, "one an entry, the default since 5.15"),
        ];
        if now != classic && now != modern {
            options.push(option(now, "those in force"));
        }
        options.sort_by_key(|option| option.buckets);
        let is_long = option(now, "").nodes_a_chain > LONG_CHAIN_NODES;
        let (then, because) = match emergency(snapshot, ns) {
            _ if !is_long => (now, stays(&option(now, ""))),
            Some(why) => (
                now,
                format!(
                    "chains would be long{}, but a resize rehashes everything: not while {why}; plan again later",
                    if option(now, "").chain_cap_bites { ", and the kernel's cap of them refuses entries" } else { "" }
                ),
            ),
            None => (classic, grows(&option(now, ""), &option(classic, ""), &option(modern, ""))),
        };
        Some(Self { now, options, then, because })
    }
}

fn stays(now: &BucketOption) -> String {
    format!(
        "a full table has {:.1} nodes in a chain: look-ups pass {:.1}, which costs little, and more buckets would only weaken \
         early_drop",
        now.nodes_a_chain, now.nodes_a_lookup
    )
}

fn grows(now: &BucketOption, classic: &BucketOption, modern: &BucketOption) -> String {
    let drops = |option: &BucketOption| option.refused_when_full.map_or("an unknown share".to_string(), percent);
    format!(
        "a full table would have {:.0} nodes in a chain{}; {} buckets make it {:.0}, and refuse {} of new flows when full; {} \
         (one for each entry) would look up faster by {:.1} nodes, take {} and refuse {}",
        now.nodes_a_chain,
        if now.chain_cap_bites { ", beyond the kernel's cap, which refuses entries" } else { "" },
        grouped(classic.buckets.into()),
        classic.nodes_a_chain,
        drops(classic),
        grouped(modern.buckets.into()),
        classic.nodes_a_lookup - modern.nodes_a_lookup,
        bytes(modern.bytes),
        drops(modern)
    )
}

/// Why now is no time for a resize.
fn emergency(snapshot: &Snapshot, ns: &NamespaceSnapshot) -> Option<&'static str> {
    // The one to plan for may have been read a second time, apart from the others.
    let changes = || snapshot.namespaces.iter().chain([ns]).filter_map(|ns| ns.change.as_ref());
    // Where it is the chains that refuse entries, nothing but a resize helps.
    if changes().any(|change| change.counters.get(Counter::ChainTooLong).is_some_and(|refused| refused > 0)) {
        return None;
    }
    let drops = changes().filter_map(|change| change.counters.full_table_drops()).max();
    let is_full = snapshot.namespaces.iter().filter_map(NamespaceSnapshot::utilization).any(|full| full >= FULL);
    match drops {
        Some(1..) => Some("packets are being dropped"),
        _ if is_full => Some("a table is nearly full"),
        _ => None,
    }
}
