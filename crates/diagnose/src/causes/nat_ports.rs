//! `nat-ports-exhausted`.
//!
//! Answers to a translated flow come to the translated address and port, from the remote address and port; so for each
//! remote service a translated address has as many flows as there are ports to choose from, and no more. Newer kernels
//! take a port back from a connection that is closing (measured on 6.18, `nf_nat_used_tuple_harder` in `nf_nat_core.c`),
//! so closing ones count only where flows are seen to fail.

use std::collections::HashMap;
use std::net::IpAddr;

use plimsoll_model::{
    Confidence, Count, Counter, Entry, Finding, FindingId, Layer4, NamespaceSnapshot, Service, Severity, Status,
};

use super::table::Table;
use crate::evidence::{advice, fact, number};
use crate::thresholds::{NAT_PORTS, NAT_PORTS_GONE, NAT_PORTS_SHORT, NAT_RANGE};
use crate::words::{grouped, percent, rate, rounded};

pub(super) fn finding(table: &Table<'_>) -> Option<Finding> {
    let failed = failed_per_sec(table.ns);
    let failures = failed.map_or(Failures::None, |_| Failures::Seen);
    let mut spaces = Space::all(table, failures);
    spaces.retain(|space| space.used() >= NAT_PORTS_SHORT);
    spaces.sort_by(|a, b| b.count.seen.cmp(&a.count.seen).then(a.key.cmp(&b.key)));
    let worst = spaces.first()?;
    let is_out = failed.is_some();
    let mut evidence = vec![
        number(
            "ports_used",
            worst.ports(),
            format!(
                "{} ports of {} in use towards {}",
                grouped(rounded(worst.ports())),
                worst.key.address,
                worst.key.remote
            ),
        ),
        number(
            "ports_used_ratio",
            worst.used(),
            format!("{} of the {} that there are to choose from", percent(worst.used()), grouped(worst.size.into())),
        ),
        number(
            "spaces_short",
            spaces.len() as f64,
            format!("{} such pairs of address and remote service", spaces.len()),
        ),
    ];
    let services = table.ns.surroundings.as_ref().map(|around| &around.services);
    if let Some(service) = services.and_then(|services| services.with_backend(worst.key.remote)) {
        evidence.push(fact("remote_service", format!("{} is a backend of {service}", worst.key.remote)));
    }
    if let Some(failed) = failed {
        evidence.push(number("failed_per_sec", failed, format!("{} packets a second got no entry", rate(failed))));
    }
    Some(Finding {
        id: FindingId::NatPortsExhausted,
        severity: if is_out { Severity::Critical } else { Severity::Warning },
        confidence: if failed.is_some() { Confidence::Certain } else { Confidence::Likely },
        namespace: Some(table.ns.namespace.name.clone()),
        holds: Some(worst.count.entries),
        whose: Vec::new(),
        title: format!(
            "source translation {} of ports: {} has used {} of {} towards {}",
            if is_out { "is out" } else { "runs out" },
            worst.key.address,
            grouped(rounded(worst.ports())),
            grouped(worst.size.into()),
            worst.key.remote
        ),
        evidence,
        meaning: "For each remote address and port a translated address can have one flow a port. When they are used up, new \
                  connections to that service fail, to others they do not, and the table need not be full. A connection that \
                  is over holds its port until TIME_WAIT's timeout ends, but for newer kernels, which take it back."
            .to_string(),
        remedies: vec![
            advice("Translate to more addresses (`snat to 192.0.2.1-192.0.2.4`): each brings as many ports again."),
            advice("Reuse connections to that service, or spread it over more addresses or ports."),
            advice(
                "On kernels that do not take ports back a shorter TIME_WAIT (not below 15 s) frees them sooner, for \
                 connections that close from then on. A larger table does not help.",
            ),
        ],
    })
}

/// Packets a second that got no entry: each raises `drop` and `insert_failed` both, so neither a full table nor a chain
/// that is too long is behind it.
fn failed_per_sec(ns: &NamespaceSnapshot) -> Option<f64> {
    let change = ns.change.as_ref()?;
    let failed = change.counters.get(Counter::InsertFailed)?.min(change.counters.get(Counter::Drop)?);
    (failed > 0).then(|| failed as f64 / change.over.as_secs_f64())
}

/// Whether flows were seen to get no entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failures {
    None,
    Seen,
}

/// A translated address, and a service that its flows go to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    address: IpAddr,
    remote: Service,
}

/// The ports that one key may use.
struct Space {
    key: Key,
    count: Count,
    /// Entries that this is in the whole table.
    entries: f64,
    /// Ports to choose from.
    size: u32,
}

impl Space {
    /// Those that have entries which hold their port.
    fn all(table: &Table<'_>, failures: Failures) -> Vec<Self> {
        let holds = |entry: &Entry| failures == Failures::Seen || !entry.is_closing();
        let mut ports: HashMap<Key, Vec<u16>> = HashMap::new();
        for drawn in table.census.drawn.iter().filter(|drawn| holds(&drawn.entry)) {
            if let Some((key, port)) = translated(&drawn.entry) {
                ports.entry(key).or_default().push(port);
            }
        }
        let live = table.census.live.high as f64;
        let space = |(key, ports): (Key, Vec<u16>)| {
            let count = table.census.count_drawn(ports.len());
            let entries = count.share.value * live;
            Self { key, count, entries, size: size(&ports, entries, failures) }
        };
        ports.into_iter().map(space).collect()
    }

    fn ports(&self) -> f64 {
        self.entries.min(self.size.into())
    }

    fn used(&self) -> f64 {
        self.ports() / f64::from(self.size)
    }
}

/// The translated side of a flow whose source is translated.
fn translated(entry: &Entry) -> Option<(Key, u16)> {
    let Layer4::Ports { destination: port, .. } = entry.reply.layer4 else { return None };
    let remote = entry.reply.source_service().filter(|_| entry.status.has(Status::SRC_NAT))?;
    Some((Key { address: entry.reply.destination, remote }, port))
}

/// How many ports there are to choose from: all from 1024 on, or a range that a rule gave, which shows as a row of ports
/// that are nearly all in use. Where no flow fails such a row proves nothing: a client's own ports, which translation keeps
/// while it can, come in rows too.
fn size(ports: &[u16], entries: f64, failures: Failures) -> u32 {
    let (Some(first), Some(last)) = (ports.iter().min(), ports.iter().max()) else { return NAT_PORTS };
    let row = u32::from(last - first) + 1;
    let is_a_range = row >= NAT_RANGE && entries >= NAT_PORTS_GONE * f64::from(row);
    if failures == Failures::Seen && is_a_range { row.min(NAT_PORTS) } else { NAT_PORTS }
}
