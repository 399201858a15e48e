//! One reading of one namespace, without its entries.

use std::time::Duration;

use plimsoll_ctnetlink::{PolicyKeeper, conntrack_is_hooked, cpu_statistics, table_statistics, timeout_policies};
use plimsoll_host::{HostFs, NetFiles, Subsystem, monotonic_now};
use plimsoll_model::{
    Answer, Capacity, Change, CounterReading, ModuleState, Namespace, NamespaceSnapshot, NetworkSettings, Occupancy,
    Policies, Reading, Timeouts, Unseen, Untrusted,
};

use crate::capabilities::may_ask_conntrack;
use crate::place::{Place, Unvisited};

/// What was read, what was not, and when.
pub(crate) struct FirstReading {
    pub(crate) snapshot: NamespaceSnapshot,
    pub(crate) moment: Moment,
    pub(crate) unseen: Vec<Unseen>,
}

/// What changes from one reading to the next.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    at: Duration,
    occupancy: Option<Occupancy>,
    counters: Option<CounterReading>,
    packets: Option<u64>,
}

/// Entries as they were counted, and when.
pub(crate) type Course = Vec<(Duration, Occupancy)>;

impl Moment {
    /// Now, when nothing could be read.
    fn of_nothing() -> Self {
        Self { at: monotonic_now(), occupancy: None, counters: None, packets: None }
    }

    /// What changed since an earlier moment; between them, entries were counted. Counters go on from `counted`, which may be
    /// earlier.
    fn since(&self, earlier: &Self, between: &Course, counted: &Self) -> Option<Change> {
        Some(Change {
            over: self.at.saturating_sub(counted.at),
            counters: self.counters.as_ref()?.since(counted.counters.as_ref()?),
            watched: self.at.saturating_sub(earlier.at),
            occupancy: i64::from(self.occupancy?.0) - i64::from(earlier.occupancy?.0),
            course: self.course_since(earlier, between),
        })
    }

    /// How many packets passed since an earlier moment.
    fn packets_since(&self, earlier: &Self) -> Option<u64> {
        Some(self.packets?.saturating_sub(earlier.packets?))
    }

    /// Whether this can be a later look at the same namespace as an earlier one was.
    fn can_follow(&self, earlier: &Self) -> bool {
        self.counters.as_ref().zip(earlier.counters.as_ref()).is_some_and(|(now, before)| now.can_follow(before))
    }

    /// The counts from an earlier moment to this one, by the time since the earlier.
    fn course_since(&self, earlier: &Self, between: &Course) -> Course {
        let first = earlier.occupancy.map(|occupancy| (earlier.at, occupancy));
        let last = self.occupancy.map(|occupancy| (self.at, occupancy));
        let all = first.into_iter().chain(between.iter().copied()).chain(last);
        all.map(|(at, occupancy)| (at.saturating_sub(earlier.at), occupancy)).collect()
    }

    /// Brings a snapshot up to this moment; between the earlier one and this, entries were counted. Counters go on from the last
    /// look of the reading before, if there was one: nothing is lost between readings.
    pub(crate) fn apply_to(
        &self,
        snapshot: &mut NamespaceSnapshot,
        earlier: &Self,
        between: &Course,
        before: Option<&Self>,
    ) {
        let counted = before.filter(|before| self.can_follow(before)).unwrap_or(earlier);
        snapshot.change = self.since(earlier, between, counted);
        snapshot.packets = self.packets_since(earlier);
        snapshot.occupancy = self.occupancy.or(snapshot.occupancy);
        snapshot.counters = self.counters.clone().or(snapshot.counters.take());
    }
}

/// Notes of what could not be read in one namespace.
struct Gaps<'a> {
    namespace: &'a Namespace,
    unseen: Vec<Unseen>,
}

impl Gaps<'_> {
    fn note(&mut self, reading: Reading, error: &plimsoll_host::Error) {
        let namespace = Some(self.namespace.name.clone());
        self.unseen.push(Unseen { namespace, ..error.unseen(reading) });
    }

    fn keep<T>(&mut self, reading: Reading, result: Result<T, plimsoll_host::Error>) -> Option<T> {
        result.inspect_err(|error| self.note(reading, error)).ok()
    }
}

