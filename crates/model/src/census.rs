//! What a table's entries are: counts with their intervals.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU64;

use serde::{Serialize, Serializer};

use crate::{
    Ends, Entry, Extension, Interval, Prefix, Program, ProgramId, Protocol, ProtocolState, Range, Sample, Service, Zone,
};

/// Counts of one namespace's entries, from a whole dump or from its beginning.
#[derive(Clone, Debug, Serialize)]
pub struct Census {
    /// How much of the table was read.
    pub coverage: Coverage,
    /// When reading them began, in nanoseconds since 1970: what an entry's own time is told against.
    #[serde(skip)]
    pub read_at_unix_nanos: Option<NonZeroU64>,
    /// Distinct live entries read.
    pub read: u64,
    /// Entries that the dump showed twice (it resumes within a chain) and that were counted once.
    pub duplicates: u64,
    /// How often the dump began anew because the table was resized under it.
    pub restarts: u32,
    /// Live entries in the table. Expired ones that the kernel still counts are not dumped, so a sample knows only
    /// that there are at least as many as it read and at most as many as the kernel counts.
    pub live: Range,
    /// Whether the parts of the dump look alike; if not, its beginning does not stand for the whole.
    pub homogeneity: Homogeneity,
    /// By protocol.
    pub protocols: Vec<Group<Protocol>>,
    /// By protocol and state.
    pub states: Vec<Group<StateKey>>,
    /// Entries that neither `early_drop` nor gc under pressure touches unless they close.
    pub assured: Count,
    /// Entries that have seen no packet in the reply direction.
    pub unreplied: Count,
    /// Entries that `early_drop` may kill.
    pub killable: Count,
    /// Entries that an accelerator handles: neither timeout nor state is known of them.
    pub offloaded: Count,
    /// Entries made by a helper's expectation.
    pub expected: Count,
    /// Entries that a helper follows.
    pub helped: Count,
    /// Entries whose source address is translated.
    pub source_nat: Count,
    /// Entries whose destination address is translated.
    pub destination_nat: Count,
    /// By zone.
    pub zones: Vec<Group<Zone>>,
    /// By what they carry beyond the bare object.
    pub extensions: Vec<Group<Extension>>,
    /// Sources of the original direction.
    pub sources: HeavyHitters<IpAddr>,
    /// Destinations of the original direction.
    pub destinations: HeavyHitters<IpAddr>,
    /// Services as the clients address them (before DNAT).
    pub services: HeavyHitters<Service>,
    /// Services as they answer (after DNAT).
    pub backends: HeavyHitters<Service>,
    /// Networks of the sources.
    pub source_prefixes: HeavyHitters<Prefix>,
    /// Networks of the destinations.
    pub destination_prefixes: HeavyHitters<Prefix>,
    /// How long entries have seen no packet, by protocol and state.
    pub idle: Vec<IdleHistogram>,
    /// What the dump held that Plimsoll does not know.
    pub unknown: Unknowns,
    /// Entries drawn at random from those read, for questions that counts cannot answer; all of them where they are few.
    #[serde(skip)]
    pub drawn: Vec<Drawn>,
    /// The programs that their ends name, by [`ProgramId`](crate::ProgramId).
    #[serde(skip)]
    pub programs: Vec<Program>,
}

/// An entry that was drawn, and how long it had seen no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// The entry.
    pub entry: Entry,
    /// How long it has seen no packet.
    pub idle: IdleAge,
    /// Whose it is; `None` where that was not asked.
    pub ends: Option<Ends>,
}

impl Census {
    /// What its entries have by their status, in words; without what none of them has.
    pub fn traits(&self) -> impl Iterator<Item = (&'static str, Count)> {
        let all = [
            ("assured", self.assured),
            ("unreplied", self.unreplied),
            ("evictable (not assured)", self.killable),
            ("offloaded", self.offloaded),
            ("made by a helper", self.expected),
            ("source translated", self.source_nat),
            ("destination translated", self.destination_nat),
        ];
        all.into_iter().filter(|(_, count)| count.seen > 0)
    }

    /// What `of` entries among the drawn ones amount to in the whole table.
    pub fn count_drawn(&self, of: usize) -> Count {
        let sample = Sample { read: self.drawn.len() as u64, live: self.live };
        let seen = of as u64;
        Count { seen, share: sample.share(seen), entries: sample.entries(seen) }
    }

    /// The program of an end.
    pub fn program(&self, id: ProgramId) -> Option<&Program> {
        self.programs.get(usize::from(id.0))
    }

    /// The count of one state; zero where no entry was in it.
    pub fn state(&self, key: StateKey) -> Option<&Count> {
        self.states.iter().find(|group| group.key == key).map(|group| &group.count)
    }
}

