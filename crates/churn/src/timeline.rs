//! When what entries date happened.

use plimsoll_model::{Counter, Homogeneity, Interval, NamespaceSnapshot};
use serde::Serialize;

use crate::Series;
use crate::arrivals::rate_within;
use crate::dating::age_since_made;
use crate::ports::{Weight, weigh};
use crate::table::{DatedEntry, Table};

/// When what some entries date happened, as far back as their timeout reaches.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timeline {
    /// What happened.
    pub series: Series,
    /// Entries that tell of it, among those drawn.
    pub drawn: u64,
    /// When, or why that is not known.
    #[serde(flatten)]
    pub course: TimelineCourse,
    /// What makes the figures other than they seem.
    pub caveats: Vec<Caveat>,
}

/// When it happened, or why that is not known.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimelineCourse {
    /// Rates, the latest first.
    Bins(Vec<Bin>),
    /// The entries' ages are not known.
    NotKnown(String),
}

/// How often it happened within some seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// Seconds ago at which the bin ends.
    pub from_secs_ago: u32,
    /// Seconds ago at which it begins.
    pub to_secs_ago: u32,
    /// Entries of that age among those drawn.
    pub drawn: u64,
    /// A second, at 95 %.
    pub per_sec: Interval,
}

/// What makes a timeline's figures other than they seem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Caveat {
    /// Ports are used again within the timeout, and the older entries are gone: each bin's lower end is what is left, its
    /// upper end what may have been.
    PortsUsedAgain,
    /// Packets that come late arm the timeout again, and the entry looks younger than it is.
    ArmedAgainByStragglers,
    /// Without a count of packets (`nf_conntrack_acct`) an entry that gets more packets than it seems is dated by the last.
    DatedByLastPacket,
    /// `early_drop` has killed entries meanwhile: there were more.
    EarlyDrop,
    /// gc has killed closing entries under pressure: there were more.
    GcPressure,
    /// What expired earlier has left no entry: only what lives long is there for the whole time.
    ExpiredAreGone,
}

/// Every timeline that the entries tell.
pub(crate) fn timelines(ns: &NamespaceSnapshot, table: &Table<'_>) -> Vec<Timeline> {
    let dated =
        [Series::Closes, Series::Resets, Series::HalfOpen, Series::Answered, Series::OneWayUdp, Series::UdpExchanges];
    let mut timelines: Vec<_> = dated.into_iter().filter_map(|series| by_state(ns, table, series)).collect();
    timelines.extend(by_timestamp(ns, table));
    timelines
}

fn by_state(ns: &NamespaceSnapshot, table: &Table<'_>, series: Series) -> Option<Timeline> {
    let entries: Vec<_> = table.of_series(series).collect();
    let Some(first) = entries.first() else {
        let of_series = |drawn: &&&plimsoll_model::Drawn| matches!(crate::Arming::of(&drawn.entry), crate::Arming::Once { series: of, .. } if of == series);
        let drawn = table.undated.iter().filter(of_series).count() as u64;
        let because =
            table.dating.refuses(series).unwrap_or("the timeout in force could not be read, or others cap it");
        let course = TimelineCourse::NotKnown(because.to_string());
        return (drawn > 0).then(|| Timeline { series, drawn, course, caveats: Vec::new() });
    };
    let timeout_secs = first.dated.timeout_secs;
    let aged: Vec<_> = entries.iter().map(|entry| (entry.dated.age_secs, entry.weight)).collect();
    Some(Timeline {
        series,
        drawn: entries.len() as u64,
        course: TimelineCourse::Bins(bins(series, timeout_secs, &aged, table)),
        caveats: caveats(ns, table, series, &entries),
    })
}

