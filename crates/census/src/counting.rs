//! Entries in, census out.

use std::net::IpAddr;
use std::num::NonZeroU64;

use plimsoll_model::{
    Census, Count, Coverage, Entry, Extension, Group, IDLE_EDGES_SECS, IdleAge, IdleHistogram, Occupancy, Prefix,
    Protocol, Range, Sample, Service, StateKey, Status, Unknowns, Zone,
};

use crate::armings::Armings;
use crate::drawing::Drawing;
use crate::duplicates::Duplicates;
use crate::heavy::Heavy;
use crate::homogeneity::Blocks;
use crate::states::{self, SLOTS};

/// A share is known well enough when its 95 % interval is no wider than a point either way.
pub const GOAL_HALF_WIDTH: f64 = 0.01;

/// A table of no more entries than this is read whole: a sample that is precise enough would be hardly smaller.
const WORTH_SAMPLING: u32 = 10_000;

/// One more than the edges: entries idle for less than the first.
const IDLE_BINS: usize = IDLE_EDGES_SECS.len() + 1;

/// A census in the making.
#[derive(Debug)]
pub struct Counting {
    armings: Armings,
    read: u64,
    repeated: u64,
    duplicates: Duplicates,
    blocks: Blocks,
    drawing: Drawing,
    states: Box<[StateTally]>,
    features: [u64; FEATURES],
    zones: Vec<(Zone, u64)>,
    extensions: [u64; Extension::ALL.len()],
    sources: Heavy<IpAddr>,
    destinations: Heavy<IpAddr>,
    services: Heavy<Service>,
    backends: Heavy<Service>,
    source_prefixes: Heavy<Prefix>,
    destination_prefixes: Heavy<Prefix>,
}

/// What is counted of one protocol and state.
#[derive(Clone, Copy, Debug, Default)]
struct StateTally {
    read: u64,
    /// By the last edge that the idle age is certainly over.
    certainly: [u64; IDLE_BINS],
    /// By the last edge that it is possibly over.
    possibly: [u64; IDLE_BINS],
    armed_otherwise: u64,
}

/// Yes-or-no features, in the order of the census's fields.
const FEATURES: usize = 8;

#[inline]
fn features(entry: &Entry) -> [bool; FEATURES] {
    let has = |status| entry.status.has(status);
    [
        has(Status::ASSURED),
        !has(Status::SEEN_REPLY),
        entry.is_killable(),
        entry.is_offloaded(),
        has(Status::EXPECTED),
        has(Status::HELPER) || entry.extensions.contains(Extension::Helper),
        has(Status::SRC_NAT),
        has(Status::DST_NAT),
    ]
}

/// What happened to the dump, beside its entries.
#[derive(Clone, Debug, Default)]
pub struct DumpNotes {
    /// When it began, in nanoseconds since 1970.
    pub began_unix_nanos: Option<NonZeroU64>,
    /// How often it began anew because the table was resized under it.
    pub restarts: u32,
    /// What it held that is not known.
    pub unknown: Unknowns,
}

impl Counting {
    /// Nothing counted yet.
    pub fn new(armings: Armings) -> Self {
        Self {
            armings,
            read: 0,
            repeated: 0,
            duplicates: Duplicates::new(),
            blocks: Blocks::new(),
            drawing: Drawing::new(),
            states: vec![StateTally::default(); SLOTS].into_boxed_slice(),
            features: [0; FEATURES],
            zones: Vec::new(),
            extensions: [0; Extension::ALL.len()],
            sources: Heavy::new(),
            destinations: Heavy::new(),
            services: Heavy::new(),
            backends: Heavy::new(),
            source_prefixes: Heavy::new(),
            destination_prefixes: Heavy::new(),
        }
    }

    /// Counts an entry, unless the dump has just shown it.
    #[inline]
    pub fn add(&mut self, entry: &Entry) {
        if self.duplicates.is_repeated(entry) {
            self.repeated += 1;
            return;
        }
        self.read += 1;
        self.blocks.add(entry);
        let idle = self.armings.idle_age(entry);
        self.drawing.add(entry, idle);
        self.add_state(entry, idle);
        for (count, holds) in self.features.iter_mut().zip(features(entry)) {
            *count += u64::from(holds);
        }
        if !entry.extensions.is_empty() {
            for extension in Extension::ALL {
                self.extensions[extension as usize] += u64::from(entry.extensions.contains(extension));
            }
        }
        self.add_zone(entry.zone);
        self.add_endpoints(entry);
    }

    /// Distinct entries counted.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Whether every share is known to [`GOAL_HALF_WIDTH`], that of a state, a source or whatever else: a half is the
    /// hardest to know.
    pub fn is_precise_enough(&self, occupancy: Occupancy) -> bool {
        let coverage = Coverage::Sample { because: plimsoll_model::StoppedBecause::PreciseEnough };
        occupancy.0 > WORTH_SAMPLING
            && self.sample(coverage, occupancy).share(self.read / 2).half_width() <= GOAL_HALF_WIDTH
    }

    /// Whether the beginning of the dump is seen not to stand for the whole.
    pub fn is_uneven(&self) -> bool {
        use plimsoll_model::Homogeneity::{GcPressure, Uneven};
        matches!(self.blocks.judge(), Uneven { .. } | GcPressure { .. })
    }

