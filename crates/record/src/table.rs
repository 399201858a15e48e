//! The table's numbers and settings, as files tell them.

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll_census::Armings;
use plimsoll_host::{HostFs, NetFiles, monotonic_now};
use plimsoll_model::{
    Buckets, Capacity, Counter, CounterReading, Occupancy, Policies, Protocol, Sysctl, TcpState, Timeout, Timeouts,
};
use plimsoll_observe::policies;
use plimsoll_recording::{Change, ChangeKind, Row, UnixMicros};

/// The count of a table from which on the kernel makes room, in hundredths of the limit (`gc_worker`: `nf_conntrack_max95`).
const NEARLY_FULL: u64 = 95;

/// Settings as they were last seen, and the timeouts that were in force at any time of the recording.
#[derive(Debug)]
pub(crate) struct Table {
    host: HostFs,
    booted: UnixMicros,
    settings: BTreeMap<Sysctl, u32>,
    policies: Policies,
    earlier: Vec<(Timeout, u32)>,
    history: History,
    armings: Armings,
}

/// Whether the timeouts in force may have been others before the recording began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// They may have been those that are compiled in.
    MayHaveBeenDefaults,
    /// They have been what they are for as long as any entry is old.
    Unchanged,
}

/// The table at a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) occupancy: Option<Occupancy>,
    pub(crate) capacity: Option<Capacity>,
    pub(crate) buckets: Option<Buckets>,
    pub(crate) counters: CounterReading,
}

impl Numbers {
    /// Whether the kernel may be killing entries to make room.
    pub(crate) fn is_nearly_full(&self) -> bool {
        match (self.occupancy, self.capacity.and_then(Capacity::limit)) {
            (Some(occupancy), Some(limit)) => u64::from(occupancy.0) * 100 >= u64::from(limit) * NEARLY_FULL,
            _ => false,
        }
    }

    pub(crate) fn totals(&self) -> [Option<u64>; Counter::ALL.len()] {
        Counter::ALL.map(|counter| self.counters.total(counter))
    }
}

impl Table {
    /// Reads the settings of the calling thread's namespace, and says them all.
    pub(crate) fn begin(host: HostFs, history: History, at: UnixMicros, rows: &mut Vec<Row>) -> Self {
        let mut table = Self {
            host,
            booted: at.minus(monotonic_now()),
            settings: BTreeMap::new(),
            policies: Policies::Unknown,
            earlier: Vec::new(),
            history,
            armings: Armings::in_force(&Timeouts::default(), Policies::Unknown, 0),
        };
        table.read_settings(at, rows);
        table
    }

    /// When the host began: no entry is older.
    pub(crate) fn booted(&self) -> UnixMicros {
        self.booted
    }

    /// With what entries may have been armed.
    pub(crate) fn armings(&self) -> &Armings {
        &self.armings
    }

    /// The least for which a packet that goes on with a flow arms its entry; a reset is none that does. Zero where that is not
    /// known.
    pub(crate) fn shortest(&self, protocol: Protocol) -> Duration {
        let is_of_it = |timeout: Timeout| match protocol {
            Protocol::TCP => match timeout {
                Timeout::Tcp(state) => state != TcpState::Close,
                timeout => matches!(timeout, Timeout::TcpMaxRetrans | Timeout::TcpUnacknowledged),
            },
            Protocol::UDP | Protocol::UDPLITE => matches!(timeout, Timeout::Udp | Timeout::UdpStream),
            Protocol::ICMP => timeout == Timeout::Icmp,
            Protocol::ICMPV6 => timeout == Timeout::Icmpv6,
            Protocol::GRE => matches!(timeout, Timeout::Gre | Timeout::GreStream),
            Protocol::SCTP => matches!(timeout, Timeout::Sctp(_)),
            _ => timeout == Timeout::Generic,
        };
        let all = self.settings.iter().filter(|(sysctl, _)| sysctl.timeout().is_some_and(is_of_it));
        Duration::from_secs(all.map(|(_, secs)| *secs).min().unwrap_or(0).into())
    }

    pub(crate) fn setting(&self, sysctl: Sysctl) -> Option<u32> {
        self.settings.get(&sysctl).copied()
    }

    /// Reads the settings again, and says which are others.
    pub(crate) fn read_settings(&mut self, at: UnixMicros, rows: &mut Vec<Row>) {
        let before = self.policies;
        self.policies = policies(&self.host);
        for sysctl in Sysctl::all() {
            let Ok(now) = self.host.sysctl(sysctl) else { continue };
            let was = self.settings.insert(sysctl, now);
            if was == Some(now) {
                continue;
            }
            // Once each: a value that goes to and fro would fill the memory.
            if let Some(earlier) = sysctl.timeout().zip(was).filter(|earlier| !self.earlier.contains(earlier)) {
                self.earlier.push(earlier);
            }
            rows.push(Row::Change(Change {
                at,
                kind: ChangeKind::Setting,
                what: sysctl.name().to_string(),
                from: was.map(|was| was.to_string()),
                to: Some(now.to_string()),
            }));
        }
        if before != self.policies {
            rows.push(Row::Change(Change {
                at,
                kind: ChangeKind::Setting,
                what: "timeout policies".to_string(),
                from: None,
                to: Some(match self.policies {
                    Policies::None => "0".to_string(),
                    Policies::Some(number) => number.to_string(),
                    Policies::Unknown => "unknown".to_string(),
                }),
            }));
        }
        let timeouts: Timeouts =
            self.settings.iter().filter_map(|(sysctl, secs)| Some((sysctl.timeout()?, *secs))).collect();
        let uptime_secs = u32::try_from(monotonic_now().as_secs()).unwrap_or(u32::MAX);
        self.armings = match self.history {
            History::MayHaveBeenDefaults => Armings::over_time(&timeouts, &self.earlier, self.policies, uptime_secs),
            History::Unchanged => Armings::of_these(&timeouts, &self.earlier, self.policies, uptime_secs),
        };
    }

    /// Reads the numbers.
    pub(crate) fn numbers(&self) -> Numbers {
        let statistics = self.host.statistics(NetFiles::OfThread).ok();
        // Some kernels have no such file.
        let counters = match statistics {
            Some(statistics) => Some(statistics.counters),
            None => plimsoll_ctnetlink::cpu_statistics().ok(),
        };
        Numbers {
            occupancy: self.host.occupancy().ok(),
            capacity: self.host.capacity().ok(),
            buckets: self.host.buckets().ok(),
            counters: counters.unwrap_or_default(),
        }
    }

    /// Chains of the hash.
    pub(crate) fn buckets(&self) -> Option<Buckets> {
        self.host.buckets().ok()
    }

    /// Entries that the kernel counts.
    pub(crate) fn occupancy(&self) -> Option<Occupancy> {
        self.host.occupancy().ok()
    }
}