/// How much of the table a census rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Coverage {
    /// Every live entry.
    Complete,
    /// The first entries of the dump, which are a uniform random sample (the hash is keyed) unless gc under pressure
    /// has been at the first buckets.
    Sample {
        /// Why no more was read.
        because: StoppedBecause,
    },
}

/// Why a dump was ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StoppedBecause {
    /// Every share's half-width is within the goal.
    PreciseEnough,
    /// As many entries were read as were asked for.
    SampleSize,
    /// The time was up.
    TimeUp,
    /// The table was resized again and again.
    Resized,
}

/// A number of entries.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Count {
    /// Seen among the entries read.
    pub seen: u64,
    /// Share of the live entries, from 0 to 1.
    pub share: Interval,
    /// Entries in the whole table.
    pub entries: Range,
}

/// A count under a key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group<K> {
    /// What is counted.
    pub key: K,
    /// How many.
    #[serde(flatten)]
    pub count: Count,
}

/// A protocol and a state of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateKey {
    /// Protocol.
    pub protocol: Protocol,
    /// State.
    pub state: ProtocolState,
}

impl std::fmt::Display for StateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.state {
            ProtocolState::None => self.protocol.fmt(f),
            state => f.pad(&format!("{} {state}", self.protocol)),
        }
    }
}

impl Serialize for StateKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The most frequent values of one feature.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeavyHitters<K> {
    /// Most frequent first; the interval covers the sampling and the sketch's own error.
    pub top: Vec<HeavyHitter<K>>,
    /// Distinct values among the entries read; exact where the sketch never had to drop one.
    pub distinct: Range,
}

/// One frequent value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeavyHitter<K> {
    /// The value.
    pub key: K,
    /// Entries with it among those read; a range where the sketch had to forget.
    pub seen: Range,
    /// Share of the live entries, from 0 to 1.
    pub share: Interval,
}

/// Whether the beginning of a dump stands for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Homogeneity {
    /// Too few entries to tell.
    TooFew,
    /// The blocks differ no more than chance makes them.
    Alike {
        /// Probability of a difference at least this large by chance.
        p_value: f64,
    },
    /// The blocks differ.
    Uneven {
        /// Probability of a difference at least this large by chance.
        p_value: f64,
    },
    /// The blocks differ, and the first ones are poorer in the entries that gc kills under pressure: it has been at
    /// work from bucket 0 on, and a sample from the beginning would mislead.
    GcPressure {
        /// Probability of a difference at least this large by chance.
        p_value: f64,
        /// Entries in the poorer part, which is the first.
        first_read: u64,
        /// Share of entries that gc may kill there.
        share_in_first: f64,
        /// Their share in the rest.
        share_in_rest: f64,
    },
}

/// How long an entry has seen no packet, in seconds: between two bounds, over every timeout that the kernel could have
/// armed it with. Never simply timeout − remaining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct IdleAge {
    /// At least.
    pub low_secs: u32,
    /// At most; `None` where nothing bounds it.
    pub high_secs: Option<u32>,
}

impl IdleAge {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { low_secs: 0, high_secs: None };
}

/// The idle ages by which entries are counted: 10 s, 1 min, 5 min, 30 min, 1 h, 6 h, 1 day.
pub const IDLE_EDGES_SECS: [u32; 7] = [10, 60, 300, 1800, 3600, 21_600, 86_400];

/// How many entries of one state are idle for how long.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IdleHistogram {
    /// Protocol and state.
    pub key: StateKey,
    /// Entries of that state read.
    pub read: u64,
    /// Entries idle for *certainly* at least each of [`IDLE_EDGES_SECS`].
    pub certainly_over: [u64; IDLE_EDGES_SECS.len()],
    /// Entries idle for *possibly* at least each of [`IDLE_EDGES_SECS`].
    pub possibly_over: [u64; IDLE_EDGES_SECS.len()],
    /// Entries with more time left than any timeout in force gives: armed by another value (set earlier, or a
    /// policy's), so nothing is known of their idle age.
    pub armed_otherwise: u64,
}

/// What a dump held that Plimsoll does not know: counted, never taken for something else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Unknowns {
    /// By attribute type.
    pub attributes: BTreeMap<u16, u64>,
    /// By protocol number: protocols without a tracker of their own.
    pub protocols: BTreeMap<u8, u64>,
    /// By state number.
    pub states: BTreeMap<u8, u64>,
}

impl Unknowns {
    /// Whether everything was known.
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty() && self.protocols.is_empty() && self.states.is_empty()
    }
}
