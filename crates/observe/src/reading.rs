//! One reading of one namespace, without its entries.

use std::os::fd::AsFd;
use std::time::Duration;

use plimsoll_ctnetlink::{PolicyKeeper, conntrack_is_hooked, cpu_statistics, table_statistics, timeout_policies};
use plimsoll_host::{HostFs, Statistics, Subsystem, in_namespace, monotonic_now};
use plimsoll_model::{
    Answer, Capacity, Change, CounterReading, ModuleState, Namespace, NamespaceSnapshot, Occupancy, Policies, Reading,
    Relation, Timeouts, Unseen, Untrusted,
};

/// A namespace, and the way into it.
#[derive(Debug)]
pub(crate) struct Place<'a, F> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) file: &'a F,
}

impl<F> Clone for Place<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Place<'_, F> {}

impl<F: AsFd> Place<'_, F> {
    /// Runs a closure in the namespace. Plimsoll's own needs no right to be entered: it is there already.
    pub(crate) fn visit<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, plimsoll_host::Error> {
        match self.namespace.relation {
            Relation::Own => Ok(work()),
            Relation::Other => in_namespace(self.file, work),
        }
    }
}

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

impl Moment {
    /// What changed since an earlier moment, and how many packets passed.
    pub(crate) fn since(&self, earlier: &Self) -> (Option<Change>, Option<u64>) {
        let packets = self.packets.zip(earlier.packets).map(|(now, before)| now.saturating_sub(before));
        let change = || {
            Some(Change {
                over: self.at.saturating_sub(earlier.at),
                counters: self.counters.as_ref()?.since(earlier.counters.as_ref()?),
                occupancy: i64::from(self.occupancy?.0) - i64::from(earlier.occupancy?.0),
            })
        };
        (change(), packets)
    }

