//! Tables as known traffic would leave them: Poisson arrivals at known rates, ports used again, a sample drawn.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU64;
use std::time::Duration;

use plimsoll_census::{Armings, Counting, DumpNotes};
use plimsoll_model::{
    Answer, Capacity, Change, CounterReading, Coverage, Entry, Inode, Layer4, NamedBy, Namespace, NamespaceSnapshot,
    NetworkSettings, Occupancy, Policies, Protocol, ProtocolState, Relation, Status, StoppedBecause, TcpState, Timeout,
    Timeouts, Tuple, Untrusted,
};

/// Numbers that look random (`SplitMix64`; Steele, Lea, Flood 2014).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Between 0 and 1.
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Who talks to whom, when, and what is left of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    pub(crate) protocol: Protocol,
    pub(crate) state: ProtocolState,
    pub(crate) status: Status,
    pub(crate) timeout: Timeout,
    /// Sources, each with the same share.
    pub(crate) sources: u64,
    /// First and last port that sources choose from.
    pub(crate) ports: (u16, u16),
    pub(crate) from_secs_ago: f64,
    pub(crate) to_secs_ago: f64,
}

impl Traffic {
    fn tcp(state: TcpState, status: Status) -> Self {
        Self {
            protocol: Protocol::TCP,
            state: ProtocolState::Tcp(state),
            status,
            timeout: Timeout::Tcp(state),
            sources: 10_000,
            ports: (32_768, 60_999),
            from_secs_ago: 120.0,
            to_secs_ago: 0.0,
        }
    }

    pub(crate) fn syns() -> Self {
        Self::tcp(TcpState::SynSent, Status::default())
    }

    pub(crate) fn closes() -> Self {
        Self::tcp(TcpState::TimeWait, Status::SEEN_REPLY.and(Status::ASSURED))
    }

    pub(crate) fn established() -> Self {
        Self::tcp(TcpState::Established, Status::SEEN_REPLY.and(Status::ASSURED))
    }

    pub(crate) fn udp() -> Self {
        let state = ProtocolState::None;
        Self { protocol: Protocol::UDP, state, timeout: Timeout::Udp, ..Self::syns() }
    }

    pub(crate) fn between(self, from_secs_ago: f64, to_secs_ago: f64) -> Self {
        Self { from_secs_ago, to_secs_ago, ..self }
    }

    pub(crate) fn ports(self, first: u16, last: u16) -> Self {
        Self { ports: (first, last), ..self }
    }

    pub(crate) fn sources(self, sources: u64) -> Self {
        Self { sources, ..self }
    }
}

/// A table in the making.
#[derive(Debug)]
pub(crate) struct Simulated {
    pub(crate) random: Random,
    /// Entries by tuple, with their age: a younger one takes an older one's place.
    entries: HashMap<Tuple, (f64, Entry)>,
    pub(crate) timeouts: Timeouts,
    pub(crate) capacity: u32,
    /// How many are drawn; all where there is none.
    pub(crate) sample: Option<u64>,
    pub(crate) course: Vec<(Duration, Occupancy)>,
    pub(crate) local_ports: Option<(u16, u16)>,
    /// How long ago gc passed: what has expired since is still counted.
    pub(crate) since_gc_secs: f64,
    expired: u64,
    /// When each came, and how long after that it expired or will.
    history: Vec<(f64, f64)>,
}

/// When simulated tables are read.
pub(crate) const READ_AT_NANOS: u64 = 1_800_000_000_000_000_000;

