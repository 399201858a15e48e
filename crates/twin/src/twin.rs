//! The whole of a host's tracking.

use std::num::NonZeroU16;
use std::time::Duration;

use plimsoll_draw::Draw;
use plimsoll_model::{Buckets, Capacity, Occupancy, Timeouts, Zone};

use crate::by_source::BySource;
use crate::counters::{Counters, Removals};
use crate::expectation::Expectations;
use crate::gc::Gc;
use crate::memory::Extensions;
use crate::table::Table;
use crate::tick::Tick;
use crate::timeouts::Spans;
use crate::{Capabilities, HostSettings, Settings};

/// One host's connection tracking.
#[derive(Debug)]
pub struct Twin {
    pub(crate) host: HostSettings,
    pub(crate) namespaces: Vec<Namespace>,
    pub(crate) policies: Vec<Spans>,
    pub(crate) table: Table,
    pub(crate) gc: Gc,
    pub(crate) expectations: Expectations,
    pub(crate) by_source: BySource,
    pub(crate) draw: Draw,
    pub(crate) extension_bytes: u64,
    clock: Clock,
}

/// What time it is.
#[derive(Debug)]
struct Clock {
    /// The latest moment that was told.
    last: Duration,
    /// The tick of that moment, and when it ends, in nanoseconds of the moment's second.
    tick: Tick,
    tick_ends: u32,
    /// Whether an earlier tick was told later: packets that come late may have saved what had expired.
    has_gone_back: bool,
    /// No longer does time pass in one step: ticks wrap.
    longest_step: Duration,
}

impl Clock {
    /// Whether a moment comes behind the latest one, and before the next tick.
    #[inline]
    fn is_in_tick(&self, now: Duration) -> bool {
        now.as_secs() == self.last.as_secs() && (self.last.subsec_nanos()..self.tick_ends).contains(&now.subsec_nanos())
    }
}

/// A network namespace of a twin: of another one it means nothing, and may make a call panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceId(pub(crate) u16);

/// A timeout policy: timeouts that hold for the entries on which a rule sets them (nft's `ct timeout`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyId(NonZeroU16);

impl PolicyId {
    pub(crate) const fn place(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Where a packet comes: its namespace, and the conntrack zone that rules set for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Namespace.
    pub namespace: NamespaceId,
    /// Zone.
    pub zone: Zone,
}

impl From<NamespaceId> for Place {
    fn from(namespace: NamespaceId) -> Self {
        Self { namespace, zone: Zone::default() }
    }
}

#[derive(Debug)]
pub(crate) struct Namespace {
    pub(crate) settings: Settings,
    pub(crate) spans: Spans,
    /// What every new entry carries.
    pub(crate) extensions: Extensions,
    pub(crate) count: u32,
    /// Entries in the table.
    pub(crate) in_table: u32,
    pub(crate) expected: u32,
    pub(crate) counters: Counters,
    pub(crate) removals: Removals,
}

const LONGEST_STEP_JIFFIES: u32 = 1 << 30;

impl Twin {
    /// A host on which nothing is tracked yet.
    pub fn new(host: HostSettings) -> Self {
        let mut draw = Draw::new(host.seed);
        let table = Table::new(host.buckets.0, host.capacity.limit().unwrap_or(0), draw.next());
        Self {
            namespaces: Vec::new(),
            policies: Vec::new(),
            gc: Gc::new(host.capabilities.hz.tick(host.first_collection)),
            table,
            expectations: Expectations::default(),
            by_source: BySource::default(),
            draw,
            extension_bytes: 0,
            // The first moment is one that comes behind.
            clock: Clock {
                last: Duration::ZERO,
                tick: Tick::default(),
                tick_ends: 0,
                has_gone_back: false,
                longest_step: host.capabilities.hz.duration(LONGEST_STEP_JIFFIES),
            },
            host,
        }
    }

    /// Adds a network namespace.
    ///
    /// # Panics
    /// With more than 65,535 of them.
    #[expect(clippy::expect_used, reason = "documented")]
    pub fn add_namespace(&mut self, settings: Settings) -> NamespaceId {
        let id = NamespaceId(u16::try_from(self.namespaces.len()).expect("at most 65,535 namespaces"));
        self.namespaces.push(Namespace {
            spans: Spans::of(&settings.timeouts, self.host.capabilities.hz),
            extensions: Extensions::of_every_entry(&settings, &self.host.capabilities),
            settings,
            count: 0,
            in_table: 0,
            expected: 0,
            counters: Counters::default(),
            removals: Removals::default(),
        });
        id
    }

