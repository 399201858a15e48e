//! What a table holds: by state, by whom, by service.

use std::collections::HashMap;
use std::hash::Hash;

use plimsoll_model::{
    Census, Coverage, Drawn, HeavyHitters, IDLE_EDGES_SECS, IdleHistogram, Interval, NamespaceSnapshot, ProgramId,
    Range, ServedAt, Service, Side, Surroundings,
};

/// Groups that are told of each kind: those with the most entries.
const MOST: usize = 20;

/// The age from which an entry is told as idle, in seconds.
pub(crate) const IDLE_SECS: u32 = 300;

/// What a table holds.
#[derive(Clone, Debug)]
pub(crate) struct Holdings {
    /// Entries read, and whether those are all.
    pub(crate) read: u64,
    pub(crate) coverage: Coverage,
    /// Whose they are; `None` where that was not asked.
    pub(crate) programs: Option<Vec<Group>>,
    /// By the port that is asked.
    pub(crate) ports: Vec<Group>,
    /// By the service that is asked, by name where rules name it.
    pub(crate) services: Vec<Group>,
    /// By who asks.
    pub(crate) sources: Vec<Group>,
    pub(crate) states: Vec<State>,
    /// Assured, unreplied and the like, which cut across states.
    pub(crate) traits: Vec<Group>,
}

/// Entries that have something in common.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) what: String,
    /// Of the live entries, from 0 to 1.
    pub(crate) share: Interval,
}

/// Entries in one state.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) group: Group,
    /// In the whole table.
    pub(crate) entries: Range,
    /// The share of these that has certainly, and possibly, seen no packet for [`IDLE_SECS`]; `None` where it is not known.
    pub(crate) idle: Option<(f64, f64)>,
}

impl Holdings {
    /// What a namespace holds; `None` where its entries were not read.
    pub(crate) fn of(ns: &NamespaceSnapshot) -> Option<Self> {
        let census = ns.census.as_ref()?;
        Some(Self {
            read: census.read,
            coverage: census.coverage,
            programs: programs(census),
            ports: counted(
                census,
                |drawn| drawn.entry.original.service().map(|at| (at.protocol, at.port)),
                |key| format!("{}/{}", key.1, key.0),
            ),
            services: frequent(&census.services, |service| named(*service, ns.surroundings.as_ref())),
            sources: frequent(&census.sources, ToString::to_string),
            states: states(census),
            traits: traits(census),
        })
    }
}

/// Entries by the program at either of their ends; one that has both counts for each.
fn programs(census: &Census) -> Option<Vec<Group>> {
    census.drawn.iter().find(|drawn| drawn.ends.is_some())?;
    let of = |side: Side| {
        let by = move |drawn: &Drawn| drawn.ends.and_then(|ends| ends.of(side).by()).map(|by| (side, by));
        counted(census, by, |key| called(census, *key))
    };
    let mut all = of(Side::Client);
    all.extend(of(Side::Server));
    all.sort_by(|one, other| other.share.value.total_cmp(&one.share.value));
    all.truncate(MOST);
    Some(all)
}

fn called(census: &Census, (side, id): (Side, ProgramId)) -> String {
    let does = match side {
        Side::Client => "opened by",
        Side::Server => "answered by",
    };
    let program = census.program(id).map_or("?".to_string(), ToString::to_string);
    format!("{does} {program}")
}

/// Drawn entries by a key.
fn counted<K: Eq + Hash>(
    census: &Census,
    key: impl Fn(&Drawn) -> Option<K>,
    name: impl Fn(&K) -> String,
) -> Vec<Group> {
    let mut counts = HashMap::<K, usize>::new();
    for key in census.drawn.iter().filter_map(key) {
        *counts.entry(key).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().map(|(key, count)| (count, name(&key))).collect();
    counts.sort_by(|(of_a, a), (of_b, b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
    let group = |(count, what)| Group { what, share: census.count_drawn(count).share };
    counts.into_iter().take(MOST).map(group).collect()
}

fn frequent<K>(hitters: &HeavyHitters<K>, name: impl Fn(&K) -> String) -> Vec<Group> {
    let group = |hitter: &plimsoll_model::HeavyHitter<K>| Group { what: name(&hitter.key), share: hitter.share };
    hitters.top.iter().take(MOST).map(group).collect()
}

/// A service, and its name where rules tell it.
fn named(asked: Service, around: Option<&Surroundings>) -> String {
    let known = around.and_then(|around| {
        around.services.iter().find(|known| match known.at {
            ServedAt::Address(at) => at == asked,
            ServedAt::OwnAddresses { protocol, port } => {
                (protocol, port) == (asked.protocol, asked.port) && around.own.contains(asked.address)
            }
            ServedAt::AnyAddress { .. } => false,
        })
    });
    match known.map(|known| (&known.name, known.kind)) {
        Some((Some(name), kind)) => format!("{asked} {name} ({kind})"),
        Some((None, kind)) => format!("{asked} ({kind})"),
        None => asked.to_string(),
    }
}

fn states(census: &Census) -> Vec<State> {
    let idle_place = IDLE_EDGES_SECS.iter().position(|edge| *edge == IDLE_SECS);
    let idle = |histogram: &IdleHistogram| {
        let place = idle_place?;
        let share = |entries: u64| entries as f64 / histogram.read.max(1) as f64;
        Some((share(*histogram.certainly_over.get(place)?), share(*histogram.possibly_over.get(place)?)))
    };
    let mut states: Vec<State> = census
        .states
        .iter()
        .map(|group| State {
            group: Group { what: group.key.to_string(), share: group.count.share },
            entries: group.count.entries,
            idle: census.idle.iter().find(|histogram| histogram.key == group.key).and_then(idle),
        })
        .collect();
    states.sort_by(|one, other| other.group.share.value.total_cmp(&one.group.share.value));
    states
}

fn traits(census: &Census) -> Vec<Group> {
    census.traits().map(|(what, count)| Group { what: what.to_string(), share: count.share }).collect()
}
