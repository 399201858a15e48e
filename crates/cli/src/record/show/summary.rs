//! A recording's tables, counted.

use std::collections::BTreeMap;

use plimsoll_model::{Counter, Layer4, Occupancy};
use plimsoll_plan::ServiceKind;
use plimsoll_recording::{Began, Change, ChangeKind, End, GapEnd, Life, Sight, TableReading, UnixMicros};
use serde::Serialize;

use crate::recording::Recording;

/// Lifetimes of a service that are kept, to tell their quantiles by: of more, every second one, and so on.
const KEPT: usize = 1 << 14;
/// Services that are told by themselves: those with the most flows.
const SERVICES: usize = 12;
/// Changes that are told.
const CHANGES: usize = 200;

/// What there is in a recording.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) from: Option<UnixMicros>,
    pub(crate) to: Option<UnixMicros>,
    pub(crate) lives: u64,
    /// As many flows as they stand for.
    pub(crate) flows: f64,
    pub(crate) gaps: u64,
    pub(crate) by_end: BTreeMap<&'static str, f64>,
    pub(crate) by_sight: BTreeMap<&'static str, u64>,
    /// Those with the most flows first.
    pub(crate) services: Vec<ServiceLives>,
    pub(crate) other_services: usize,
    pub(crate) table: Table,
    pub(crate) changes: Vec<Change>,
    pub(crate) changes_left_out: u64,
}

/// Lives of a service's flows.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ServiceLives {
    pub(crate) service: ServiceKind,
    pub(crate) flows: f64,
    /// Lifetimes, of those whose begin and end were seen: half are shorter, nine in ten, 99 in 100.
    pub(crate) lifetime_secs: Option<[f64; 3]>,
    pub(crate) bytes: f64,
}

/// The table over the recording.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Table {
    pub(crate) readings: u64,
    pub(crate) least_entries: Option<u32>,
    pub(crate) most_entries: Option<u32>,
    pub(crate) mean_entries: Option<f64>,
    pub(crate) capacity: Option<u32>,
    pub(crate) buckets: Option<u32>,
    /// What was counted between the first and the last reading; what did not change is left out.
    pub(crate) counted: BTreeMap<&'static str, u64>,
    pub(crate) events: u64,
    pub(crate) losses: u64,
    pub(crate) dropped_events: Option<u64>,
    pub(crate) least_share: Option<f64>,
}

impl Summary {
    pub(crate) fn of(recording: &Recording) -> anyhow::Result<Self> {
        let mut summary = Self::default();
        let mut services = Services::default();
        for life in recording.archive.lives()? {
            let life = life?;
            summary.take(&life);
            services.take(&life);
        }
        (summary.services, summary.other_services) = services.finish();
        for gap in recording.archive.gaps()? {
            let gap = gap?;
            summary.gaps += u64::from(gap.end != GapEnd::GoesOn);
            summary.reach(gap.began_at.plus(gap.longer_than));
        }
        let mut table = Readings::default();
        for reading in recording.archive.readings()? {
            let reading = reading?;
            summary.reach(reading.at);
            table.take(&reading);
        }
        summary.table = table.finish();
        for change in recording.archive.changes()? {
            summary.note(change?);
        }
        Ok(summary)
    }

    fn take(&mut self, life: &Life) {
        self.lives += 1;
        self.flows += life.weight;
        *self.by_end.entry(life.end.name()).or_default() += life.weight;
        *self.by_sight.entry(life.sight.name()).or_default() += 1;
        self.reach(life.ended_at);
    }

    fn note(&mut self, change: Change) {
        self.reach(change.at);
        // Each segment begins with all settings, and they have no value before.
        if change.kind == ChangeKind::Setting && change.from.is_none() {
            return;
        }
        if self.changes.len() < CHANGES {
            self.changes.push(change);
        } else {
            self.changes_left_out += 1;
        }
    }

    fn reach(&mut self, at: UnixMicros) {
        self.from = Some(self.from.map_or(at, |from| from.min(at)));
        self.to = Some(self.to.map_or(at, |to| to.max(at)));
    }
}

#[derive(Debug, Default)]
struct Services {
    by_service: BTreeMap<ServiceKind, Lifetimes>,
}