impl Simulated {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random::seeded(seed),
            entries: HashMap::new(),
            timeouts: Timeouts::compiled_defaults(),
            capacity: 262_144,
            sample: None,
            course: Vec::new(),
            local_ports: None,
            since_gc_secs: 0.0,
            expired: 0,
            history: Vec::new(),
        }
    }

    /// Lets traffic come as a Poisson process, and returns how much did.
    pub(crate) fn arrive(&mut self, traffic: Traffic, per_sec: f64) -> u64 {
        let mut age = traffic.to_secs_ago;
        let mut came = 0;
        loop {
            age -= self.random.unit().ln() / per_sec;
            if age >= traffic.from_secs_ago {
                return came;
            }
            came += 1;
            self.add(&traffic, age);
        }
    }

    /// One entry that came to its state `age` seconds ago.
    pub(crate) fn add(&mut self, traffic: &Traffic, age: f64) {
        let timeout_secs = self.timeouts.get_secs(traffic.timeout).unwrap();
        let left = f64::from(timeout_secs) - age;
        let ports = u64::from(traffic.ports.1 - traffic.ports.0) + 1;
        let source_port = traffic.ports.0 + u16::try_from(self.random.below(ports)).unwrap();
        let source = u32::try_from(self.random.below(traffic.sources)).unwrap();
        let tuple = Tuple {
            source: IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + source)),
            destination: IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)),
            protocol: traffic.protocol,
            layer4: Layer4::Ports { source: source_port, destination: 443 },
        };
        self.history.push((age, f64::from(timeout_secs)));
        self.expired += u64::from(left <= 0.0 && left > -self.since_gc_secs);
        if left <= 0.0 || self.entries.get(&tuple).is_some_and(|(other, _)| *other < age) {
            return;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a few days")]
        let (remaining_secs, nanos) = (left as u32, (age * 1e9) as u64);
        let entry = Entry {
            id: u32::try_from(self.random.below(1 << 32)).unwrap(),
            state: traffic.state,
            status: traffic.status.and(Status::CONFIRMED),
            remaining_secs: Some(remaining_secs),
            started_unix_nanos: NonZeroU64::new(READ_AT_NANOS - nanos),
            ..Entry::of(tuple)
        };
        self.entries.insert(tuple, (age, entry));
    }

    /// Counts the entries each second of the last so many, as the kernel would have: gc passes each minute.
    pub(crate) fn watch(&mut self, secs: u32) {
        let mut changes = vec![0_i64; secs as usize + 2];
        // The first reading that comes so many seconds ago or later.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a few minutes")]
        let first_after = |secs_ago: f64| (f64::from(secs) - secs_ago).ceil().max(0.0) as usize;
        for (age, timeout_secs) in &self.history {
            changes[first_after(*age)] += 1;
            let expired_secs_ago = age - timeout_secs;
            if expired_secs_ago >= self.since_gc_secs {
                // The first run of gc after it has expired.
                let runs = ((expired_secs_ago - self.since_gc_secs) / 60.0).floor();
                changes[first_after(self.since_gc_secs + 60.0 * runs)] -= 1;
            }
        }
        let mut counted = 0;
        for second in 0..=secs {
            counted += changes[second as usize];
            self.course.push((Duration::from_secs(second.into()), Occupancy(u32::try_from(counted).unwrap())));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The namespace as it would be read.
    pub(crate) fn read(&mut self) -> NamespaceSnapshot {
        // In the order of the hash, which is another for each table and has nothing to do with when entries came.
        let mut entries: Vec<_> = self.entries.values().map(|(_, entry)| *entry).collect();
        entries.sort_unstable_by_key(|entry| (entry.id, entry.original.source));
        let armings = Armings::in_force(&self.timeouts, Policies::None, u32::MAX);
        let mut counting = Counting::new(armings);
        let all = entries.len() as u64;
        let read = self.sample.unwrap_or(all).min(all);
        entries.iter().take(usize::try_from(read).unwrap()).for_each(|entry| counting.add(entry));
        let coverage =
            if read == all { Coverage::Complete } else { Coverage::Sample { because: StoppedBecause::SampleSize } };
        let occupancy = Occupancy(u32::try_from(all + self.expired).unwrap());
        let notes = DumpNotes { began_unix_nanos: NonZeroU64::new(READ_AT_NANOS), ..DumpNotes::default() };
        let change = (!self.course.is_empty()).then(|| Change {
            over: self.course.last().unwrap().0,
            watched: self.course.last().unwrap().0,
            counters: CounterReading { cpus: Vec::new() }.since(&CounterReading { cpus: Vec::new() }),
            occupancy: 0,
            course: self.course.clone(),
        });
        NamespaceSnapshot {
            namespace: Namespace {
                name: Untrusted::from("simulated"),
                named_by: NamedBy::Given,
                inode: Some(Inode(1)),
                relation: Relation::Own,
                owner: None,
            },
            occupancy: Some(occupancy),
            capacity: Some(Capacity(self.capacity)),
            expectations: Some(0),
            timeouts: self.timeouts.clone(),
            policies: Policies::None,
            settings: NetworkSettings { local_ports: self.local_ports, ..NetworkSettings::default() },
            counters: None,
            change,
            tracking: Answer::Yes,
            packets: None,
            census: Some(counting.finish(coverage, occupancy, notes)),
            surroundings: None,
        }
    }
}
