//! `one-tenant`: most of a table that fills is one workload's, or one source's.

use std::collections::HashMap;
use std::net::IpAddr;

use plimsoll_model::{
    Confidence, Drawn, Finding, FindingId, Interval, Program, Range, Remedy, Sample, Severity, Side, Whose,
};

use super::part::tally;
use super::table::Table;
use crate::evidence::{advice, number};
use crate::thresholds::{FILLING, ONE_TENANT, OTHER_TENANTS};
use crate::words::percent;

/// `causes` are the findings that are known by then.
pub(super) fn finding(table: &Table<'_>, causes: &[Finding]) -> Option<Finding> {
    if table.utilization() < FILLING {
        return None;
    }
    workload(table).or_else(|| source(table, causes))
}

/// A container, pod or unit that has a part in most of the entries, where others have some of their own.
fn workload(table: &Table<'_>) -> Option<Finding> {
    let asked: Vec<_> = table.census.drawn.iter().filter(|drawn| drawn.ends.is_some()).collect();
    let mut seen: HashMap<String, Seen<'_>> = HashMap::new();
    for drawn in &asked {
        let mut there: Vec<_> = at_ends(table, drawn).collect();
        // One that talks to itself has each entry once.
        there.dedup_by(|(_, a, _), (_, b, _)| a == b);
        for (side, name, program) in there {
            let seen = seen.entry(name).or_insert(Seen { program, side, entries: 0 });
            seen.entries += 1;
        }
    }
    let workloads = seen.len();
    let (name, most) = seen.into_iter().max_by(|(a, x), (b, y)| x.entries.cmp(&y.entries).then(b.cmp(a)))?;
    let sample = Sample { read: asked.len() as u64, live: table.census.live };
    let share = sample.share(most.entries);
    let whose = Whose { side: most.side, program: most.program.clone(), share };
    // Those that it has no part in: who only answers it, or asks it, is no tenant beside it.
    let of_others = asked.iter().filter(|drawn| {
        let mut there = at_ends(table, drawn).peekable();
        there.peek().is_some() && there.all(|(_, other, _)| other != name)
    });
    let has_others = sample.share(of_others.count() as u64).value >= OTHER_TENANTS;
    (share.low >= ONE_TENANT && has_others).then(|| {
        let others = workloads - 1;
        let others = number("other_tenants", others as f64, format!("{others} more workloads have entries here"));
        told(table, &name, share, sample.entries(most.entries), vec![others], vec![whose])
    })
}

struct Seen<'a> {
    program: &'a Program,
    side: Side,
    entries: u64,
}

/// The workloads at both ends of a flow.
fn at_ends<'a>(table: &Table<'a>, drawn: &Drawn) -> impl Iterator<Item = (Side, String, &'a Program)> {
    let ends = drawn.ends;
    let census = table.census;
    [Side::Client, Side::Server].into_iter().filter_map(move |side| {
        let program = census.program(ends?.of(side).by()?)?;
        Some((side, workload_of(program)?, program))
    })
}

/// What a program is part of; of a pod's containers the pod.
fn workload_of(program: &Program) -> Option<String> {
    let owner = &program.owner;
    if let Some(called) = &owner.called {
        let mut parts = called.as_str().split('/');
        return Some(match (parts.next(), parts.next()) {
            (Some(namespace), Some(pod)) => format!("pod {namespace}/{pod}"),
            _ => format!("container {called}"),
        });
    }
    let pod = owner.pod.as_ref().map(|pod| format!("pod {pod}"));
    let container = || owner.container.as_ref().map(|id| format!("container {id}"));
    pod.or_else(container).or_else(|| owner.unit.as_ref().map(ToString::to_string))
}

/// One source among others, where no cause tells of most entries already.
fn source(table: &Table<'_>, causes: &[Finding]) -> Option<Finding> {
    let is_told = |finding: &Finding| {
        finding.holds.is_some_and(|holds| holds.low as f64 >= ONE_TENANT * table.census.live.high as f64)
    };
    if causes.iter().any(is_told) {
        return None;
    }
    let sources: Vec<(IpAddr, usize)> = tally(table.census.drawn.iter().map(|drawn| drawn.entry.original.source));
    let (address, entries) = *sources.first()?;
    let count = table.census.count_drawn(entries);
    let around = table.ns.surroundings.as_ref();
    let is_own = around.is_some_and(|around| around.own.contains(address));
    let name = match around.and_then(|around| around.cluster.pod(address)) {
        _ if is_own => format!("this host itself ({address})"),
        Some(pod) => format!("pod {pod} ({address})"),
        None => format!("the source {address}"),
    };
    (count.share.low >= ONE_TENANT && 1.0 - count.share.value >= OTHER_TENANTS).then(|| {
        let others = sources.len() - 1;
        let others = number("other_sources", others as f64, format!("{others} more sources have entries here"));
        told(table, &name, count.share, count.entries, vec![others], Vec::new())
    })
}

fn told(
    table: &Table<'_>,
    name: &str,
    share: Interval,
    holds: Range,
    more: Vec<plimsoll_model::Evidence>,
    whose: Vec<Whose>,
) -> Finding {
    let in_words =
        format!("{} of the live entries ({} to {})", percent(share.value), percent(share.low), percent(share.high));
    let mut evidence = vec![number("share_ratio", share.value, in_words)];
    evidence.extend(more);
    Finding {
        id: FindingId::OneTenant,
        severity: Severity::Warning,
        confidence: Confidence::Likely,
        namespace: Some(table.ns.namespace.name.clone()),
        holds: Some(holds),
        whose,
        title: format!("{name} holds {} of a table that fills", percent(share.value)),
        evidence,
        meaning: "All who share a table share its limit: when this one has filled it, new flows of the others are refused as well.".to_string(),
        remedies: remedies(),
    }
}

fn remedies() -> Vec<Remedy> {
    vec![
        advice(
            "See what it does with so many: the other findings say what its entries are. Reuse of connections there helps all.",
        ),
        advice(
            "Give it a bound of its own: nft `ct state new ct count over N drop` for its address, in a chain of its own before the rules that accept, \
             so that only its new flows are refused. The count is of flows in the table, so it costs a look-up for each new one.",
        ),
        advice(
            "Move it to a machine of its own, or into a network namespace of its own with rules that track there and not here: each namespace's \
             table has the limit to itself.",
        ),
    ]
}
