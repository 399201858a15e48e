//! A healthy host, to which each test adds its trouble.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod entries;

use std::time::Duration;

use plimsoll_census::{Armings, Counting, DumpNotes};
use plimsoll_model::{
    Answer, Buckets, Capabilities, Capacity, Census, Change, Counter, CounterReading, Coverage, CpuCounters, Entry,
    Host, Inode, KernelLog, Limits, ModuleState, NamedBy, Namespace, NamespaceSnapshot, NetworkSettings, Occupancy,
    Policies, Relation, Scope, Slab, Snapshot, Timeouts, Untrusted,
};

pub(crate) const CAPACITY: u32 = 10_000;
pub(crate) const BUCKETS: u32 = 10_000;

pub(crate) fn host() -> Snapshot {
    Snapshot {
        taken_at_unix_secs: 0,
        host: Host { available_bytes: Some(8 << 30), ram_bytes: Some(16 << 30), ..Host::default() },
        module: ModuleState::Loaded,
        limits: Limits { capacity: Some(Capacity(CAPACITY)), buckets: Some(Buckets(BUCKETS)), expect_max: Some(4096) },
        slab: Some(Slab { object_bytes: 256, objects_in_use: 0 }),
        scope: Scope::All,
        capabilities: Capabilities {
            read_entries: Answer::Yes,
            list_hooks: Answer::Yes,
            enter_namespaces: Answer::Yes,
            read_kernel_log: Answer::Yes,
        },
        namespaces: vec![namespace("host", Relation::Own, 100)],
        elsewhere: Vec::new(),
        log: Some(KernelLog::default()),
        lasting: None,
        writers: Vec::new(),
        applied: None,
        governed: Vec::new(),
        unseen: Vec::new(),
    }
}

pub(crate) fn namespace(name: &str, relation: Relation, occupancy: u32) -> NamespaceSnapshot {
    let inode = 4_026_531_840 + name.len() as u64;
    NamespaceSnapshot {
        namespace: Namespace {
            name: Untrusted::from(name),
            named_by: NamedBy::Given,
            inode: Some(Inode(inode)),
            relation,
            owner: None,
        },
        occupancy: Some(Occupancy(occupancy)),
        capacity: Some(Capacity(CAPACITY)),
        expectations: Some(0),
        timeouts: Timeouts::default(),
        policies: Policies::None,
        settings: NetworkSettings::default(),
        counters: Some(counters(&[])),
        change: Some(change(&[])),
        tracking: Answer::Yes,
        packets: Some(1000),
        census: None,
        surroundings: None,
    }
}

/// Counters of one CPU; those that are not named are 0.
pub(crate) fn counters(values: &[(Counter, u32)]) -> CounterReading {
    let mut cpu = CpuCounters::default();
    for counter in Counter::ALL {
        cpu.set(counter, 0);
    }
    for (counter, value) in values {
        cpu.set(*counter, *value);
    }
    CounterReading { cpus: vec![cpu] }
}

/// What was counted within a second.
pub(crate) fn change(values: &[(Counter, u32)]) -> Change {
    let counters = counters(values).since(&counters(&[]));
    Change { over: Duration::from_secs(1), counters, watched: Duration::from_secs(1), occupancy: 0, course: Vec::new() }
}

/// A whole census of some entries, under some timeouts.
pub(crate) fn census_of(timeouts: &Timeouts, entries: &[Entry]) -> Census {
    let mut counting = Counting::new(Armings::in_force(timeouts, Policies::None, u32::MAX));
    for entry in entries {
        counting.add(entry);
    }
    let occupancy = Occupancy(u32::try_from(entries.len()).expect("a table"));
    counting.finish(Coverage::Complete, occupancy, DumpNotes::default())
}