/// Reads a namespace for the first time: all but what entries need.
pub(crate) fn first(host: &HostFs, place: Place<'_>, module: ModuleState, list_hooks: &Answer) -> FirstReading {
    let mut unseen = Vec::new();
    let read = place.visit(|| read_inside(host, place.namespace, module, list_hooks)).or_else(|refusal| {
        // A process that is in there shows the counters, to anybody.
        match place.process {
            Some(pid) => Ok(read_from_outside(host, place.namespace, pid, &refusal)),
            None => Err(refusal),
        }
    });
    let nothing = || Inside {
        moment: Moment::of_nothing(),
        capacity: None,
        expectations: None,
        settings: NetworkSettings::default(),
        tracking: Answer::Inconclusive { because: "the namespace could not be entered".to_string() },
        unseen: Vec::new(),
    };
    let inside = read.unwrap_or_else(|refusal| {
        unseen.push(refusal.unseen(Reading::Namespace, place.namespace));
        nothing()
    });
    unseen.extend(inside.unseen);
    FirstReading {
        snapshot: NamespaceSnapshot {
            namespace: place.namespace.clone(),
            occupancy: inside.moment.occupancy,
            capacity: inside.capacity,
            expectations: inside.expectations,
            timeouts: Timeouts::default(),
            policies: Policies::Unknown,
            settings: inside.settings,
            counters: inside.moment.counters.clone(),
            change: None,
            tracking: inside.tracking,
            packets: None,
            census: None,
            surroundings: None,
        },
        moment: inside.moment,
        unseen,
    }
}

/// Reads again what changes, and notes what cannot be read any more.
pub(crate) fn again(host: &HostFs, place: Place<'_>) -> (Option<Moment>, Vec<Unseen>) {
    let read = |from| {
        let mut gaps = Gaps { namespace: place.namespace, unseen: Vec::new() };
        (Some(read_moment(host, from, &mut gaps)), gaps.unseen)
    };
    place.visit(|| read(NetFiles::OfThread)).unwrap_or_else(|refusal| match place.process {
        Some(pid) => read(NetFiles::OfProcess(pid)),
        None => (None, vec![refusal.unseen(Reading::Namespace, place.namespace)]),
    })
}

/// When, how many entries, and the counters.
pub(crate) fn counts(host: &HostFs, place: Place<'_>) -> (Duration, Option<Occupancy>, Option<CounterReading>) {
    let moment = again(host, place).0.unwrap_or_else(Moment::of_nothing);
    (moment.at, moment.occupancy, moment.counters)
}

/// Counts the entries, and nothing else.
pub(crate) fn count(host: &HostFs, place: Place<'_>) -> Option<(Duration, Occupancy)> {
    let occupancy = match place.visit(|| host.occupancy()) {
        Ok(read) => read.ok()?,
        Err(_) => host.statistics(NetFiles::OfProcess(place.process?)).ok()?.occupancy?,
    };
    Some((monotonic_now(), occupancy))
}

/// Reads what is needed to understand entries: the timeouts in force, and whether policies may have armed them.
pub(crate) fn timeouts(host: &HostFs, place: Place<'_>) -> (Timeouts, Policies, Vec<Unseen>) {
    let mut gaps = Gaps { namespace: place.namespace, unseen: Vec::new() };
    match place.visit(|| (host.timeouts(), policies(host))) {
        Ok((timeouts, policies)) => {
            // One note for all: they are missing together, or a kernel lacks some.
            if let Some(error) = timeouts.errors.first() {
                gaps.note(Reading::Timeouts, error);
            }
            (timeouts.read, policies, gaps.unseen)
        }
        Err(refusal) => {
            let unseen = vec![refusal.unseen(Reading::Timeouts, place.namespace)];
            (Timeouts::default(), Policies::Unknown, unseen)
        }
    }
}

/// What one namespace shows.
struct Inside {
    moment: Moment,
    capacity: Option<Capacity>,
    expectations: Option<u32>,
    settings: NetworkSettings,
    tracking: Answer,
    unseen: Vec<Unseen>,
}

fn read_inside(host: &HostFs, namespace: &Namespace, module: ModuleState, list_hooks: &Answer) -> Inside {
    let mut gaps = Gaps { namespace, unseen: Vec::new() };
    if module == ModuleState::Absent {
        let moment = Moment::of_nothing();
        let tracking = tracking(list_hooks, module, None);
        let settings = NetworkSettings::default();
        return Inside { moment, capacity: None, expectations: None, settings, tracking, unseen: gaps.unseen };
    }
    let moment = read_moment(host, NetFiles::OfThread, &mut gaps);
    let capacity = host.capacity().or_else(|error| {
        // A namespace that hides its sysctls still tells by netlink.
        let by_netlink = may_ask_conntrack(host) == Answer::Yes;
        by_netlink.then(|| table_statistics().ok()?.capacity).flatten().ok_or(error)
    });
    let settings = host.network_settings();
    // One note for all: what forbids one forbids the others.
    if let Some(error) = settings.errors.first() {
        gaps.note(Reading::Settings, error);
    }
    Inside {
        capacity: gaps.keep(Reading::Capacity, capacity),
        expectations: host.expectations().ok(),
        settings: settings.read,
        tracking: tracking(list_hooks, module, moment.occupancy),
        moment,
        unseen: gaps.unseen,
    }
}

