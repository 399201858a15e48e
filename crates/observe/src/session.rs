//! The order of a reading: what is cheap first, the same again after the interval, and then entries where it pays. Entries
//! last, because a dump frees the expired ones that it passes: a count after it has fallen by them.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use plimsoll_census::Armings;
use plimsoll_ctnetlink::zone_limits;
use plimsoll_host::{Found, HostFs, allow_many_open_files, monotonic_now};
use plimsoll_model::{
    Answer, Coverage, Elsewhere, Inode, Limits, ModuleState, NamedBy, Occupancy, Reading, Scope, Snapshot, Unseen,
    Writer,
};

use crate::capabilities;
use crate::choice::{Asked, Choice, choose};
use crate::find::targeted;
use crate::place::{Place, Unvisited};
use crate::reader::{self, Reader};
use crate::reading::{self, Course, Moment};
use crate::{Depth, Error, Options, Target};

/// When counters were last read, of each namespace.
pub(crate) type LastMoments = HashMap<Inode, Moment>;

pub(crate) struct Session<'a> {
    options: &'a Options,
    host: HostFs,
    /// When the last of the first readings was made.
    read_at: Duration,
    places: Vec<Found>,
    asked: Asked,
    /// The first moment of each place, and then the last.
    moments: Vec<Moment>,
    /// The last moments of the reading before this one.
    before: &'a LastMoments,
    snapshot: Snapshot,
}

impl<'a> Session<'a> {
    /// Finds the namespaces and reads each once.
    pub(crate) fn begin(options: &'a Options, before: &'a LastMoments) -> Result<Self, Error> {
        allow_many_open_files();
        let host = HostFs::new();
        let discovery = host.namespaces();
        let mut unseen = discovery.unseen;
        let asked = match options.target {
            Target::All => Asked::AmongAll,
            Target::Named(_) => {
                // Only what concerns the one that was named is missing in a snapshot of it.
                unseen.retain(|gap| gap.reading != Reading::Namespaces && gap.reading != Reading::Namespace);
                Asked::ByName
            }
        };
        let places = targeted(discovery.found, &options.target)?;
        if places.is_empty() {
            let gap = unseen.into_iter().next();
            let (tried, answered) = gap.map_or(("look".into(), "nothing".into()), |gap| (gap.tried, gap.answered));
            return Err(Error::NoNamespaces { tried, answered });
        }
        let snapshot = host_snapshot(&host, asked, &places, unseen);
        let moments = Vec::new();
        let mut session = Self { options, host, read_at: monotonic_now(), places, asked, moments, before, snapshot };
        session.read_first();
        Ok(session)
    }

    /// Lets the interval pass and reads the counters again, then the entries. The last moments are told too.
    pub(crate) fn run(mut self, provisional: &mut dyn FnMut(&Snapshot)) -> (Snapshot, LastMoments) {
        if self.options.interval > Duration::ZERO {
            // From the last first reading on, so that a change is never of less than what was asked for.
            let courses = self.watch(self.read_at + self.options.interval);
            self.read_again(courses);
            // What the kernel logged meanwhile; where it cannot be read, that has been said.
            self.snapshot.log = self.host.kernel_log(monotonic_now()).ok().or(self.snapshot.log);
        }
        let deadline = monotonic_now() + self.options.timeout;
        for place in 0..self.places.len() {
            self.read_entries(place, deadline, provisional);
            self.read_timeouts_at_least(place);
        }
        self.let_the_slab_settle();
        let inodes = self.places.iter().map(|found| found.namespace.inode);
        let last = inodes.zip(self.moments).filter_map(|(inode, moment)| Some((inode?, moment))).collect();
        (self.snapshot, last)
    }

    /// Counts the entries of those namespaces that are worth reading, ten times until `end` or each second.
    fn watch(&self, end: Duration) -> Vec<Course> {
        const LOOKS: u32 = 10;
        const LONGEST_PAUSE: Duration = Duration::from_secs(1);
        let pause = (self.options.interval / LOOKS).min(LONGEST_PAUSE);
        let mut courses = vec![Course::new(); self.places.len()];
        let buckets = self.snapshot.limits.buckets;
        let is_watched = |index: &usize| choose(&self.snapshot.namespaces[*index], self.asked, buckets) != Choice::Skip;
        let watched: Vec<_> = (0..self.places.len()).filter(is_watched).collect();
        let mut next = monotonic_now() + pause;
        while next < end && !watched.is_empty() {
            sleep_until(next);
            next += pause;
            for index in &watched {
                courses[*index].extend(reading::count(&self.host, Place::of(&self.places[*index])));
            }
        }
        sleep_until(end);
        courses
    }

