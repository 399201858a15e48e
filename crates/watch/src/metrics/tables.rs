//! Metrics of the host and of each namespace's table.

use plimsoll_forecast::{FullIn, Within};
use plimsoll_model::{Buckets, Count, Counter, Group, IDLE_EDGES_SECS, Range, Relation, StateKey};

use super::{Family, Sample, alone, counter, gauge};
use crate::status::{EntriesStatus, Status, TableStatus};

pub(super) fn of_host(status: &Status) -> Vec<Family> {
    let entry_bytes = status.slab.map(|slab| slab.object_bytes as f64);
    let finding = |finding: &plimsoll_model::Finding| Sample {
        labels: vec![
            ("netns", finding.namespace.as_ref().map(ToString::to_string).unwrap_or_default()),
            ("id", finding.id.to_string()),
            ("severity", finding.severity.to_string()),
        ],
        value: 1.0,
    };
    vec![
        gauge(
            "plimsoll_namespaces",
            "Network namespaces that were read.",
            alone(Some((status.namespaces.len() + status.left_out) as f64)),
        ),
        gauge(
            "plimsoll_namespaces_left_out",
            "Network namespaces that are not told one by one because there are too many.",
            alone(Some(status.left_out as f64)),
        ),
        gauge(
            "plimsoll_buckets",
            "Chains of the hash.",
            alone(status.buckets.map(|Buckets(buckets)| f64::from(buckets))),
        ),
        gauge(
            "plimsoll_entry_bytes",
            "Bytes of memory that an entry takes, but for its extensions.",
            alone(entry_bytes),
        ),
        gauge("plimsoll_finding", "What is the matter now.", once_each(status.findings.iter().map(finding))),
        gauge(
            "plimsoll_drifted_settings",
            "Settings that are no longer those that were applied.",
            alone(Some(status.drifted as f64)),
        ),
        gauge("plimsoll_unseen_readings", "What could not be read.", alone(Some(status.unseen.len() as f64))),
    ]
}

/// Without those that are there already: a finding may be there for several reasons.
fn once_each(samples: impl Iterator<Item = Sample>) -> Vec<Sample> {
    let mut each: Vec<Sample> = Vec::new();
    for sample in samples {
        if !each.contains(&sample) {
            each.push(sample);
        }
    }
    each
}

pub(super) fn of_tables(status: &Status) -> Vec<Family> {
    let tables = &status.namespaces;
    let each = |figure: &dyn Fn(&TableStatus) -> Option<f64>| -> Vec<Sample> {
        let sample = |table: &TableStatus| Some(labelled(table, Vec::new(), figure(table)?));
        tables.iter().filter_map(sample).collect()
    };
    let many = |samples: &dyn Fn(&TableStatus) -> Vec<Sample>| tables.iter().flat_map(samples).collect();
    let count = |of: Counter| move |table: &TableStatus| Some(table.counters.as_ref()?.total(of)? as f64);
    vec![
        gauge("plimsoll_entries", "Entries in the table.", each(&|table| Some(f64::from(table.occupancy?.0)))),
        gauge(
            "plimsoll_entries_limit",
            "Entries that the table may hold.",
            each(&|table| Some(f64::from(table.capacity?.limit()?))),
        ),
        gauge("plimsoll_expectations", "Expectations waiting.", each(&|table| table.expectations.map(f64::from))),
        gauge("plimsoll_namespace_info", "Whose table it is.", tables.iter().map(info).collect()),
        gauge(
            "plimsoll_memory_bytes",
            "Memory that the entries take, at least.",
            each(&|table| Some(table.memory_bytes?.low as f64)),
        ),
        gauge(
            "plimsoll_new_entries_per_second",
            "New entries a second, as far as the states of entries date them.",
            each(&|table| Some(table.new_per_sec?.value)),
        ),
        counter("plimsoll_lost_packets_total", "Packets lost since boot.", many(&lost)),
        counter(
            "plimsoll_evictions_total",
            "Entries killed to make room since boot.",
            each(&count(Counter::EarlyDrop)),
        ),
        counter(
            "plimsoll_invalid_packets_total",
            "Packets since boot that could not be tracked.",
            each(&count(Counter::Invalid)),
        ),
        gauge(
            "plimsoll_state_entries",
            "Entries by protocol and state, by a sample.",
            many(&|table| states(table, estimate)),
        ),
        gauge(
            "plimsoll_state_entries_low",
            "Entries by protocol and state, at least.",
            many(&|table| states(table, |count, _| count.entries.low as f64)),
        ),
        gauge(
            "plimsoll_state_entries_high",
            "Entries by protocol and state, at most.",
            many(&|table| states(table, |count, _| count.entries.high as f64)),
        ),
        gauge(
            "plimsoll_assured_entries",
            "Entries that the kernel does not kill to make room, by a sample.",
            each(&|table| of_entries(table, |entries| &entries.assured)),
        ),
        gauge(
            "plimsoll_unreplied_entries",
            "Entries that nobody has answered, by a sample.",
            each(&|table| of_entries(table, |entries| &entries.unreplied)),
        ),
        gauge(
            "plimsoll_idle_entries",
            "Entries that have seen no packet for at least so long, for certain or possibly, by a sample.",
            many(&idle),
        ),
        gauge("plimsoll_service_entries", "Entries of the busiest services, by a sample.", many(&services)),
        gauge(
            "plimsoll_saturation_probability",
            "The chance that the table becomes full within this time.",
            many(&probabilities),
        ),
        gauge(
            "plimsoll_saturation_seconds",
            "Time until the table is full, as likely before as after.",
            each(&|table| Some(full_in(table)?.value)),
        ),
        gauge(
            "plimsoll_saturation_seconds_low",
            "Time until the table is full, hardly before.",
            each(&|table| Some(full_in(table)?.low)),
        ),
        gauge(
            "plimsoll_saturation_seconds_high",
            "Time until the table is full, hardly after.",
            each(&|table| full_in(table)?.high),
        ),
    ]
}

