//! A twin to which packets come, and all that is noted of it.

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use plimsoll_model::{NewEntry, Tuple, Zone};
use plimsoll_twin::packet::{Content, Packet};
use plimsoll_twin::{
    Asked, DropReason, EntryId, Memory, NamespaceId, NoRules, Place, Relation, Rules, Settings, Twin, Verdict,
};

use crate::outcome::{Chains, Completeness, Drops, Outcome, Peak};
use crate::reading::{Reading, Series};
use crate::watch::{Role, Tuples, Watch, harm};
use crate::{FalseKills, Harm, Progress, Setup};
use plimsoll_scenario::Side;

/// Between two readings the observer is told after so many packets: some tens of milliseconds.
const PACKETS_BETWEEN: u64 = 1 << 16;
/// Among entries that are there from the begin it is told after so many: some milliseconds.
const ENTRIES_BETWEEN: u64 = 1 << 12;

/// A packet that is not its flow's first.
#[derive(Clone, Copy)]
pub(crate) struct Further<'a> {
    pub(crate) at: Duration,
    pub(crate) asked: &'a Asked,
    pub(crate) content: &'a Content<'a>,
    pub(crate) from: Side,
}

pub(crate) struct Simulation<'o> {
    pub(crate) twin: Twin,
    namespace: NamespaceId,
    observer: &'o mut dyn FnMut(Progress) -> ControlFlow<()>,
    lasts: Option<Duration>,
    series: Series,
    packets: u64,
    /// From how many packets on the observer is told again: several may come at once.
    tell_due: u64,
    invalid: u64,
    drops: Drops,
    peak: Peak,
    saturated_at: Option<Duration>,
    memory_peak: Memory,
    chains: Chains,
    /// Entries that were to be there from the begin, whether they were made or not.
    standing: u64,
    standing_not_made: u64,
    pub(crate) flows: u64,
    pub(crate) refused_flows: u64,
    false_kills: FalseKills,
}

impl fmt::Debug for Simulation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").field("twin", &self.twin).finish_non_exhaustive()
    }
}

impl<'o> Simulation<'o> {
    pub(crate) fn new(
        setup: &Setup,
        settings: Settings,
        lasts: Option<Duration>,
        observer: &'o mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Self {
        let mut twin = Twin::new(setup.host);
        let namespace = twin.add_namespace(settings);
        Self {
            namespace,
            observer,
            lasts,
            series: Series::new(lasts),
            packets: 0,
            tell_due: PACKETS_BETWEEN,
            invalid: 0,
            drops: Drops::default(),
            peak: Peak::default(),
            saturated_at: None,
            memory_peak: twin.memory(),
            chains: Chains::default(),
            standing: 0,
            standing_not_made: 0,
            flows: 0,
            refused_flows: 0,
            false_kills: FalseKills::default(),
            twin,
        }
    }

    /// Makes an entry that is there from the begin; says whether to go on.
    pub(crate) fn stand(&mut self, new: &NewEntry) -> ControlFlow<()> {
        self.stand_from(Duration::ZERO, new);
        self.tell_of_standing()
    }