#[derive(Debug, Default)]
struct Lifetimes {
    flows: f64,
    bytes: f64,
    kept: Vec<f64>,
    one_in: u64,
    seen: u64,
}

impl Services {
    fn take(&mut self, life: &Life) {
        let protocol = life.original.protocol;
        let service = match life.original.layer4 {
            Layer4::Ports { destination, .. } => ServiceKind::Port(protocol, destination),
            Layer4::Icmp { .. } | Layer4::None => ServiceKind::Others(protocol),
        };
        let lifetimes = self.by_service.entry(service).or_default();
        lifetimes.flows += life.weight;
        if let Some(volume) = life.volume {
            lifetimes.bytes += life.weight * (volume.original.bytes + volume.reply.bytes) as f64;
        }
        let has_ended = !matches!(life.end, End::Open | End::Unseen) && life.sight != Sight::Looks;
        if let (Began::At(began), true) = (life.began, has_ended) {
            lifetimes.keep(life.ended_at.since(began).as_secs_f64());
        }
    }

    fn finish(self) -> (Vec<ServiceLives>, usize) {
        let mut services: Vec<_> = self.by_service.into_iter().collect();
        services.sort_by(|(_, one), (_, other)| other.flows.total_cmp(&one.flows));
        let others = services.len().saturating_sub(SERVICES);
        services.truncate(SERVICES);
        let told = services.into_iter().map(|(service, lifetimes)| ServiceLives {
            service,
            flows: lifetimes.flows,
            bytes: lifetimes.bytes,
            lifetime_secs: lifetimes.quantiles(),
        });
        (told.collect(), others)
    }
}

impl Lifetimes {
    fn keep(&mut self, secs: f64) {
        self.one_in = self.one_in.max(1);
        if self.seen.is_multiple_of(self.one_in) {
            self.kept.push(secs);
        }
        self.seen += 1;
        if self.kept.len() >= KEPT {
            let mut place = 0_usize;
            self.kept.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.one_in *= 2;
        }
    }

    fn quantiles(mut self) -> Option<[f64; 3]> {
        self.kept.sort_by(f64::total_cmp);
        let at = |share: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
            let place = (share * self.kept.len() as f64) as usize;
            self.kept.get(place.min(self.kept.len().saturating_sub(1))).copied()
        };
        Some([at(0.5)?, at(0.9)?, at(0.99)?])
    }
}

#[derive(Debug, Default)]
struct Readings {
    table: Table,
    first: Option<[Option<u64>; Counter::ALL.len()]>,
    last: Option<[Option<u64>; Counter::ALL.len()]>,
    sum: f64,
    counted: u64,
}

impl Readings {
    fn take(&mut self, reading: &TableReading) {
        let table = &mut self.table;
        table.readings += 1;
        if let Some(Occupancy(entries)) = reading.occupancy {
            table.least_entries = Some(table.least_entries.map_or(entries, |least| least.min(entries)));
            table.most_entries = Some(table.most_entries.map_or(entries, |most| most.max(entries)));
            self.sum += f64::from(entries);
            self.counted += 1;
        }
        table.capacity = reading.capacity.map(|capacity| capacity.0).or(table.capacity);
        table.buckets = reading.buckets.map(|buckets| buckets.0).or(table.buckets);
        // Of one that was continued, each part counts from 0.
        table.events = table.events.max(reading.events);
        table.losses = table.losses.max(reading.losses);
        table.dropped_events = reading.dropped_events.or(table.dropped_events);
        table.least_share = Some(table.least_share.map_or(reading.share, |least| least.min(reading.share)));
        self.first = self.first.or(Some(reading.counters));
        self.last = Some(reading.counters);
    }

    fn finish(mut self) -> Table {
        if self.counted > 0 {
            self.table.mean_entries = Some(self.sum / self.counted as f64);
        }
        let (first, last) = (self.first.unwrap_or_default(), self.last.unwrap_or_default());
        for ((counter, first), last) in Counter::ALL.into_iter().zip(first).zip(last) {
            if let Some(counted) = last.zip(first).and_then(|(last, first)| last.checked_sub(first)).filter(|n| *n > 0)
            {
                self.table.counted.insert(counter.name(), counted);
            }
        }
        self.table
    }
}
