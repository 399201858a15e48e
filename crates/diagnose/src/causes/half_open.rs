//! `syn-flood`, `outbound-scan`: connections that were asked for and never came about.
//!
//! A source that asks many services once each scans. What is left and goes to one service is a flood of it, or the
//! service does not answer: the two look alike from here where no SYN-ACK was seen.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use plimsoll_model::{Confidence, Entry, Finding, FindingId, ProtocolState, Remedy, Service, Status, TcpState};

use super::part::{Part, Said, tally};
use super::table::Table;
use crate::evidence::{advice, in_namespace, number};
use crate::thresholds::{ENTRIES_A_SPOOFED_SOURCE, FEW_SOURCES, MOSTLY, SCATTERED, WORTH_A_LOOK};
use crate::words::percent;

pub(super) fn findings(table: &Table<'_>) -> Vec<Finding> {
    let half_open: Vec<_> = table.census.drawn.iter().map(|drawn| &drawn.entry).filter(|e| is_half_open(e)).collect();
    let scanners = scanners(&half_open);
    let is_scan = |entry: &Entry| is_half_open(entry) && scanners.contains(&entry.original.source);
    let rest: Vec<_> = half_open.into_iter().filter(|entry| !is_scan(entry)).collect();
    let flooded = flooded(&rest);
    let is_flood = |entry: &Entry| {
        is_half_open(entry) && !is_scan(entry) && entry.original.service().is_some_and(|s| flooded.contains(&s))
    };
    let scan = table.entries(is_scan).filter(Part::is_worth_naming).map(|part| scan(&part));
    let flood = table.entries(is_flood).filter(Part::is_worth_naming).map(|part| flood(table, &part));
    scan.into_iter().chain(flood).collect()
}

fn is_half_open(entry: &Entry) -> bool {
    matches!(entry.state, ProtocolState::Tcp(TcpState::SynSent | TcpState::SynRecv | TcpState::SynSent2))
}

/// Sources whose half-open connections go to a service of their own each.
fn scanners(half_open: &[&Entry]) -> HashSet<IpAddr> {
    let mut services: HashMap<IpAddr, Vec<Service>> = HashMap::new();
    for entry in half_open {
        services.entry(entry.original.source).or_default().extend(entry.original.service());
    }
    let is_scanner = |asked: &[Service]| {
        let distinct = asked.iter().collect::<HashSet<_>>().len();
        asked.len() as f64 >= WORTH_A_LOOK * half_open.len() as f64
            // One of each two or three proves nothing.
            && distinct >= 10
            && distinct as f64 >= SCATTERED * asked.len() as f64
    };
    services.into_iter().filter(|(_, asked)| is_scanner(asked)).map(|(source, _)| source).collect()
}

/// Services with a share of their own in the half-open connections.
fn flooded(half_open: &[&Entry]) -> HashSet<Service> {
    let services = tally(half_open.iter().filter_map(|entry| entry.original.service()));
    let worth = WORTH_A_LOOK * half_open.len() as f64;
    services.into_iter().filter(|(_, seen)| *seen as f64 >= worth).map(|(service, _)| service).collect()
}

fn scan(part: &Part<'_>) -> Finding {
    let asked = part.tally(|entry| entry.original.service()).len();
    part.finding(Said {
        id: FindingId::OutboundScan,
        confidence: Confidence::Likely,
        what: "a source asks many services that do not answer".to_string(),
        evidence: vec![
            part.most("sources", "sources", |entry| Some(entry.original.source)),
            part.most("ports", "ports", |entry| entry.original.service().map(|service| service.port)),
            number(
                "services_asked",
                asked as f64,
                format!("{asked} services asked in {} half-open connections looked at", part.drawn.len()),
            ),
        ],
        meaning: "A scanner, a worm, a crawler with dead targets, or a program whose peers have gone. Each attempt holds \
                  an entry until SYN_SENT's timeout; retransmitted SYNs do not prolong it."
            .to_string(),
        remedies: vec![
            advice(
                "Find the program: on the source's host `ss -tnp state syn-sent`. A machine that scans without being told \
                 to has to be taken off the network.",
            ),
            advice(
                "Until then limit its new connections before they are tracked, in a chain of prerouting (for the host's \
                 own: output) at priority raw (-300): a rule in the forward or output filter chain acts after the entry \
                 is taken.",
            ),
        ],
    })
}

/// From whom the half-open connections come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sources {
    Few,
    Spoofed,
    Many,
}

fn flood(table: &Table<'_>, part: &Part<'_>) -> Finding {
    let sources = part.tally(|entry| Some(entry.original.source));
    let few: usize = sources.iter().take(FEW_SOURCES).map(|(_, seen)| seen).sum();
    let from = if few as f64 >= MOSTLY * part.drawn.len() as f64 {
        Sources::Few
    } else if (part.drawn.len() as f64) < ENTRIES_A_SPOOFED_SOURCE * sources.len() as f64 {
        Sources::Spoofed
    } else {
        Sources::Many
    };
    let answered = part.drawn.iter().filter(|drawn| drawn.entry.status.has(Status::SEEN_REPLY)).count();
    let answered = answered as f64 / part.drawn.len() as f64;
    let mut remedies = Vec::new();
    if crate::syncookies::are_off(table.ns) {
        remedies.push(Remedy {
            action:
                "Turn SYN cookies on in this namespace: the listener stays reachable. They save no entry of the table."
                    .to_string(),
            command: in_namespace(table.ns, "sysctl -w net.ipv4.tcp_syncookies=1"),
        });
    }
    remedies.push(advice(from.filter()));
    part.finding(Said {
        id: FindingId::SynFlood,
        // A service that is down, and its clients who try again, leave the same entries.
        confidence: if from == Sources::Many && answered < MOSTLY { Confidence::Possible } else { Confidence::Likely },
        what: format!("half-open connections {}", from.words()),
        evidence: vec![
            part.most("services", "services", |entry| entry.original.service()),
            part.most("sources", "sources", |entry| Some(entry.original.source)),
            number(
                "answered_ratio",
                answered,
                format!("{} were answered with a SYN-ACK that nobody acknowledged", percent(answered)),
            ),
        ],
        meaning:
            "Each SYN that gets past the raw chains takes an entry, for SYN_SENT's timeout or SYN_RECV's. They are \
                  not assured, so a full table evicts them first; slow handshakes of real clients die with them. A \
                  service that is down looks the same as long as its clients try again."
                .to_string(),
        remedies,
    })
}

impl Sources {
    const fn words(self) -> &'static str {
        match self {
            Self::Few => "from few sources",
            Self::Spoofed => "from sources that each ask about once, as spoofed ones do",
            Self::Many => "from many sources",
        }
    }

    const fn filter(self) -> &'static str {
        match self {
            Self::Few => {
                "Drop or limit those sources before they are tracked: in a chain of prerouting at priority raw (-300), or \
                 at netdev ingress. A `ct state new` limit in the input chain acts after the entry is taken, and under \
                 policy accept it limits nothing."
            }
            Self::Spoofed | Self::Many => {
                "Put SYNPROXY before the service: SYNs are answered without an entry, and only a client that completes \
                 the handshake takes one (notrack the SYN in raw, `ct state invalid,untracked synproxy`, tcp_loose=0, SYN \
                 cookies and timestamps on). Limits by source do not help where each source asks once."
            }
        }
    }
}
