//! `syn-flood`, `outbound-scan`: flows that were asked for and never came about.
//!
//! A source that asks many services once each scans. All other half-open connections are a flood, or their servers do not
//! answer: the two look alike from here where no SYN-ACK was seen.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;
use std::net::IpAddr;

use plimsoll_model::{
    Census, Confidence, Entry, Evidence, Finding, FindingId, Prefix, Protocol, ProtocolState, Remedy, Status, TcpState,
};

use super::part::{Part, Said, is_from_few};
use super::table::Table;
use crate::evidence::{advice, in_namespace, number, shield};
use crate::thresholds::{ENTRIES_A_SPOOFED_SOURCE, FEW_SOURCES, FEWEST_SCANNED, MOSTLY, SCATTERED, TARGETED};
use crate::words::percent;

/// What scans, so that other causes leave it out.
pub(super) struct Scanners(HashSet<IpAddr>);

impl Scanners {
    /// Sources whose unanswered flows go to a service of their own each.
    pub(super) fn of(census: &Census) -> Self {
        let mut asked: HashMap<IpAddr, (usize, HashSet<_>)> = HashMap::new();
        for entry in census.drawn.iter().map(|drawn| &drawn.entry).filter(|entry| is_unanswered(entry)) {
            let (flows, services) = asked.entry(entry.original.source).or_default();
            *flows += 1;
            services.insert((entry.original.destination, entry.original.service()));
        }
        // One of each two or three proves nothing.
        let scans = |(flows, services): &(usize, HashSet<_>)| {
            services.len() >= FEWEST_SCANNED && services.len() as f64 >= SCATTERED * *flows as f64
        };
        Self(asked.into_iter().filter(|(_, asked)| scans(asked)).map(|(source, _)| source).collect())
    }

    /// Whether a flow is a part of a scan.
    pub(super) fn sent(&self, entry: &Entry) -> bool {
        is_unanswered(entry) && self.0.contains(&entry.original.source)
    }
}

pub(super) fn findings(table: &Table<'_>, scanners: &Scanners) -> Vec<Finding> {
    let scan = table.entries(|entry| scanners.sent(entry)).filter(Part::is_worth_naming).map(|part| scan(table, &part));
    let flood = table.entries(|entry| is_half_open(entry) && !scanners.sent(entry));
    let flood = flood.filter(Part::is_worth_naming).map(|part| flood_of(table, &part));
    scan.into_iter().chain(flood).collect()
}

pub(super) fn is_half_open(entry: &Entry) -> bool {
    matches!(entry.state, ProtocolState::Tcp(TcpState::SynSent | TcpState::SynRecv | TcpState::SynSent2))
}

/// Whether a flow was asked for and not answered. A resolver asks many servers, and not all answer: that is no scan.
fn is_unanswered(entry: &Entry) -> bool {
    match entry.original.protocol {
        Protocol::TCP => is_half_open(entry) && !entry.status.has(Status::SEEN_REPLY),
        _ if entry.status.has(Status::SEEN_REPLY) => false,
        Protocol::UDP => entry.original.service().is_some_and(|service| !service.is_dns()),
        Protocol::ICMP | Protocol::ICMPV6 => true,
        _ => false,
    }
}

fn scan(table: &Table<'_>, part: &Part<'_>) -> Finding {
    let asked = part.tally(|entry| Some((entry.original.destination, entry.original.service()))).len();
    let sources = part.tally(|entry| Some(entry.original.source)).len();
    let what = match sources {
        1 => "a source asks many services that do not answer".to_string(),
        many => format!("{many} sources ask many services that do not answer"),
    };
    part.finding(Said {
        id: FindingId::OutboundScan,
        // So many at once may be ordinary clients whose way out is down.
        confidence: if sources <= FEW_SOURCES { Confidence::Likely } else { Confidence::Possible },
        what,
        evidence: vec![
            part.most("sources", "sources", |entry| Some(entry.original.source)),
            part.most("ports", "ports", |entry| entry.original.service().map(|service| service.port)),
            number(
                "services_asked",
                asked as f64,
                format!("{asked} services asked in {} unanswered flows looked at", part.drawn.len()),
            ),
        ],
        meaning: "A scanner, a worm, a crawler with dead targets, a program whose peers have gone, or clients whose way out \
                  is down. Each attempt holds an entry until SYN_SENT's timeout (UDP's, ICMP's); retransmitted SYNs do not \
                  prolong it."
            .to_string(),
        remedies: vec![
            advice(
                "Where the source is a host of yours find the program there: `ss -tnp state syn-sent`. A machine that scans \
                 without being told to has to be taken off the network. A stranger's packets are dropped at priority raw.",
            ),
            advice(
                "Until then limit its new connections before they are tracked, in a chain of prerouting (for the host's \
                 own: output) at priority raw (-300): a rule in the forward or output filter chain acts after the entry \
                 is taken.",
            ),
            shield(table.ns),
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

fn flood_of(table: &Table<'_>, part: &Part<'_>) -> Finding {
    let sources = part.tally(|entry| Some(entry.original.source));
    let from = if is_from_few(part.drawn.iter().map(|drawn| &drawn.entry)) {
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
    remedies.push(shield(table.ns));
    part.finding(Said {
        id: FindingId::SynFlood,
        // A service that is down, and its clients who try again, leave the same entries.
        confidence: if from == Sources::Spoofed || answered >= MOSTLY {
            Confidence::Likely
        } else {
            Confidence::Possible
        },
        what: format!("half-open connections {}", from.words()),
        evidence: vec![
            target(part),
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

/// What most of the half-open connections go to: a service, else a host, else a network, else a port.
fn target(part: &Part<'_>) -> Evidence {
    fn is_one<K>(part: &Part<'_>, tally: &[(K, usize)]) -> bool {
        tally.first().is_some_and(|(_, seen)| *seen as f64 >= TARGETED * part.drawn.len() as f64)
    }
    fn told<K: Copy + Eq + Hash + Ord + Display>(
        part: &Part<'_>,
        key: &'static str,
        name: &str,
        feature: impl Fn(&Entry) -> Option<K> + Copy,
    ) -> Option<Evidence> {
        is_one(part, &part.tally(feature)).then(|| part.most(key, name, feature))
    }
    is_one(part, &part.tally(|entry| entry.original.service()))
        .then(|| part.services())
        .or_else(|| told(part, "hosts", "hosts", |entry| Some(entry.original.destination)))
        .or_else(|| told(part, "networks", "networks", |entry| Some(Prefix::of(entry.original.destination))))
        .unwrap_or_else(|| part.most("ports", "ports", |entry| entry.original.service().map(|service| service.port)))
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
