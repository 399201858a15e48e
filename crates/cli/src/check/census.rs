//! What a table holds, in a few lines.

use std::fmt::Display;

use plimsoll_diagnose::words::{duration, grouped, percent, share};
use plimsoll_model::{
    Census, Count, Coverage, Group, HeavyHitter, HeavyHitters, Homogeneity, IDLE_EDGES_SECS, IdleHistogram,
    NamespaceSnapshot, StateKey, StoppedBecause,
};

use super::detail::Detail;
use crate::wrap::paragraph;

/// States that are listed where not everything is asked for.
const STATES_SHOWN: usize = 6;
/// Endpoints that are listed of each kind, where not everything is asked for.
const ENDPOINTS_SHOWN: usize = 3;
/// A share below this is not worth a line, unless everything is asked for.
const WORTH_A_LINE: f64 = 0.01;

/// The census of a namespace; empty where its entries were not read.
pub(crate) fn render(ns: &NamespaceSnapshot, detail: Detail) -> String {
    let Some(census) = &ns.census else { return String::new() };
    let mut text = paragraph("", &format!("What {} holds ({})", ns.namespace.name, coverage(census)));
    for group in census.states.iter().take(most_of(detail, STATES_SHOWN)) {
        text.push_str(&line(&group.key.to_string(), &group.count));
    }
    for (name, count) in census.traits() {
        text.push_str(&line(name, &count));
    }
    if census.zones.len() > 1 || (detail == Detail::Everything && !census.zones.is_empty()) {
        text.push_str(&groups("zones", &census.zones, detail));
    }
    text.push_str(&hitters("sources", &census.sources, detail));
    text.push_str(&hitters("source networks", &census.source_prefixes, detail));
    text.push_str(&hitters("destinations", &census.destinations, detail));
    text.push_str(&hitters("services", &census.services, detail));
    if census.destination_nat.seen > 0 {
        text.push_str(&hitters("backends (after DNAT)", &census.backends, detail));
    }
    text.push_str(&idle(census, detail));
    text.push_str(&warnings(census));
    text
}

/// The largest groups, in one line.
pub(crate) fn most(census: &Census) -> Option<String> {
    let states = census
        .states
        .iter()
        .take(3)
        .map(|group: &Group<StateKey>| format!("{} {}", group.key, share(&group.count.share)));
    let states = states.collect::<Vec<_>>().join(", ");
    let of = match census.coverage {
        Coverage::Complete => format!("all {} entries", grouped(census.read)),
        Coverage::Sample { .. } => format!("from a sample of {} entries", grouped(census.read)),
    };
    (!states.is_empty()).then(|| format!("{states} ({of})"))
}

fn coverage(census: &Census) -> String {
    let read = grouped(census.read);
    match census.coverage {
        Coverage::Complete => format!("all {read} live entries read"),
        Coverage::Sample { because } => {
            let why = match because {
                StoppedBecause::PreciseEnough => "shares are known to a point either way, at 95%",
                StoppedBecause::SampleSize => "as many as were asked for",
                StoppedBecause::TimeUp => "then the time was up",
                StoppedBecause::Resized => "the table was resized under the dump again and again",
            };
            format!(
                "{read} entries read: {why}; shares are of live entries, of which there are {} to {}",
                grouped(census.live.low),
                grouped(census.live.high)
            )
        }
    }
}

fn line(name: &str, count: &Count) -> String {
    let entries = if count.entries.is_exact() {
        format!("{:>11}", grouped(count.entries.high))
    } else {
        format!("at most {}", grouped(count.entries.high))
    };
    format!("  {name:<26} {:<27} {entries}\n", share(&count.share))
}

fn groups<K: Display>(name: &str, groups: &[Group<K>], detail: Detail) -> String {
    let listed = groups.iter().take(most_of(detail, ENDPOINTS_SHOWN));
    let listed = listed.map(|group| format!("{} {}", group.key, share(&group.count.share)));
    paragraph(&format!("  {name}: "), &listed.collect::<Vec<_>>().join(", "))
}