    /// A namespace that has just been removed leaves its entries in the slab for a moment. Where there are so many more
    /// than all namespaces count that one might be hidden, it is worth a moment to see whether they go away.
    fn let_the_slab_settle(&mut self) {
        const LOOKS: u32 = 20;
        const PAUSE: Duration = Duration::from_millis(50);
        let all_are_counted = self.snapshot.scope == Scope::All;
        let limit = self.snapshot.limits.capacity.and_then(plimsoll_model::Capacity::limit).filter(|_| all_are_counted);
        let Some(suspicious) = limit.map(|limit| self.snapshot.total_occupancy() + u64::from(limit) / 2) else {
            return;
        };
        for _ in 0..LOOKS {
            if self.snapshot.slab.is_none_or(|slab| slab.objects_in_use < suspicious) {
                return;
            }
            std::thread::sleep(PAUSE);
            self.snapshot.slab = self.host.slab().ok().or(self.snapshot.slab);
        }
    }

    fn read_first(&mut self) {
        let module = self.snapshot.module;
        let list_hooks = self.snapshot.capabilities.list_hooks.clone();
        for found in &self.places {
            let first = reading::first(&self.host, Place::of(found), module, &list_hooks);
            self.snapshot.namespaces.push(first.snapshot);
            self.moments.push(first.moment);
            self.snapshot.unseen.extend(first.unseen);
        }
        self.read_at = monotonic_now();
        let limits = &mut self.snapshot.limits;
        limits.capacity = limits.capacity.or_else(|| self.snapshot.namespaces.iter().find_map(|ns| ns.capacity));
    }

    fn read_again(&mut self, courses: Vec<Course>) {
        if self.snapshot.module == ModuleState::Absent {
            return;
        }
        for ((index, found), course) in self.places.iter().enumerate().zip(courses) {
            let (moment, unseen) = reading::again(&self.host, Place::of(found));
            if let Some(moment) = moment {
                let before = found.namespace.inode.and_then(|inode| self.before.get(&inode));
                moment.apply_to(&mut self.snapshot.namespaces[index], &self.moments[index], &course, before);
                self.moments[index] = moment;
            }
            // What could not be read the first time has been noted.
            let is_new = |gap: &Unseen| {
                let known = &self.snapshot.unseen;
                !known.iter().any(|other| (other.reading, &other.namespace) == (gap.reading, &gap.namespace))
            };
            let new: Vec<_> = unseen.into_iter().filter(is_new).collect();
            self.snapshot.unseen.extend(new);
        }
    }

    /// Reads the entries of a namespace where that is worth it, until `deadline` on the monotonic clock.
    fn read_entries(&mut self, index: usize, deadline: Duration, provisional: &mut dyn FnMut(&Snapshot)) {
        let ns = &self.snapshot.namespaces[index];
        let choice = match choose(ns, self.asked, self.snapshot.limits.buckets) {
            Choice::Skip => return,
            Choice::All if self.options.depth != Depth::Precise => Choice::Sample,
            choice => choice,
        };
        let Some(occupancy) = ns.occupancy else { return };
        if let Err(gap) = self.try_read_entries(index, choice, occupancy, deadline, provisional) {
            self.snapshot.unseen.push(gap);
        }
    }

    /// The timeouts that somebody may have set are told where no entries are read too: those of the host's own namespace, which
    /// files set, and of the one that was named.
    fn read_timeouts_at_least(&mut self, index: usize) {
        let ns = &self.snapshot.namespaces[index];
        let is_asked_for = ns.namespace.named_by == NamedBy::Host || self.snapshot.scope == Scope::Named;
        if !is_asked_for || !ns.timeouts.is_empty() || self.snapshot.module == ModuleState::Absent {
            return;
        }
        let (timeouts, policies, unseen) = reading::timeouts(&self.host, Place::of(&self.places[index]));
        let ns = &mut self.snapshot.namespaces[index];
        (ns.timeouts, ns.policies) = (timeouts, policies);
        self.snapshot.unseen.extend(unseen);
    }

