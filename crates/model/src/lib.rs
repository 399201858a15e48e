//! The types that Plimsoll's crates share. Nothing here does I/O, reads a clock or draws a random number.
//!
//! The path through the house: a [`Snapshot`] is what was read from the kernel, a [`Census`] counts its entries, and
//! diagnosis turns both into [`Finding`]s. Whatever came from outside and is text is an [`Untrusted`], which escapes
//! itself in every output; whatever could not be read is an [`Unseen`], so that a gap is never silent.

mod bypass;
mod census;
mod cluster;
mod counters;
mod drift;
mod edit;
mod entry;
mod estimate;
mod finding;
mod limits;
mod namespace;
mod network;
mod new_entry;
mod own_addresses;
mod probe;
mod pulse;
mod resolver;
mod sample;
mod services;
mod settings;
mod shield;
mod snapshot;
mod sysctl;
mod table_size;
mod timeouts;
mod tuple;
mod untrusted;
mod whose;
mod writer;
mod xdp_stage;

pub use bypass::{Bypass, Bypassed};
pub use census::{
    Census, Count, Coverage, Drawn, Group, HeavyHitter, HeavyHitters, Homogeneity, IDLE_EDGES_SECS, IdleAge,
    IdleHistogram, StateKey, StoppedBecause, Unknowns,
};
pub use cluster::{Cluster, KubeProxyConfiguration, Pod, Workload, WorkloadKind};
pub use counters::{Counter, CounterChange, CounterReading, CpuCounters};
pub use drift::{Configured, Drift, DriftKind, Suspect};
pub use edit::{Edit, PolicyProtocol, PolicyTimeout, ServicePolicy};
pub use entry::{Entry, Extension, Extensions, ProtocolState, SctpState, Side, Status, TcpState};
pub use estimate::{Interval, Range};
pub use finding::{Confidence, Evidence, Finding, FindingId, NoSuchFinding, Remedy, Severity, Verdict};
pub use limits::{Buckets, Capacity, Limits, Occupancy};
pub use namespace::{Inode, NamedBy, Namespace, Owner, Relation};
pub use network::{Network, NoNetwork};
pub use new_entry::NewEntry;
pub use own_addresses::OwnAddresses;
pub use probe::{Answer, Capabilities};
pub use pulse::Pulse;
pub use resolver::Resolver;
pub use sample::Sample;
pub use services::{
    KnownService, KubeProxyMode, Masquerade, ServedAt, ServiceId, ServiceKind, ServiceMaker, Services, Surroundings,
    Translation,
};
pub use settings::{Lasting, NetworkSettings, OWN_SYSCTL_FILE, SettingInFile};
pub use shield::{Class, NoPorts, NoRate, Ports, Rate, Shield, SourceLimits, Way};
pub use snapshot::{
    Change, Elsewhere, Host, KernelLog, LogOccurrences, ModuleState, NamespaceSnapshot, Policies, Reading, Scope, Slab,
    Snapshot, Unseen, ZoneLimit,
};
pub use sysctl::{NoSuchSysctl, Reach, Sysctl};
pub use table_size::{SizeRule, TableSize};
pub use timeouts::{Timeout, Timeouts};
pub use tuple::{Layer4, Prefix, Protocol, Service, Tuple, Zone};
pub use untrusted::Untrusted;
pub use whose::{End, Ends, Program, ProgramId, SocketFamily, SocketState, Whose};
pub use writer::{Becomes, Effect, Order, Overwrite, Overwritten, Presence, When, Writer, WriterKind, Written};
pub use xdp_stage::{Interface, NoInterface, XdpStage};