fn hitters<K: Display>(name: &str, hitters: &HeavyHitters<K>, detail: Detail) -> String {
    let worth = |hitter: &&HeavyHitter<K>| detail == Detail::Everything || hitter.share.value >= WORTH_A_LINE;
    let listed = hitters.top.iter().filter(worth).take(most_of(detail, ENDPOINTS_SHOWN));
    let listed: Vec<_> = listed.map(|hitter| format!("{} {}", hitter.key, share(&hitter.share))).collect();
    let distinct = if hitters.distinct.is_exact() {
        format!("{} distinct", grouped(hitters.distinct.high))
    } else {
        format!("more than {} distinct", grouped(hitters.distinct.low))
    };
    if listed.is_empty() {
        return if hitters.distinct.high == 0 {
            String::new()
        } else {
            paragraph(&format!("  {name}: "), &format!("none has as much as {} ({distinct})", percent(WORTH_A_LINE)))
        };
    }
    paragraph(&format!("  {name}: "), &format!("{} ({distinct})", listed.join(", ")))
}

/// Ages that are told of where not everything is asked for: 5 min, 1 h, 1 day.
const AGES_SHOWN: [u32; 3] = [300, 3600, 86_400];

/// How much of the largest states is certainly, and possibly, idle for long.
fn idle(census: &Census, detail: Detail) -> String {
    let mut text = String::new();
    for histogram in census.idle.iter().filter(|histogram| is_worth_idle(histogram, census, detail)) {
        let share = |entries: u64| percent(entries as f64 / histogram.read as f64);
        let ages = IDLE_EDGES_SECS.iter().zip(histogram.certainly_over.iter().zip(histogram.possibly_over));
        let ages = ages
            .filter(|(secs, (_, possibly))| {
                *possibly > 0 && (detail == Detail::Everything || AGES_SHOWN.contains(secs))
            })
            .map(|(secs, (certainly, possibly))| {
                let over = format!("over {} ", duration((*secs).into()));
                if *certainly == possibly {
                    over + &share(possibly)
                } else {
                    format!("{over}{} to {}", share(*certainly), share(possibly))
                }
            });
        let ages = ages.collect::<Vec<_>>().join(", ");
        if !ages.is_empty() {
            text.push_str(&paragraph(&format!("  {} idle: ", histogram.key), &ages));
        }
        if histogram.armed_otherwise > 0 {
            text.push_str(&paragraph(
                "    ",
                &format!(
                    "{} of {} have more time left than any timeout in force gives: armed before it was changed, or by \
                     a policy",
                    grouped(histogram.armed_otherwise),
                    grouped(histogram.read)
                ),
            ));
        }
    }
    text
}

fn is_worth_idle(histogram: &IdleHistogram, census: &Census, detail: Detail) -> bool {
    detail == Detail::Everything
        || (histogram.read * 5 >= census.read && histogram.certainly_over.iter().any(|certain| *certain > 0))
}

/// What makes the numbers less than they seem.
fn warnings(census: &Census) -> String {
    let mut text = String::new();
    match census.homogeneity {
        Homogeneity::GcPressure { first_read, share_in_first, share_in_rest, .. } => text.push_str(&paragraph(
            "  note: ",
            &format!(
                "the first {} entries hold {} that gc kills under pressure, the rest {}: it has been at work, from \
                 bucket 0 on; its kills show in no counter, and a sample would have misled",
                grouped(first_read),
                percent(share_in_first),
                percent(share_in_rest)
            ),
        )),
        Homogeneity::Uneven { .. } => text.push_str(&paragraph(
            "  note: ",
            "parts of the dump differ more than chance allows: the table changed while it was read, or a sample of it \
             would have misled",
        )),
        Homogeneity::TooFew | Homogeneity::Alike { .. } => {}
    }
    if census.duplicates > 0 {
        text.push_str(&format!("  note: {} entries came twice and were counted once\n", grouped(census.duplicates)));
    }
    if census.restarts > 0 {
        text.push_str("  note: the table was resized meanwhile; the dump began anew\n");
    }
    if !census.unknown.is_empty() {
        let unknown = &census.unknown;
        let list = |what: &str, numbers: Vec<String>| {
            if numbers.is_empty() { None } else { Some(format!("{what} {}", numbers.join(", "))) }
        };
        let known = [
            list("attributes", unknown.attributes.iter().map(|(n, count)| format!("{n} (×{count})")).collect()),
            list("protocols", unknown.protocols.iter().map(|(n, count)| format!("{n} (×{count})")).collect()),
            list("states", unknown.states.iter().map(|(n, count)| format!("{n} (×{count})")).collect()),
        ];
        let listed = known.into_iter().flatten().collect::<Vec<_>>().join("; ");
        text.push_str(&paragraph("  note: ", &format!("not known to Plimsoll, and only counted: {listed}")));
    }
    text
}

fn most_of(detail: Detail, usual: usize) -> usize {
    match detail {
        Detail::WhatMatters => usual,
        Detail::Everything => usize::MAX,
    }
}