    /// Adds a timeout policy. What is not among its timeouts is the compiled one, whatever the namespace's sysctls say: that is
    /// how nft(8) makes it. (The kernel alone would take the sysctls, as it does for nfct(8).)
    ///
    /// # Panics
    /// With more than 65,535 of them.
    #[expect(clippy::expect_used, reason = "documented")]
    pub fn add_policy(&mut self, timeouts: &Timeouts) -> PolicyId {
        self.policies.push(Spans::of(timeouts, self.host.capabilities.hz));
        let count = u16::try_from(self.policies.len()).ok();
        PolicyId(count.and_then(NonZeroU16::new).expect("at most 65,535 policies"))
    }

    /// How the kernel behaves.
    pub const fn capabilities(&self) -> &Capabilities {
        &self.host.capabilities
    }

    /// What is set for all namespaces.
    pub const fn host_settings(&self) -> &HostSettings {
        &self.host
    }

    /// What is set for a namespace.
    pub fn settings(&self, namespace: NamespaceId) -> &Settings {
        &self.namespace(namespace).settings
    }

    /// Sets a namespace's settings. Entries keep the expiry with which they were armed until their next packet.
    pub fn set_settings(&mut self, namespace: NamespaceId, settings: Settings) {
        let spans = Spans::of(&settings.timeouts, self.host.capabilities.hz);
        let extensions = Extensions::of_every_entry(&settings, &self.host.capabilities);
        let namespace = self.namespace_mut(namespace);
        namespace.spans = spans;
        namespace.extensions = extensions;
        namespace.settings = settings;
    }

    /// Sets the limit. Nothing is evicted, however low it is.
    pub const fn set_capacity(&mut self, capacity: Capacity) {
        self.host.capacity = capacity;
    }

    /// Sets the number of buckets: every entry is hashed anew. The limit stays.
    pub fn set_buckets(&mut self, buckets: Buckets) {
        self.host.buckets = buckets;
        self.table.resize(buckets.0, self.gc.next_bucket);
    }

    /// Entries that the kernel counts in a namespace: those in the table, expired ones among them, and those whose first
    /// packet is on its way.
    pub fn occupancy(&self, namespace: NamespaceId) -> Occupancy {
        Occupancy(self.namespace(namespace).count)
    }

    /// Expectations of a namespace.
    pub fn expectations(&self, namespace: NamespaceId) -> u32 {
        self.namespace(namespace).expected
    }

    /// The kernel's counters of a namespace.
    pub fn counters(&self, namespace: NamespaceId) -> &Counters {
        &self.namespace(namespace).counters
    }

    /// What has removed a namespace's entries.
    pub fn removals(&self, namespace: NamespaceId) -> &Removals {
        &self.namespace(namespace).removals
    }

    /// Lets time pass: gc does what is due.
    pub fn advance(&mut self, now: Duration) {
        self.pass_time(now);
    }

    /// Lets time pass, and returns the moment. A moment before the latest one is none that has passed.
    #[inline]
    pub(crate) fn pass_time(&mut self, now: Duration) -> Tick {
        // Nothing happens between two ticks.
        if self.clock.is_in_tick(now) {
            self.clock.last = now;
            return self.clock.tick;
        }
        self.pass_ticks(now)
    }

    fn pass_ticks(&mut self, now: Duration) -> Tick {
        if now < self.clock.last {
            let tick = self.tick(now);
            self.clock.has_gone_back |= tick != self.clock.tick;
            return tick;
        }
        if now.saturating_sub(self.clock.last) > self.clock.longest_step {
            self.leap(now);
        }
        let hz = self.host.capabilities.hz;
        self.clock.last = now;
        self.clock.tick = hz.tick(now);
        self.clock.tick_ends = hz.end_of_tick(now);
        self.collect_until(self.clock.tick);
        self.table.mark_until(self.clock.tick, self.gc.next_bucket);
        self.clock.tick
    }

    /// Ticks wrap: a leap so long that what lay before it would seem to come behind is made in steps.
    #[cold]
    fn leap(&mut self, now: Duration) {
        // In four of them everything has expired: no timeout is longer than two.
        const STEPS: u32 = 4;
        let step = self.clock.longest_step;
        self.clock.last = self.clock.last.max(now.saturating_sub(step * STEPS));
        while now.saturating_sub(self.clock.last) > step {
            self.clock.last += step;
            self.collect_at(self.tick(self.clock.last));
        }
    }

    pub(crate) const fn has_gone_back(&self) -> bool {
        self.clock.has_gone_back
    }

    pub(crate) fn tick(&self, now: Duration) -> Tick {
        self.host.capabilities.hz.tick(now)
    }

    pub(crate) fn namespace(&self, id: NamespaceId) -> &Namespace {
        &self.namespaces[id.0 as usize]
    }

    pub(crate) fn namespace_mut(&mut self, id: NamespaceId) -> &mut Namespace {
        &mut self.namespaces[id.0 as usize]
    }
}