/// What `/proc/<pid>/net` shows of a namespace that may not be entered. The limit is the same in all.
fn read_from_outside(host: &HostFs, namespace: &Namespace, pid: u32, refusal: &Unvisited) -> Inside {
    let mut gaps = Gaps { namespace, unseen: vec![refusal.unseen(Reading::Settings, namespace)] };
    let moment = read_moment(host, NetFiles::OfProcess(pid), &mut gaps);
    Inside {
        capacity: gaps.keep(Reading::Capacity, host.capacity()),
        expectations: None,
        settings: NetworkSettings::default(),
        tracking: match moment.occupancy {
            Some(occupancy) if occupancy.0 > 0 => Answer::Yes,
            _ => Answer::Inconclusive { because: "the namespace may not be entered".to_string() },
        },
        moment,
        unseen: gaps.unseen,
    }
}

fn read_moment(host: &HostFs, from: NetFiles, gaps: &mut Gaps<'_>) -> Moment {
    let at = monotonic_now();
    let statistics = host.statistics(from).map(|read| (read.occupancy, read.counters));
    let (occupancy, counters) = statistics
        .or_else(|error| match from {
            NetFiles::OfThread => statistics_by_netlink(host).ok_or(error),
            NetFiles::OfProcess(_) => Err(error),
        })
        .map_or_else(
            |error| {
                gaps.note(Reading::Counters, &error);
                (None, None)
            },
            |(occupancy, counters)| (occupancy, Some(counters)),
        );
    let occupancy = match (occupancy, from) {
        (Some(occupancy), _) => Some(occupancy),
        (None, NetFiles::OfThread) => gaps.keep(Reading::Occupancy, host.occupancy()),
        (None, NetFiles::OfProcess(_)) => None,
    };
    Moment { at, occupancy, counters, packets: host.packets(from).ok() }
}

/// Kernels that are built without the /proc files still answer by netlink.
fn statistics_by_netlink(host: &HostFs) -> Option<(Option<Occupancy>, CounterReading)> {
    if may_ask_conntrack(host) != Answer::Yes {
        return None;
    }
    Some((table_statistics().ok().map(|table| table.occupancy), cpu_statistics().ok()?))
}

/// Whether packets are tracked here. An entry proves it; otherwise the list of hooks tells, where the kernel has it.
fn tracking(list_hooks: &Answer, module: ModuleState, occupancy: Option<Occupancy>) -> Answer {
    if module == ModuleState::Absent {
        return Answer::No { needs: "the module nf_conntrack, which a rule that needs it loads".to_string() };
    }
    if occupancy.is_some_and(|occupancy| occupancy.0 > 0) {
        return Answer::Yes;
    }
    match list_hooks {
        Answer::Yes => match conntrack_is_hooked() {
            Ok(true) => Answer::Yes,
            Ok(false) => Answer::No { needs: "a rule that asks for a connection's state, or NAT".to_string() },
            Err(error) => Answer::Inconclusive { because: error.to_string() },
        },
        Answer::No { needs } => Answer::Inconclusive { because: format!("listing the hooks takes {needs}") },
        Answer::Inconclusive { because } => Answer::Inconclusive { because: because.clone() },
    }
}

/// The timeout policies of the calling thread's namespace. Two subsystems keep such; one that is not there keeps none, and
/// is not loaded to be asked.
pub fn policies(host: &HostFs) -> Policies {
    let keepers = [(Subsystem::TimeoutNetlink, PolicyKeeper::Cttimeout), (Subsystem::NfTables, PolicyKeeper::Nftables)];
    let mut count = 0;
    for (subsystem, keeper) in keepers {
        match host.asking_loads_nothing(subsystem) {
            Answer::Yes => match timeout_policies(keeper) {
                Ok(found) => count += found,
                Err(_) => return Policies::Unknown,
            },
            Answer::No { .. } => {}
            Answer::Inconclusive { .. } => return Policies::Unknown,
        }
    }
    if count == 0 { Policies::None } else { Policies::Some(count) }
}

/// The gap that entries leave which could not be read.
pub(crate) fn unseen_entries(namespace: &Namespace, answered: &str, needs: String) -> Unseen {
    Unseen {
        reading: Reading::Entries,
        namespace: Some(namespace.name.clone()),
        tried: Untrusted::from("dump the conntrack entries"),
        answered: Untrusted::from(answered),
        needs,
    }
}