    /// The census, of a table of which the kernel counts `occupancy` entries.
    pub fn finish(&self, coverage: Coverage, occupancy: Occupancy, notes: DumpNotes) -> Census {
        let sample = self.sample(coverage, occupancy);
        let count = |seen| Count { seen, share: sample.share(seen), entries: sample.entries(seen) };
        let [assured, unreplied, killable, offloaded, expected, helped, source_nat, destination_nat] =
            self.features.map(count);
        Census {
            coverage,
            read_at_unix_nanos: notes.began_unix_nanos,
            read: self.read,
            duplicates: self.repeated,
            restarts: notes.restarts,
            live: sample.live,
            homogeneity: self.blocks.judge(),
            protocols: groups(self.by_protocol(), count),
            states: groups(self.by_state().map(|(key, tally)| (key, tally.read)), count),
            assured,
            unreplied,
            killable,
            offloaded,
            expected,
            helped,
            source_nat,
            destination_nat,
            zones: groups(self.zones.iter().copied(), count),
            extensions: groups(Extension::ALL.into_iter().zip(self.extensions), count),
            sources: self.sources.finish(&sample),
            destinations: self.destinations.finish(&sample),
            services: self.services.finish(&sample),
            backends: self.backends.finish(&sample),
            source_prefixes: self.source_prefixes.finish(&sample),
            destination_prefixes: self.destination_prefixes.finish(&sample),
            idle: self.by_state().map(|(key, tally)| tally.histogram(key)).collect(),
            unknown: notes.unknown,
            drawn: self.drawing.drawn().to_vec(),
            programs: Vec::new(),
        }
    }

    #[inline]
    fn add_state(&mut self, entry: &Entry, IdleAge { low_secs, high_secs }: IdleAge) {
        let tally = &mut self.states[states::slot(entry.original.protocol, entry.state)];
        tally.read += 1;
        tally.certainly[idle_bin(low_secs)] += 1;
        tally.possibly[high_secs.map_or(IDLE_BINS - 1, idle_bin)] += 1;
        // Where the age has an upper bound, a timeout in force explains it.
        tally.armed_otherwise += u64::from(high_secs.is_none() && self.armings.is_armed_otherwise(entry));
    }

    #[inline]
    fn add_zone(&mut self, zone: Zone) {
        // Hosts have one zone, or a few hundred at the most.
        match self.zones.iter_mut().find(|(known, _)| *known == zone) {
            Some((_, count)) => *count += 1,
            None => self.zones.push((zone, 1)),
        }
    }

    #[inline]
    fn add_endpoints(&mut self, entry: &Entry) {
        self.sources.add(entry.original.source);
        self.destinations.add(entry.original.destination);
        self.source_prefixes.add(Prefix::of(entry.original.source));
        self.destination_prefixes.add(Prefix::of(entry.original.destination));
        if let Some(service) = entry.original.service() {
            self.services.add(service);
        }
        if let Some(backend) = entry.reply.source_service() {
            self.backends.add(backend);
        }
    }

    fn sample(&self, coverage: Coverage, occupancy: Occupancy) -> Sample {
        let live = match coverage {
            Coverage::Complete => Range::exact(self.read),
            // The count was taken before the dump; the table may have grown since.
            Coverage::Sample { .. } => Range { low: self.read, high: u64::from(occupancy.0).max(self.read + 1) },
        };
        Sample { read: self.read, live }
    }

    fn by_state(&self) -> impl Iterator<Item = (StateKey, &StateTally)> {
        let tallies = self.states.iter().enumerate().filter(|(_, tally)| tally.read > 0);
        tallies.filter_map(|(slot, tally)| Some((states::key(slot)?, tally)))
    }

    fn by_protocol(&self) -> Vec<(Protocol, u64)> {
        let mut protocols = Vec::<(Protocol, u64)>::new();
        for (StateKey { protocol, .. }, tally) in self.by_state() {
            match protocols.iter_mut().find(|(known, _)| *known == protocol) {
                Some((_, count)) => *count += tally.read,
                None => protocols.push((protocol, tally.read)),
            }
        }
        protocols
    }
}

impl StateTally {
    fn histogram(&self, key: StateKey) -> IdleHistogram {
        IdleHistogram {
            key,
            read: self.read,
            certainly_over: over_edges(&self.certainly),
            possibly_over: over_edges(&self.possibly),
            armed_otherwise: self.armed_otherwise,
        }
    }
}

/// How many of the edges an age is at least.
#[inline]
fn idle_bin(secs: u32) -> usize {
    IDLE_EDGES_SECS.iter().filter(|edge| secs >= **edge).count()
}

/// From counts by bin to counts at or over each edge.
fn over_edges(bins: &[u64; IDLE_BINS]) -> [u64; IDLE_EDGES_SECS.len()] {
    std::array::from_fn(|edge| bins[edge + 1..].iter().sum())
}

/// Groups that occur, largest first.
fn groups<K>(counts: impl IntoIterator<Item = (K, u64)>, count: impl Fn(u64) -> Count) -> Vec<Group<K>> {
    let mut groups: Vec<_> =
        counts.into_iter().filter(|(_, seen)| *seen > 0).map(|(key, seen)| Group { key, count: count(seen) }).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count.seen));
    groups
}
