//! `connection-storm`, `reverse-proxy-churn`, `nat-or-service-churn`, `probe-churn`: connections that are over, and answered questions.
//!
//! They are told apart by service: one whose address is translated is a matter of NAT, one that this host asks as the kubelet does is
//! probed, one to which few sources open is a proxy's backend, and the rest is a storm of clients.

use std::collections::HashMap;

use plimsoll_model::{
    Confidence, Entry, Finding, FindingId, Protocol, ProtocolState, Remedy, Service, Status, TcpState, Timeout,
};

use super::part::{Part, Said, is_from_few};
use super::probes::{self, Probed};
use super::scraped::Scraped;
use super::table::Table;
use crate::evidence::{advice, in_namespace};
use crate::searched::Searched;
use crate::thresholds::WORTH_A_LOOK;
use crate::words::duration;

/// A kind of short connections.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Storm,
    Proxy,
    Nat,
}

pub(super) fn findings(table: &Table<'_>) -> Vec<Finding> {
    let kinds = Kinds::of(table);
    let of_kinds = [Kind::Storm, Kind::Proxy, Kind::Nat].into_iter().filter_map(|kind| finding(table, &kinds, kind));
    let probes = table.entries(|entry| is_over(entry) && kinds.probed.is_probe(entry)).filter(Part::is_worth_naming);
    of_kinds.chain(probes.map(|part| probes::finding(&part))).collect()
}

fn finding(table: &Table<'_>, kinds: &Kinds, kind: Kind) -> Option<Finding> {
    let part = table.entries(|entry| is_over(entry) && kinds.kind(entry) == Some(kind))?;
    if !part.is_worth_naming() {
        return None;
    }
    let mut evidence = vec![part.services(), part.most("sources", "sources", |entry| Some(entry.original.source))];
    if kind == Kind::Nat {
        evidence.push(part.backends());
        evidence.extend(part.translation());
    }
    let questions = part.drawn.iter().filter(|drawn| is_question(drawn.entry.original.protocol)).count();
    let (what, held, remedies) = if 2 * questions > part.drawn.len() {
        let caching = advice(
            "Let clients ask less often: a cache on each host or node (for DNS a local resolver), fewer search domains. \
             Services that need no state can be exempted from tracking, but for those that are translated.",
        );
        let searched = Searched::of(table.ns, part.drawn.iter().copied());
        evidence.extend(searched.as_ref().map(Searched::evidence));
        let remedies = searched.as_ref().map(Searched::remedy).into_iter().chain([caching]).collect();
        ("many questions and answers by UDP or ICMP", held(table, "UDP's timeout", Timeout::Udp), remedies)
    } else {
        let scraped = Scraped::of(&part);
        evidence.extend(scraped.as_ref().map(Scraped::evidence));
        let mut remedies: Vec<_> = scraped.as_ref().map(Scraped::remedy).into_iter().collect();
        remedies.push(advice(kind.stop()));
        remedies.extend(shorter_time_wait(table));
        (kind.what(), held(table, "TIME_WAIT", Timeout::Tcp(TcpState::TimeWait)), remedies)
    };
    Some(part.finding(Said {
        id: kind.id(),
        confidence: Confidence::Likely,
        what: what.to_string(),
        evidence,
        meaning: format!(
            "A flow that is over keeps its entry {held}, however short it was and whatever its sockets do. {}",
            kind.means()
        ),
        remedies,
    }))
}

pub(super) fn held(table: &Table<'_>, by: &str, timeout: Timeout) -> String {
    let secs = table.ns.timeouts.get_secs(timeout);
    secs.map_or(format!("for {by}"), |secs| format!("for {} ({by})", duration(secs.into())))
}

impl Kind {
    const fn id(self) -> FindingId {
        match self {
            Self::Storm => FindingId::ConnectionStorm,
            Self::Proxy => FindingId::ReverseProxyChurn,
            Self::Nat => FindingId::NatOrServiceChurn,
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Storm => "many clients open short connections",
            Self::Proxy => "few sources open a connection for each request",
            Self::Nat => "short connections to translated addresses",
        }
    }