fn full_in(table: &TableStatus) -> Option<FullIn> {
    table.forecast.as_ref()?.full_in_secs
}

fn probabilities(table: &TableStatus) -> Vec<Sample> {
    let Some(forecast) = &table.forecast else { return Vec::new() };
    let within = |secs| match secs {
        900 => "15m",
        3600 => "1h",
        _ => "24h",
    };
    let sample = |one: &Within| labelled(table, vec![("within", within(one.secs).to_string())], one.probability);
    forecast.within.iter().map(sample).collect()
}

fn labelled(table: &TableStatus, more: Vec<(&'static str, String)>, value: f64) -> Sample {
    let mut labels = vec![("netns", table.namespace.name.to_string())];
    labels.extend(more);
    Sample { labels, value }
}

fn info(table: &TableStatus) -> Sample {
    let relation = match table.namespace.relation {
        Relation::Own => "own",
        Relation::Other => "other",
    };
    let owner = table.namespace.owner.as_ref();
    let inode = table.namespace.inode.map(|inode| inode.to_string()).unwrap_or_default();
    let command = owner.map(|owner| owner.command.to_string()).unwrap_or_default();
    let container = owner.and_then(|owner| owner.container.as_ref()).map(ToString::to_string).unwrap_or_default();
    let labels =
        vec![("inode", inode), ("relation", relation.to_string()), ("process", command), ("container", container)];
    labelled(table, labels, 1.0)
}

fn lost(table: &TableStatus) -> Vec<Sample> {
    let Some(counters) = &table.counters else { return Vec::new() };
    let chains = counters.total(Counter::ChainTooLong);
    let clashes = counters.total(Counter::InsertFailed).map(|failed| failed.saturating_sub(chains.unwrap_or(0)));
    let by_reason = [("table_full", counters.full_table_drops()), ("chain_too_long", chains), ("clash", clashes)];
    let sample = |(reason, count): (&str, Option<u64>)| {
        Some(labelled(table, vec![("reason", reason.to_string())], count? as f64))
    };
    by_reason.into_iter().filter_map(sample).collect()
}

fn middle(range: Range) -> f64 {
    range.low.midpoint(range.high) as f64
}

/// How many entries of the whole table a count stands for.
fn estimate(count: &Count, live: Range) -> f64 {
    count.share.value * middle(live)
}

fn of_entries(table: &TableStatus, count: fn(&EntriesStatus) -> &Count) -> Option<f64> {
    let entries = table.entries.as_ref()?;
    Some(estimate(count(entries), entries.live))
}

fn states(table: &TableStatus, figure: fn(&Count, Range) -> f64) -> Vec<Sample> {
    let Some(entries) = &table.entries else { return Vec::new() };
    let sample = |group: &Group<StateKey>| {
        let labels = vec![("protocol", group.key.protocol.to_string()), ("state", group.key.state.to_string())];
        labelled(table, labels, figure(&group.count, entries.live))
    };
    entries.states.iter().map(sample).collect()
}

fn idle(table: &TableStatus) -> Vec<Sample> {
    let Some(entries) = &table.entries else { return Vec::new() };
    let for_each_read = middle(entries.live) / (entries.read.max(1) as f64);
    let mut samples = Vec::new();
    for (edge, secs) in IDLE_EDGES_SECS.into_iter().enumerate() {
        let certain: u64 = entries.idle.iter().map(|histogram| histogram.certainly_over[edge]).sum();
        let possible: u64 = entries.idle.iter().map(|histogram| histogram.possibly_over[edge]).sum();
        for (bound, read) in [("certain", certain), ("possible", possible)] {
            let labels = vec![("at_least_seconds", secs.to_string()), ("bound", bound.to_string())];
            samples.push(labelled(table, labels, read as f64 * for_each_read));
        }
    }
    samples
}

fn services(table: &TableStatus) -> Vec<Sample> {
    let Some(entries) = &table.entries else { return Vec::new() };
    let live = middle(entries.live);
    let sample =
        |share: &crate::status::Share| labelled(table, vec![("service", share.of.clone())], share.share.value * live);
    entries.services.iter().map(sample).collect()
}
