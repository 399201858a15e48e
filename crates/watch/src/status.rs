//! What is known of a host now: a reading, brought to what metrics, the dashboard and alerts need of it. Small, and bounded
//! however large the tables are.

use plimsoll_churn::{Outlook, churn, flow};
use plimsoll_diagnose::{bytes_per_entry, drift, in_force};
use plimsoll_forecast::Forecast;
use plimsoll_model::{
    Buckets, Capacity, Census, Count, Counter, CounterReading, DriftKind, Finding, Group, HeavyHitters, IdleHistogram,
    Interval, Namespace, NamespaceSnapshot, Occupancy, Range, Relation, Slab, Snapshot, StateKey, Untrusted, Verdict,
};

/// Namespaces that are told one by one; of more than these, those whose tables are fullest.
pub const MOST_NAMESPACES: usize = 256;

/// Services, sources that are told of a table.
pub const MOST_HITTERS: usize = 10;

/// States that are told of a table, those with the most entries.
pub const MOST_STATES: usize = 32;

/// What is known of a host now.
#[derive(Clone, Debug)]
pub struct Status {
    /// Wall-clock time of the reading, in seconds since 1970.
    pub taken_at_unix_secs: u64,
    /// The host's name.
    pub host: Option<Untrusted>,
    /// Kernel release.
    pub kernel: Option<Untrusted>,
    /// What it amounts to.
    pub verdict: Verdict,
    /// Tables, the fullest first; at most [`MOST_NAMESPACES`].
    pub namespaces: Vec<TableStatus>,
    /// Namespaces that are not among them.
    pub left_out: usize,
    /// Chains of the hash.
    pub buckets: Option<Buckets>,
    /// The slab of entries.
    pub slab: Option<Slab>,
    /// What is the matter.
    pub findings: Vec<Finding>,
    /// Settings in force that are not those that were applied.
    pub drifted: usize,
    /// What could not be read, a sentence each.
    pub unseen: Vec<String>,
}

/// What is known of one namespace's table.
#[derive(Clone, Debug)]
pub struct TableStatus {
    /// Whose.
    pub namespace: Namespace,
    /// Entries now.
    pub occupancy: Option<Occupancy>,
    /// The limit in force.
    pub capacity: Option<Capacity>,
    /// Expectations waiting.
    pub expectations: Option<u32>,
    /// Memory that the entries take, in bytes.
    pub memory_bytes: Option<Range>,
    /// Counters since boot.
    pub counters: Option<CounterReading>,
    /// What is lost and killed a second, since the reading before.
    pub rates: Rates,
    /// New entries a second, as far as entries date them.
    pub new_per_sec: Option<Interval>,
    /// The entries, where they were read.
    pub entries: Option<EntriesStatus>,
    /// Where the entries say that their number leads, where they were read.
    pub outlook: Option<Outlook>,
    /// When the table will be full; `None` where that is not known.
    pub forecast: Option<Forecast>,
}

/// What was counted a second within the interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Packets lost: to a full table, to chains that are too long, to clashes.
    pub lost_per_sec: Option<f64>,
    /// Entries killed to make room.
    pub evicted_per_sec: Option<f64>,
}

/// What the entries of a table are.
#[derive(Clone, Debug)]
pub struct EntriesStatus {
    /// By protocol and state.
    pub states: Vec<Group<StateKey>>,
    /// That neither `early_drop` nor gc under pressure touches.
    pub assured: Count,
    /// That nobody answered.
    pub unreplied: Count,
    /// How long they have seen no packet.
    pub idle: Vec<IdleHistogram>,
    /// Entries read.
    pub read: u64,
    /// Live entries in the table.
    pub live: Range,
    /// The busiest services.
    pub services: Vec<Share>,
    /// The sources with the most entries.
    pub sources: Vec<Share>,
}

/// A frequent value, and its share of the live entries.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// What.
    pub of: String,
    /// From 0 to 1.
    pub share: Interval,
}