    const fn means(self) -> &'static str {
        match self {
            Self::Storm => "The entries are mostly the past, not the load.",
            Self::Proxy => {
                "This is what a proxy without keepalive to its backends looks like, or a client without a pool."
            }
            Self::Nat => {
                "Connections to a service, a NodePort or a probe's target need their entry for the translation; each is \
                 one entry with two tuples, not two."
            }
        }
    }

    const fn stop(self) -> &'static str {
        match self {
            Self::Storm => {
                "Let clients reuse connections: HTTP keepalive on the service and in the clients, connection pools. It is \
                 the one remedy that removes the entries' cause."
            }
            Self::Proxy => {
                "Turn on keepalive towards the backend: in nginx `keepalive 64;` in the upstream, with \
                 `proxy_http_version 1.1;` and `proxy_set_header Connection \"\";`; in HAProxy `http-reuse always`; in \
                 Envoy it is on by default. In other clients use a pool."
            }
            Self::Nat => {
                "Reuse connections to the service; make probes and scrapes rarer, or let them keep theirs. Translated \
                 flows cannot be exempted from tracking: without the entry there is no translation."
            }
        }
    }
}

/// Fewer seconds in `TIME_WAIT`, where there are seconds to spare.
pub(super) fn shorter_time_wait(table: &Table<'_>) -> Option<Remedy> {
    const SHORTER_SECS: u32 = 30;
    let timeout = Timeout::Tcp(TcpState::TimeWait);
    let now = table.ns.timeouts.get_secs(timeout).filter(|secs| *secs > SHORTER_SECS)?;
    let name = timeout.sysctl()?;
    Some(Remedy {
        action: format!(
            "Shorten TIME_WAIT from {now} to {SHORTER_SECS} s in this namespace: connections that close from then on hold \
             {:.0}% of the entries. Those that are there keep their time, so it takes {} to show. Not below 15 s: late \
             retransmissions would meet no entry.",
            100.0 * f64::from(SHORTER_SECS) / f64::from(now),
            duration(now.into()),
        ),
        command: in_namespace(table.ns, &format!("sysctl -w net.netfilter.{name}={SHORTER_SECS}")),
    })
}

/// Whether nothing more is to come: closed, or asked and answered. What a helper expected is its own cause.
fn is_over(entry: &Entry) -> bool {
    match entry.state {
        _ if entry.status.has(Status::EXPECTED) => false,
        ProtocolState::Tcp(state) => matches!(state, TcpState::TimeWait | TcpState::LastAck | TcpState::Close),
        _ => {
            is_question(entry.original.protocol)
                && entry.status.has(Status::SEEN_REPLY)
                && !entry.status.has(Status::ASSURED)
        }
    }
}

/// Protocols of which one packet may be all that a side has to say.
fn is_question(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::UDP | Protocol::UDPLITE | Protocol::ICMP | Protocol::ICMPV6)
}

/// Which kind of churn each service sees.
struct Kinds {
    probed: Probed,
    by_service: HashMap<Service, Kind>,
    /// What the rest is, to services of a few connections each.
    of_others: Kind,
}

impl Kinds {
    fn of(table: &Table<'_>) -> Self {
        let over: Vec<_> = table.census.drawn.iter().filter(|drawn| is_over(&drawn.entry)).collect();
        let probed = Probed::of(table, &over);
        let over: Vec<_> = over.into_iter().map(|drawn| &drawn.entry).filter(|entry| !probed.is_probe(entry)).collect();
        let mut by_service: HashMap<Service, Vec<&Entry>> = HashMap::new();
        for entry in &over {
            if let Some(service) = entry.original.service() {
                by_service.entry(service).or_default().push(entry);
            }
        }
        let worth = WORTH_A_LOOK * over.len() as f64;
        let untranslated: Vec<_> = over.iter().copied().filter(|entry| !is_led_on(entry)).collect();
        // A proxy with many backends, a crawler.
        let of_others = if is_from_few(untranslated.into_iter()) { Kind::Proxy } else { Kind::Storm };
        let by_service = by_service.into_iter().map(|(service, entries)| {
            let kind = if is_translated(&entries) {
                Kind::Nat
            } else if entries.len() as f64 >= worth && is_from_few(entries.iter().copied()) {
                Kind::Proxy
            } else {
                of_others
            };
            (service, kind)
        });
        Self { probed, by_service: by_service.collect(), of_others }
    }

    /// `None` for probes.
    fn kind(&self, entry: &Entry) -> Option<Kind> {
        let kind = || entry.original.service().and_then(|service| self.by_service.get(&service));
        (!self.probed.is_probe(entry)).then(|| kind().copied().unwrap_or(self.of_others))
    }
}

fn is_translated(entries: &[&Entry]) -> bool {
    let translated = entries.iter().filter(|entry| is_led_on(entry)).count();
    2 * translated >= entries.len()
}

/// Whether something else answers than was asked. IPVS sets no status bit for it.
fn is_led_on(entry: &Entry) -> bool {
    entry.status.has(Status::DST_NAT) || entry.translation().backend.is_some()
}