/// All entries by the time at which they were made.
fn by_timestamp(ns: &NamespaceSnapshot, table: &Table<'_>) -> Option<Timeline> {
    const BACK_SECS: u32 = 120;
    let read_at = table.census.read_at_unix_nanos?.get();
    let age_secs = |entry| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; too old saturates")]
        age_since_made(entry, read_at).map(|secs| secs as u32)
    };
    let ages: Vec<_> = table.entries().filter_map(|entry| Some((entry, age_secs(entry)?))).collect();
    if ages.is_empty() {
        return None;
    }
    let (weights, _) = weigh(&ages, table.per_drawn.value, ns.settings.local_ports);
    let mut caveats = vec![Caveat::ExpiredAreGone];
    caveats.extend(ports_used_again(&weights));
    let weighted: Vec<_> = ages.iter().map(|(_, age_secs)| *age_secs).zip(weights).collect();
    Some(Timeline {
        series: Series::NewFlows,
        drawn: ages.len() as u64,
        course: TimelineCourse::Bins(bins(Series::NewFlows, BACK_SECS, &weighted, table)),
        caveats,
    })
}

fn bins(series: Series, back_secs: u32, aged: &[(u32, Weight)], table: &Table<'_>) -> Vec<Bin> {
    edges(series.youngest_secs(), back_secs, aged.len())
        .map(|(from, to)| {
            let drawn = aged.iter().filter(|(age_secs, _)| (from..to).contains(age_secs)).count() as u64;
            let per_sec = rate_within(aged, from, to - from, &table.per_drawn);
            Bin { from_secs_ago: from, to_secs_ago: to, drawn, per_sec }
        })
        .collect()
}

/// Bins from the youngest age that tells to the timeout: about twelve, fewer where there are few entries.
fn edges(youngest_secs: u32, timeout_secs: u32, entries: usize) -> impl Iterator<Item = (u32, u32)> {
    const MOST_BINS: u32 = 12;
    const ENTRIES_A_BIN: u32 = 10;
    const WIDTHS_SECS: [u32; 12] = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 3600, 21_600];
    let bins = (u32::try_from(entries).unwrap_or(u32::MAX) / ENTRIES_A_BIN).clamp(3, MOST_BINS);
    let wanted = timeout_secs.div_ceil(bins);
    let width = WIDTHS_SECS.into_iter().find(|width| *width >= wanted).unwrap_or(wanted);
    (0..timeout_secs.div_ceil(width))
        .map(move |bin| ((bin * width).max(youngest_secs), ((bin + 1) * width).min(timeout_secs)))
        .filter(|(from, to)| from < to)
}

fn caveats(ns: &NamespaceSnapshot, table: &Table<'_>, series: Series, entries: &[&DatedEntry<'_>]) -> Vec<Caveat> {
    let weights: Vec<_> = entries.iter().map(|entry| entry.weight).collect();
    let mut caveats = Vec::from_iter(ports_used_again(&weights));
    if matches!(series, Series::Closes | Series::Resets) {
        caveats.push(Caveat::ArmedAgainByStragglers);
    }
    let counts_packets = entries.iter().all(|entry| entry.entry.packets.is_some());
    if matches!(series, Series::OneWayUdp | Series::UdpExchanges) && !counts_packets {
        caveats.push(Caveat::DatedByLastPacket);
    }
    let early_drops = ns.change.as_ref().and_then(|change| change.counters.get(Counter::EarlyDrop));
    if early_drops.is_some_and(|killed| killed > 0) && entries.iter().any(|entry| entry.entry.is_killable()) {
        caveats.push(Caveat::EarlyDrop);
    }
    let by_gc = matches!(table.census.homogeneity, Homogeneity::GcPressure { .. });
    if by_gc && entries.iter().any(|entry| entry.entry.is_killable() || entry.entry.is_closing()) {
        caveats.push(Caveat::GcPressure);
    }
    caveats
}

fn ports_used_again(weights: &[Weight]) -> Option<Caveat> {
    /// A correction of less than a hundredth is nothing to speak of.
    const WORTH_SAYING: f64 = 1.01;
    weights.iter().any(|weight| weight.likely > WORTH_SAYING).then_some(Caveat::PortsUsedAgain)
}
