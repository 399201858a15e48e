//! What was read from a host, once, raw, with what could not be read and why.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::{
    Answer, Capabilities, Capacity, Census, CounterChange, CounterReading, Inode, Lasting, Limits, Namespace,
    NetworkSettings, Occupancy, Surroundings, Sysctl, Timeouts, Untrusted, Writer,
};

/// A reading of a host.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Wall-clock time of the reading, in seconds since 1970.
    pub taken_at_unix_secs: u64,
    /// The host.
    pub host: Host,
    /// Whether the kernel has connection tracking.
    pub module: ModuleState,
    /// Limits in force.
    pub limits: Limits,
    /// The slab that entries are made of.
    pub slab: Option<Slab>,
    /// Which namespaces were asked for.
    pub scope: Scope,
    /// What could be read here, and what not.
    pub capabilities: Capabilities,
    /// Every namespace that was looked at.
    pub namespaces: Vec<NamespaceSnapshot>,
    /// Tables other than the kernel's own that track flows here.
    pub elsewhere: Vec<Elsewhere>,
    /// The kernel's log of full tables; `None` where it could not be read.
    pub log: Option<KernelLog>,
    /// What the next boot will set; `None` where files do not tell, or one of them could not be read.
    pub lasting: Option<Lasting>,
    /// Who else sets what tracking does.
    pub writers: Vec<Writer>,
    /// What Plimsoll applied last in the host's namespace, by its journal; `None` where it never did, or that could not be
    /// read.
    pub applied: Option<Vec<(Sysctl, u32)>>,
    /// What a governor holds for a while in the host's namespace, by the same journal, and what each is meant to be.
    pub governed: Vec<(Sysctl, u32)>,
    /// What could not be read.
    pub unseen: Vec<Unseen>,
}

impl Snapshot {
    /// Entries of all namespaces that were looked at.
    pub fn total_occupancy(&self) -> u64 {
        self.namespaces.iter().filter_map(|ns| ns.occupancy).map(|occupancy| u64::from(occupancy.0)).sum()
    }
}

/// Which namespaces a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All that may be seen.
    All,
    /// One that was named.
    Named,
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Its name.
    pub name: Option<Untrusted>,
    /// Kernel release.
    pub kernel: Option<Untrusted>,
    /// RAM in bytes.
    pub ram_bytes: Option<u64>,
    /// RAM in bytes that the kernel believes it could hand out without swapping (`MemAvailable`).
    pub available_bytes: Option<u64>,
}

/// How the kernel comes by `nf_conntrack`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModuleState {
    /// Part of the kernel image.
    BuiltIn,
    /// A module that is loaded.
    Loaded,
    /// Not there.
    Absent,
    /// It could not be found out.
    Unknown,
}

/// The slab cache of entries (`nf_conntrack` in `/proc/slabinfo` or `/sys/kernel/slab`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Slab {
    /// Bytes an object takes.
    pub object_bytes: u64,
    /// Objects in use, in all namespaces; the kernel's figure is coarse (whole per-CPU slabs count as used).
    pub objects_in_use: u64,
}

/// A namespace as it was read.
#[derive(Clone, Debug, Serialize)]
pub struct NamespaceSnapshot {
    /// Which.
    #[serde(flatten)]
    pub namespace: Namespace,
    /// Entries now.
    pub occupancy: Option<Occupancy>,
    /// The limit in force, which applies to this namespace's own count.
    pub capacity: Option<Capacity>,
    /// Expectations waiting now.
    pub expectations: Option<u32>,
    /// Timeouts in force.
    pub timeouts: Timeouts,
    /// Timeout policies (`ct timeout` objects), which arm entries with values of their own.
    pub policies: Policies,
    /// Network settings of the namespace's own.
    pub settings: NetworkSettings,
    /// Counters since boot.
    pub counters: Option<CounterReading>,
    /// What changed within the interval; `None` where only one reading was made.
    pub change: Option<Change>,
    /// Whether packets are tracked here at all: the kernel registers its hooks only where a rule needs them.
    pub tracking: Answer,
    /// Packets received and sent within the interval, by IPv4 and IPv6.
    pub packets: Option<u64>,
    /// The entries, where they were read.
    pub census: Option<Census>,
    /// Addresses and services around the table; `None` where that was not asked.
    #[serde(skip)]
    pub surroundings: Option<Surroundings>,
}

impl NamespaceSnapshot {
    /// Occupancy over capacity; `None` without a limit, or where either was not read.
    pub fn utilization(&self) -> Option<f64> {
        self.occupancy?.utilization(self.capacity?)
    }
}