    /// Brings a snapshot up to this moment.
    pub(crate) fn apply_to(self, snapshot: &mut NamespaceSnapshot, earlier: &Self) {
        (snapshot.change, snapshot.packets) = self.since(earlier);
        snapshot.occupancy = self.occupancy.or(snapshot.occupancy);
        snapshot.counters = self.counters.or(snapshot.counters.take());
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
pub(crate) fn first<F: AsFd>(host: &HostFs, place: Place<'_, F>, module: ModuleState) -> FirstReading {
    let mut gaps = Gaps { namespace: place.namespace, unseen: Vec::new() };
    let visited = place.visit(|| {
        // Threads that visit do not outlive this, so the notes can be theirs meanwhile.
        let mut inner = Gaps { namespace: place.namespace, unseen: Vec::new() };
        let read = (module != ModuleState::Absent).then(|| read_table(host, &mut inner));
        let tracking = tracking(host, module, read.as_ref().and_then(|(moment, _)| moment.occupancy));
        let moment = read.as_ref().map(|(moment, _)| moment.clone());
        let expectations = host.expectations().ok();
        (moment, read.and_then(|(_, capacity)| capacity), expectations, tracking, inner.unseen)
    });
    let (moment, capacity, expectations, tracking) = match visited {
        Ok((moment, capacity, expectations, tracking, unseen)) => {
            gaps.unseen.extend(unseen);
            (moment, capacity, expectations, tracking)
        }
        Err(error) => {
            gaps.note(Reading::Namespace, &error);
            (None, None, None, Answer::Inconclusive { because: "the namespace could not be entered".to_string() })
        }
    };
    let moment =
        moment.unwrap_or_else(|| Moment { at: monotonic_now(), occupancy: None, counters: None, packets: None });
    FirstReading {
        snapshot: NamespaceSnapshot {
            namespace: place.namespace.clone(),
            occupancy: moment.occupancy,
            capacity,
            expectations,
            timeouts: Timeouts::default(),
            policies: Policies::Unknown,
            counters: moment.counters.clone(),
            change: None,
            tracking,
            packets: None,
            census: None,
        },
        moment,
        unseen: gaps.unseen,
    }
}

/// Reads again what changes; `None` where it cannot be read any more.
pub(crate) fn again<F: AsFd>(host: &HostFs, place: Place<'_, F>) -> Option<Moment> {
    let mut gaps = Gaps { namespace: place.namespace, unseen: Vec::new() };
    place.visit(|| read_moment(host, &mut gaps)).ok()
}

/// Reads what is needed to understand entries: the timeouts in force, and whether policies may have armed them.
pub(crate) fn timeouts<F: AsFd>(host: &HostFs, place: Place<'_, F>) -> (Timeouts, Policies, Vec<Unseen>) {
    let mut gaps = Gaps { namespace: place.namespace, unseen: Vec::new() };
    match place.visit(|| (host.timeouts(), policies(host))) {
        Ok((timeouts, policies)) => {
            // One note for all: they are missing together, or a kernel lacks some.
            if let Some(error) = timeouts.errors.first() {
                gaps.note(Reading::Timeouts, error);
            }
            (timeouts.read, policies, gaps.unseen)
        }
        Err(error) => {
            gaps.note(Reading::Timeouts, &error);
            (Timeouts::default(), Policies::Unknown, gaps.unseen)
        }
    }
}

/// Whether conntrack can be asked by netlink without the kernel loading a module for it.
pub(crate) fn may_ask_conntrack(host: &HostFs) -> Answer {
    match host.asking_loads_nothing(Subsystem::Nfnetlink) {
        Answer::Yes => host.asking_loads_nothing(Subsystem::ConntrackNetlink),
        other => other,
    }
}

fn read_table(host: &HostFs, gaps: &mut Gaps<'_>) -> (Moment, Option<Capacity>) {
    let moment = read_moment(host, gaps);
    let capacity = host.capacity().or_else(|error| {
        // A namespace that hides its sysctls still tells by netlink.
        let by_netlink = may_ask_conntrack(host) == Answer::Yes;
        by_netlink.then(|| table_statistics().ok()?.capacity).flatten().ok_or(error)
    });
    (moment, gaps.keep(Reading::Capacity, capacity))
}

fn read_moment(host: &HostFs, gaps: &mut Gaps<'_>) -> Moment {
    let at = monotonic_now();
    let Statistics { occupancy, counters } = match host.statistics() {
        Ok(statistics) => statistics,
        Err(error) => match statistics_by_netlink(host) {
            Some(statistics) => statistics,
            None => {
                gaps.note(Reading::Counters, &error);
                Statistics { occupancy: None, counters: CounterReading::default() }
            }
        },
    };
    let occupancy = match host.occupancy() {
        Ok(occupancy) => Some(occupancy),
        Err(_) if occupancy.is_some() => occupancy,
        Err(error) => {
            gaps.note(Reading::Occupancy, &error);
            None
        }
    };
    let counters = (!counters.cpus.is_empty()).then_some(counters);
    Moment { at, occupancy, counters, packets: host.packets().ok() }
}

/// Kernels that are built without the /proc files still answer by netlink.
fn statistics_by_netlink(host: &HostFs) -> Option<Statistics> {
    if may_ask_conntrack(host) != Answer::Yes {
        return None;
    }
    Some(Statistics {
        occupancy: table_statistics().ok().map(|table| table.occupancy),
        counters: cpu_statistics().ok()?,
    })
}

/// Whether packets are tracked here. An entry proves it; otherwise the list of hooks tells, where the kernel has it.
fn tracking(host: &HostFs, module: ModuleState, occupancy: Option<Occupancy>) -> Answer {
    if module == ModuleState::Absent {
        return Answer::No { needs: "the module nf_conntrack, which a rule that needs it loads".to_string() };
    }
    if occupancy.is_some_and(|occupancy| occupancy.0 > 0) {
        return Answer::Yes;
    }
    match host.asking_loads_nothing(Subsystem::HookNetlink) {
        Answer::Yes => match conntrack_is_hooked() {
            Ok(true) => Answer::Yes,
            Ok(false) => Answer::No { needs: "a rule that asks for a connection's state, or NAT".to_string() },
            Err(error) if error.is_unsupported() => {
                Answer::Inconclusive { because: "this kernel does not list its hooks (nfnetlink_hook)".to_string() }
            }
            Err(error) => Answer::Inconclusive { because: error.to_string() },
        },
        Answer::No { needs } => Answer::Inconclusive { because: format!("listing the hooks takes {needs}") },
        Answer::Inconclusive { because } => Answer::Inconclusive { because },
    }
}

/// Timeout policies are kept by two subsystems; one that is not there keeps none.
fn policies(host: &HostFs) -> Policies {
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