    fn try_read_entries(
        &mut self,
        index: usize,
        choice: Choice,
        occupancy: Occupancy,
        deadline: Duration,
        provisional: &mut dyn FnMut(&Snapshot),
    ) -> Result<(), Unseen> {
        let found = &self.places[index];
        let namespace = &found.namespace;
        match self.snapshot.capabilities.read_entries.clone() {
            Answer::Yes => {}
            Answer::No { needs } => return Err(reading::unseen_entries(namespace, "not asked", needs)),
            Answer::Inconclusive { because } => {
                let needs = "nf_conntrack_netlink loaded (modprobe nf_conntrack_netlink)".to_string();
                return Err(reading::unseen_entries(namespace, &because, needs));
            }
        }
        let failed = |error: reader::Error| reading::unseen_entries(namespace, &error.to_string(), needs(&error));
        let place = Place::of(found);
        let (timeouts, policies, unseen) = reading::timeouts(&self.host, place);
        // Timeouts run on the kernel's ticks, which stand still with the monotonic clock while the host sleeps.
        let uptime_secs = u32::try_from(monotonic_now().as_secs()).unwrap_or(u32::MAX);
        let armings = Armings::in_force(&timeouts, policies, uptime_secs);
        let snapshot = &mut self.snapshot.namespaces[index];
        (snapshot.timeouts, snapshot.policies) = (timeouts, policies);
        self.snapshot.unseen.extend(unseen);

        let mut reader = Reader::begin(&self.host, place, armings).map_err(failed)?;
        let mut coverage = reader.read(self.options.depth, occupancy, deadline).map_err(failed)?;
        let precise = Coverage::Sample { because: plimsoll_model::StoppedBecause::PreciseEnough };
        if coverage == precise && (choice == Choice::All || reader.is_uneven()) {
            self.snapshot.namespaces[index].census = Some(reader.census(coverage, occupancy));
            provisional(&self.snapshot);
            coverage = reader.read(Depth::Exact, occupancy, deadline).map_err(failed)?;
        }
        self.snapshot.namespaces[index].census = Some(reader.census(coverage, occupancy));
        // The hash may have been resized meanwhile.
        self.snapshot.limits.buckets = reader.buckets().or(self.snapshot.limits.buckets);
        Ok(())
    }
}

fn sleep_until(moment: Duration) {
    std::thread::sleep(moment.saturating_sub(monotonic_now()));
}

fn needs(error: &reader::Error) -> String {
    match error {
        reader::Error::Netlink(error) if error.is_permission() => {
            "root, or CAP_NET_ADMIN in the namespace's user namespace".to_string()
        }
        reader::Error::Unvisited(_) => Unvisited::NEEDS.to_string(),
        reader::Error::Netlink(_) | reader::Error::Thread(_) => "the cause of the system's answer removed".to_string(),
    }
}

/// What belongs to the host and to no namespace.
fn host_snapshot(host: &HostFs, asked: Asked, places: &[Found], mut unseen: Vec<Unseen>) -> Snapshot {
    let mut keep = |reading: Reading, error: &plimsoll_host::Error| unseen.push(error.unseen(reading));
    let machine = host.host();
    for error in &machine.errors {
        keep(Reading::Memory, error);
    }
    let module = host.module_state().unwrap_or_else(|error| {
        keep(Reading::Occupancy, &error);
        ModuleState::Unknown
    });
    let present = module != ModuleState::Absent;
    let slab = present.then(|| host.slab().inspect_err(|error| keep(Reading::Slab, error)).ok()).flatten();
    let buckets = present.then(|| host.buckets().inspect_err(|error| keep(Reading::Buckets, error)).ok()).flatten();
    let lasting = present.then(|| host.lasting().inspect_err(|error| keep(Reading::Lasting, error)).ok()).flatten();
    let writers = if present { writers(host, &mut keep) } else { Vec::new() };
    let log = host.kernel_log(monotonic_now()).inspect_err(|error| keep(Reading::KernelLog, error));
    let mut trackers = host.elsewhere();
    unseen.extend(trackers.unseen);
    trackers.found.iter_mut().for_each(read_zone_limits);
    Snapshot {
        taken_at_unix_secs: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        host: machine.read,
        module,
        limits: Limits { capacity: None, buckets, expect_max: host.expect_max().ok() },
        slab,
        scope: match asked {
            Asked::AmongAll => Scope::All,
            Asked::ByName => Scope::Named,
        },
        namespaces: Vec::new(),
        capabilities: capabilities::probe(host, &log, places),
        elsewhere: trackers.found,
        log: log.ok(),
        lasting,
        writers,
        applied: None,
        governed: Vec::new(),
        unseen,
    }
}

/// That the files are not the host's is said of [`Reading::Lasting`] already.
fn writers(host: &HostFs, keep: &mut impl FnMut(Reading, &plimsoll_host::Error)) -> Vec<Writer> {
    let found = host.writers();
    let errors = found.errors.iter().filter(|error| !matches!(error, plimsoll_host::Error::NotTheHosts { .. }));
    errors.for_each(|error| keep(Reading::Writers, error));
    found.read
}

/// Open vSwitch is there, so asking it loads nothing. Kernels before 4.18 have no limits to tell of.
fn read_zone_limits(tracker: &mut Elsewhere) {
    if let Elsewhere::OpenVswitchZones { limits } = tracker {
        *limits = match zone_limits() {
            Err(error) if error.is_unsupported() => Some(Vec::new()),
            answer => answer.ok(),
        };
    }
}