/// What is known of timeout policies in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Policies {
    /// There are none.
    None,
    /// There are this many; a dump does not tell which entries they govern.
    Some(u32),
    /// It could not be found out.
    Unknown,
}

/// What changed between two readings of a namespace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Time between them, in which the counters rose.
    #[serde(rename = "over_secs", serialize_with = "as_secs")]
    pub over: Duration,
    /// Counters.
    pub counters: CounterChange,
    /// Time in which entries were counted: less than `over` where the counters go on from an earlier reading. Entries do not:
    /// a dump in between frees those that have expired.
    #[serde(skip)]
    pub watched: Duration,
    /// Entries, within `watched`.
    pub occupancy: i64,
    /// Entries as they were counted meanwhile: time since `watched` began, and how many.
    #[serde(skip)]
    pub course: Vec<(Duration, Occupancy)>,
}

impl Change {
    /// Entries more (or fewer) a second; `None` where no time passed.
    pub fn entries_per_sec(&self) -> Option<f64> {
        let watched_secs = self.watched.as_secs_f64();
        (watched_secs > 0.0).then(|| self.occupancy as f64 / watched_secs)
    }
}

fn as_secs<S: serde::Serializer>(over: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(over.as_secs_f64())
}

/// A table of flows that the kernel's connection tracking knows nothing of, or limits it does not show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Elsewhere {
    /// A BPF map that tracks connections (Cilium, Calico).
    BpfMap {
        /// Kernel's id of the map.
        id: u32,
        /// Name.
        name: Untrusted,
        /// Its limit.
        max_entries: u32,
    },
    /// Open vSwitch's kernel datapath: it tracks in the kernel's table, in zones that it can limit by itself.
    OpenVswitchZones {
        /// Zones with a limit; `None` where they could not be read.
        limits: Option<Vec<ZoneLimit>>,
    },
    /// A process with a connection tracker of its own (Open vSwitch's user-space datapath, VPP).
    Process {
        /// Process id.
        pid: u32,
        /// Its name.
        command: Untrusted,
    },
}

/// A limit that Open vSwitch sets on a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ZoneLimit {
    /// Zone; `None` is the default for zones without one of their own.
    pub zone: Option<u16>,
    /// Most entries; 0 is no limit.
    pub limit: u32,
    /// Entries now.
    pub count: u32,
}

/// What the kernel's log says of full tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KernelLog {
    /// Lines of the old form, which name no namespace.
    pub unnamed: Option<LogOccurrences>,
    /// Lines of the newer form, by the namespace that they name.
    pub named: Vec<(Inode, LogOccurrences)>,
    /// Whether older lines have been overwritten: then the first time is only the first that is left.
    pub truncated: bool,
}

/// Occurrences of a line. The kernel limits the rate of these lines, so their number says nothing of the drops'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LogOccurrences {
    /// Seconds since the first one left in the log.
    pub first_secs_ago: u64,
    /// Seconds since the last one.
    pub last_secs_ago: u64,
    /// Lines left in the log.
    pub lines: u64,
}

/// Something that Plimsoll looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// `nf_conntrack_count`.
    Occupancy,
    /// `nf_conntrack_max`.
    Capacity,
    /// `nf_conntrack_buckets`.
    Buckets,
    /// Statistics.
    Counters,
    /// Timeouts.
    Timeouts,
    /// The entries themselves.
    Entries,
    /// Whether there are other namespaces, and which.
    Namespaces,
    /// One namespace that is known to be there.
    Namespace,
    /// `/dev/kmsg`.
    KernelLog,
    /// Slab sizes.
    Slab,
    /// RAM.
    Memory,
    /// BPF maps, Open vSwitch.
    OtherTrackers,
    /// Network settings of a namespace.
    Settings,
    /// Files that set what the next boot has.
    Lasting,
    /// Who else sets what tracking does.
    Writers,
    /// Rules of nftables and iptables.
    Ruleset,
    /// Sockets, and the processes that hold them.
    Programs,
    /// What Kubernetes says of pods and services.
    Kubernetes,
    /// The same, where somebody asked for it.
    KubernetesAsked,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unseen {
    /// What it would have told.
    pub reading: Reading,
    /// In which namespace; `None` where it belongs to the host.
    pub namespace: Option<Untrusted>,
    /// What was tried, and on what.
    pub tried: Untrusted,
    /// What the system answered.
    pub answered: Untrusted,
    /// What would show it.
    pub needs: String,
}

impl fmt::Display for Unseen {
    /// `web: enter the network namespace: permission denied; it takes root`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}: ")?;
        }
        write!(f, "{}: {}; it takes {}", self.tried, self.answered, self.needs)
    }
}