    /// Tells now and then how many are there; says whether to go on.
    pub(crate) fn tell_of_standing(&mut self) -> ControlFlow<()> {
        if self.standing.is_multiple_of(ENTRIES_BETWEEN) {
            self.tell(Duration::ZERO)
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Makes an entry without a packet; `None` if there is no room for it.
    pub(crate) fn stand_from(&mut self, at: Duration, new: &NewEntry) -> Option<EntryId> {
        self.standing += 1;
        let made = self.twin.insert(at, self.namespace, new).ok();
        match made {
            Some(_) => self.measure(at),
            None => self.standing_not_made += 1,
        }
        made
    }

    /// Lets time pass up to a packet's; says whether to go on, and if not, how far it came.
    #[inline]
    pub(crate) fn until(&mut self, at: Duration) -> ControlFlow<Duration> {
        if at < self.series.due() && self.packets < self.tell_due {
            return ControlFlow::Continue(());
        }
        self.read_and_tell(at)
    }

    #[inline(never)]
    fn read_and_tell(&mut self, at: Duration) -> ControlFlow<Duration> {
        while self.series.due() <= at {
            let due = self.series.due();
            let reading = self.read(due);
            self.series.push(reading);
            self.tell(due).map_break(|()| due)?;
        }
        if self.packets >= self.tell_due {
            self.tell_due = self.packets + PACKETS_BETWEEN;
            self.tell(at).map_break(|()| at)?;
        }
        ControlFlow::Continue(())
    }

    /// A tuple to look for.
    #[inline]
    pub(crate) fn ask(&self, zone: Zone, tuple: &Tuple) -> Asked {
        self.twin.ask(self.place(zone), tuple)
    }

    /// A flow's packet comes.
    #[inline]
    pub(crate) fn pass(
        &mut self,
        at: Duration,
        asked: &Asked,
        content: &Content<'_>,
        rules: &mut impl Rules,
    ) -> Verdict {
        let verdict = self.twin.pass_asked_for(at, asked, content, rules);
        self.note(at, &verdict);
        verdict
    }

    /// A packet comes that is no flow's, or that an ICMP error is.
    pub(crate) fn pass_stray(&mut self, at: Duration, packet: &Packet<'_>) {
        let verdict = self.twin.pass(at, self.place(Zone::default()), packet, &mut NoRules);
        self.note(at, &verdict);
    }

    #[inline]
    fn note(&mut self, at: Duration, verdict: &Verdict) {
        self.packets += 1;
        if !matches!(verdict, Verdict::Passed { relation: Relation::Established, .. }) {
            self.note_of_no_known_flow(at, verdict);
        }
    }

    #[inline(never)]
    fn note_of_no_known_flow(&mut self, at: Duration, verdict: &Verdict) {
        match verdict {
            Verdict::Untracked => {}
            // It may have made an entry.
            Verdict::Passed { .. } => self.measure(at),
            Verdict::Invalid => self.invalid += 1,
            Verdict::Dropped(reason) => {
                self.drops.count(*reason);
                if *reason == DropReason::TableFull && self.saturated_at.is_none() {
                    self.saturated_at = Some(at);
                }
            }
        }
    }

    /// A packet comes that is not its flow's first: if the flow's entry is gone by then, and the packet would have needed
    /// it, that is a false kill. Says what harm was done, too.
    #[inline]
    pub(crate) fn pass_watched(
        &mut self,
        packet: Further<'_>,
        watch: &mut Watch,
        tuples: impl FnOnce() -> Tuples,
        rules: &mut impl Rules,
    ) -> (Verdict, Option<Harm>) {
        let Further { at, asked, content, from } = packet;
        // What gc does before the packet is done before it is asked.
        let is_killed = watch.is_missing || watch.entry.is_some_and(|entry| !self.twin.survives(at, entry));
        if is_killed {
            return self.pass_killed(packet, watch, tuples, rules);
        }
        let verdict = self.pass(at, asked, content, rules);
        watch.note(content, from, &verdict);
        (verdict, None)
    }

    #[cold]
    fn pass_killed(
        &mut self,
        packet: Further<'_>,
        watch: &mut Watch,
        tuples: impl FnOnce() -> Tuples,
        rules: &mut impl Rules,
    ) -> (Verdict, Option<Harm>) {
        let Further { at, asked, content, from } = packet;
        let role = watch.role(content);
        watch.entry = None;
        watch.is_missing = false;
        let verdict = self.pass(at, asked, content, rules);
        watch.note(content, from, &verdict);
        if role != Role::Carries {
            return (verdict, None);
        }
        let now = match verdict {
            Verdict::Passed { entry, .. } => self.tuples(at, entry),
            _ => None,
        };
        let harm = harm(&tuples(), now.as_ref(), from);
        self.false_kills.count(harm);
        self.false_kills.flows_hit += u64::from(!watch.was_hit);
        watch.suffer(content, harm);
        (verdict, Some(harm))
    }

    /// Where packets of a zone come.
    pub(crate) const fn place(&self, zone: Zone) -> Place {
        Place { namespace: self.namespace, zone }
    }

    /// Both tuples of an entry.
    pub(crate) fn tuples(&self, at: Duration, entry: EntryId) -> Option<Tuples> {
        self.twin.entry(at, entry).map(|entry| Tuples { original: entry.original, reply: entry.reply })
    }

    /// What came of it up to this time.
    pub(crate) fn finish(mut self, at: Duration, completeness: Completeness) -> Outcome {
        let last = self.read(at);
        Outcome {
            completeness,
            lasted: at,
            capacity: self.twin.host_settings().capacity,
            series: self.series.finish(last),
            peak: self.peak,
            saturated_at: self.saturated_at,
            packets: self.packets,
            flows: self.flows,
            refused_flows: self.refused_flows,
            standing_not_made: self.standing_not_made,
            invalid: self.invalid,
            drops: self.drops,
            removals: *self.twin.removals(self.namespace),
            counters: *self.twin.counters(self.namespace),
            memory_peak: self.memory_peak,
            chains: self.chains,
            false_kills: self.false_kills,
            called: Vec::new(),
        }
    }

    fn tell(&mut self, at: Duration) -> ControlFlow<()> {
        let occupancy = self.twin.occupancy(self.namespace).0;
        (self.observer)(Progress { at, lasts: self.lasts, packets: self.packets, occupancy })
    }

    fn measure(&mut self, at: Duration) {
        let occupancy = self.twin.occupancy(self.namespace).0;
        if occupancy > self.peak.occupancy {
            self.peak = Peak { at, occupancy };
            let limit = self.twin.host_settings().capacity.limit();
            if self.saturated_at.is_none() && limit.is_some_and(|limit| occupancy >= limit) {
                self.saturated_at = Some(at);
            }
        }
        let memory = self.twin.memory();
        if memory.total_bytes() > self.memory_peak.total_bytes() {
            self.memory_peak = memory;
        }
    }

    fn read(&mut self, at: Duration) -> Reading {
        self.twin.advance(at);
        let occupancy = self.twin.occupancy(self.namespace).0;
        self.look_at_chains(at);
        Reading {
            at,
            occupancy,
            live: self.twin.live(at, self.namespace),
            packets: self.packets,
            dropped: self.drops.total(),
            false_kills: self.false_kills.total(),
        }
    }

    /// Chains are longest where there are most entries.
    fn look_at_chains(&mut self, at: Duration) {
        let occupancy = self.twin.occupancy(self.namespace).0;
        if occupancy > self.chains.occupancy {
            let lengths = self.twin.chain_lengths();
            self.chains = Chains { at, occupancy, longest: lengths.longest(), mean_lookup: lengths.mean_lookup() };
        }
    }
}