impl Status {
    /// What a reading comes to.
    pub fn of(snapshot: &Snapshot, findings: Vec<Finding>) -> Self {
        let mut namespaces: Vec<_> = snapshot.namespaces.iter().collect();
        namespaces.sort_by(|one, other| fullness(other).total_cmp(&fullness(one)));
        let left_out = namespaces.len().saturating_sub(MOST_NAMESPACES);
        // The daemon's own is never among those that are left out.
        let own = namespaces.iter().position(|ns| ns.namespace.relation == Relation::Own);
        if let Some(own) = own.filter(|own| *own >= MOST_NAMESPACES) {
            namespaces.swap(own, MOST_NAMESPACES - 1);
        }
        namespaces.truncate(MOST_NAMESPACES);
        Self {
            taken_at_unix_secs: snapshot.taken_at_unix_secs,
            host: snapshot.host.name.clone(),
            kernel: snapshot.host.kernel.clone(),
            verdict: Verdict::of(&findings),
            namespaces: namespaces.into_iter().map(|ns| TableStatus::of(ns, snapshot.slab)).collect(),
            left_out,
            buckets: snapshot.limits.buckets,
            slab: snapshot.slab,
            drifted: drifted(snapshot),
            unseen: snapshot.unseen.iter().map(ToString::to_string).collect(),
            findings,
        }
    }
}

/// How full a table is; where that is not known, it comes last.
fn fullness(ns: &NamespaceSnapshot) -> f64 {
    ns.utilization().or_else(|| Some(f64::from(ns.occupancy?.0) / f64::from(u32::MAX))).unwrap_or(-1.0)
}

/// Settings that were applied and are no longer in force.
fn drifted(snapshot: &Snapshot) -> usize {
    let all = drift(&in_force(snapshot), snapshot.lasting.as_ref(), snapshot.applied.as_deref(), &snapshot.writers);
    all.iter().filter(|drift| drift.kind != DriftKind::NotLasting).count()
}

impl TableStatus {
    fn of(ns: &NamespaceSnapshot, slab: Option<Slab>) -> Self {
        let per_entry = bytes_per_entry(slab, ns);
        let memory = |occupancy: Occupancy| {
            let entries = u64::from(occupancy.0);
            Range { low: entries * per_entry.low, high: entries * per_entry.high }
        };
        Self {
            namespace: ns.namespace.clone(),
            occupancy: ns.occupancy,
            capacity: ns.capacity,
            expectations: ns.expectations,
            memory_bytes: ns.occupancy.map(memory),
            counters: ns.counters.clone(),
            rates: Rates::of(ns),
            new_per_sec: flow(ns, &|_| true).and_then(|flow| flow.per_sec),
            entries: ns.census.as_ref().map(EntriesStatus::of),
            outlook: churn(ns).map(|churn| churn.outlook),
            forecast: None,
        }
    }

    /// Occupancy over capacity; `None` without a limit, or where either was not read.
    pub fn utilization(&self) -> Option<f64> {
        self.occupancy?.utilization(self.capacity?)
    }
}

/// Packets that were lost: to a full table, and because their entry could not be inserted.
pub fn lost_packets(of: impl Fn(Counter) -> Option<u64>, full_table_drops: Option<u64>) -> Option<u64> {
    Some(full_table_drops? + of(Counter::InsertFailed)?)
}

impl Rates {
    fn of(ns: &NamespaceSnapshot) -> Self {
        let Some(change) = &ns.change else { return Self::default() };
        let per_sec = |count: u64| count as f64 / change.over.as_secs_f64().max(0.001);
        let counters = &change.counters;
        Self {
            lost_per_sec: lost_packets(|counter| counters.get(counter), counters.full_table_drops()).map(per_sec),
            evicted_per_sec: counters.get(Counter::EarlyDrop).map(per_sec),
        }
    }
}

impl EntriesStatus {
    fn of(census: &Census) -> Self {
        Self {
            states: most_entries(&census.states),
            assured: census.assured,
            unreplied: census.unreplied,
            idle: census.idle.clone(),
            read: census.read,
            live: census.live,
            services: most_frequent(&census.services),
            sources: most_frequent(&census.sources),
        }
    }
}

fn most_entries(states: &[Group<StateKey>]) -> Vec<Group<StateKey>> {
    let mut states = states.to_vec();
    states.sort_by_key(|group| std::cmp::Reverse(group.count.seen));
    states.truncate(MOST_STATES);
    states
}

fn most_frequent<K: ToString>(hitters: &HeavyHitters<K>) -> Vec<Share> {
    let share = |hitter: &plimsoll_model::HeavyHitter<K>| Share { of: hitter.key.to_string(), share: hitter.share };
    hitters.top.iter().take(MOST_HITTERS).map(share).collect()
}
