//! `insert-clash`, and `dns-clash` where it is a resolver's two queries that clash.

use plimsoll_model::{
    Confidence, Count, Counter, Entry, Evidence, Finding, FindingId, NamespaceSnapshot, Protocol, Remedy, Service,
    Severity, Snapshot,
};

use crate::evidence::{advice, fact, number};
use crate::searched::Searched;
use crate::thresholds::{CLASHES_PER_SEC, DNS_SHARE};
use crate::words::{grouped, percent, rate};

pub(crate) fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    snapshot.namespaces.iter().filter_map(finding).collect()
}

fn finding(ns: &NamespaceSnapshot) -> Option<Finding> {
    let clashes = Clashes::of(ns)?;
    let dns = Dns::of(ns);
    match &dns {
        Some(dns) if dns.is_most() && clashes.are_many() => Some(of_dns(ns, &clashes, dns)),
        // What was resolved cost nothing.
        _ if clashes.lost == 0 => None,
        _ => Some(of_anything(ns, &clashes, dns.as_ref())),
    }
}

/// What clashed within the interval.
struct Clashes {
    lost: u64,
    resolved: Option<u64>,
    secs: f64,
}

impl Clashes {
    fn of(ns: &NamespaceSnapshot) -> Option<Self> {
        let change = ns.change.as_ref()?;
        let failed = change.counters.get(Counter::InsertFailed)?;
        // A chain that is too long raises both, and is another finding. Kernels before 5.15 have no such limit.
        let lost = failed.saturating_sub(change.counters.get(Counter::ChainTooLong).unwrap_or(0));
        Some(Self { lost, resolved: change.counters.get(Counter::ClashResolved), secs: change.over.as_secs_f64() })
    }

    fn lost_per_sec(&self) -> f64 {
        self.lost as f64 / self.secs
    }

    /// Whether packets are lost, or so many are resolved that a kernel which resolves fewer would lose some.
    fn are_many(&self) -> bool {
        self.lost > 0 || self.resolved.is_some_and(|resolved| resolved as f64 / self.secs >= CLASHES_PER_SEC)
    }

    fn severity(&self) -> Severity {
        if self.lost_per_sec() >= CLASHES_PER_SEC { Severity::Warning } else { Severity::Info }
    }

    fn evidence(&self) -> Vec<Evidence> {
        let Self { lost, secs, .. } = self;
        let mut evidence = vec![
            number(
                "clashes",
                *lost as f64,
                format!("{} entries refused by a clash within {secs:.1} s", grouped(*lost)),
            ),
            number("clashes_per_sec", self.lost_per_sec(), format!("{} a second", rate(self.lost_per_sec()))),
        ];
        if let Some(resolved) = self.resolved {
            evidence.push(number(
                "clashes_resolved",
                resolved as f64,
                format!("{} more were resolved, and cost nothing", grouped(resolved)),
            ));
        }
        evidence
    }
}

/// The entries of UDP that are queries to a resolver by an address that is translated.
///
/// Two queries from one socket have one entry: the later one's clashes with it, and is merged, hidden or dropped. So of pairs a dump shows
/// nothing but, where packets are counted, that two questions and two answers went by one entry.
struct Dns {
    /// Of those of UDP.
    share: plimsoll_model::Interval,
    entries: Count,
    /// Of these, those with four packets or more; `None` where packets are not counted.
    pairs: Option<usize>,
    /// The service's name, where rules tell it.
    service: Option<String>,
}

/// Two questions and two answers.
const PAIR_PACKETS: u64 = 4;

impl Dns {
    /// `None` where the entries were not read, or there are none.
    fn of(ns: &NamespaceSnapshot) -> Option<Self> {
        let census = ns.census.as_ref()?;
        let udp: Vec<_> =
            census.drawn.iter().map(|drawn| &drawn.entry).filter(|entry| is_of(entry, Protocol::UDP)).collect();
        let is_dns = |entry: &&&Entry| {
            entry.original.service().is_some_and(Service::is_dns) && entry.translation().backend.is_some()
        };
        let dns: Vec<_> = udp.iter().filter(is_dns).copied().collect();
        let first = dns.first()?;
        let all = census.count_drawn(udp.len()).entries;
        let counted: Vec<u64> = dns.iter().filter_map(|entry| Some(entry.packets?.get())).collect();
        let service = ns.surroundings.as_ref().and_then(|around| {
            let named = dns.iter().find_map(|entry| around.service_of(entry));
            Some(around.services.get(named?)?.to_string())
        });
        Some(Self {
            share: plimsoll_model::Sample { read: udp.len() as u64, live: all }.share(dns.len() as u64),
            entries: census.count_drawn(dns.len()),
            pairs: (!counted.is_empty()).then(|| counted.iter().filter(|packets| **packets >= PAIR_PACKETS).count()),
            service: service.or_else(|| first.original.service().map(|service| service.to_string())),
        })
    }

    fn is_most(&self) -> bool {
        self.share.low >= DNS_SHARE
    }

    fn evidence(&self) -> Vec<Evidence> {
        let Self { share, entries, pairs, service } = self;
        let mut evidence = vec![number(
            "dns_ratio",
            share.value,
            format!(
                "{} ({} to {}) of the entries of UDP are DNS by a translated address: {} entries",
                percent(share.value),
                percent(share.low),
                percent(share.high),
                grouped(entries.entries.high)
            ),
        )];
        evidence.extend(service.as_ref().map(|service| fact("dns_service", format!("asked is {service}"))));
        evidence.extend(pairs.map(|pairs| {
            let what = "of those looked at have four packets or more, as two queries from one socket make";
            number("dns_pairs", pairs as f64, format!("{} {what}", grouped(pairs as u64)))
        }));
        evidence
    }
}

fn is_of(entry: &Entry, protocol: Protocol) -> bool {
    entry.original.protocol == protocol
}

fn of_dns(ns: &NamespaceSnapshot, clashes: &Clashes, dns: &Dns) -> Finding {
    let mut evidence = clashes.evidence();
    evidence.extend(dns.evidence());
    let searched = ns.census.as_ref().and_then(|census| Searched::of(ns, census.drawn.iter()));
    evidence.extend(searched.as_ref().map(Searched::evidence));
    Finding {
        id: FindingId::DnsClash,
        severity: clashes.severity(),
        confidence: Confidence::Likely,
        namespace: Some(ns.namespace.name.clone()),
        holds: None,
        whose: Vec::new(),
        title: if clashes.lost > 0 {
            format!("{} packets a second are dropped by clashes, most likely DNS queries", rate(clashes.lost_per_sec()))
        } else {
            "DNS queries clash, and the kernel resolves it".to_string()
        },
        evidence,
        meaning: "A resolver asks for A and AAAA from one socket at once, two CPUs make an entry for each, and each is led to another backend. \
                  The later one is dropped where it cannot be resolved; its client asks again after 5 s. Names are looked up slowly now and then, \
                  and no log says why."
            .to_string(),
        remedies: dns_remedies().into_iter().chain(searched.as_ref().map(Searched::remedy)).collect(),
    }
}

fn dns_remedies() -> Vec<Remedy> {
    vec![
        advice(
            "Answer on the node, without translation: NodeLocal DNSCache listens at an address of the node, and its rules leave that untracked \
             (NOTRACK), so there is no entry to clash.",
        ),
        advice(
            "Have the resolver ask one after the other: `options single-request-reopen` in resolv.conf (glibc; in Kubernetes `dnsConfig.options`). \
             musl has no such option.",
        ),
        advice(
            "Or ask by TCP (`options use-vc`, glibc): no two packets race for an entry, but each query is a connection, with its entry in TIME_WAIT.",
        ),
    ]
}

fn of_anything(ns: &NamespaceSnapshot, clashes: &Clashes, dns: Option<&Dns>) -> Finding {
    let mut evidence = clashes.evidence();
    evidence.extend(dns.into_iter().flat_map(Dns::evidence));
    Finding {
        id: FindingId::InsertClash,
        severity: clashes.severity(),
        // Only the entries tell whether source translation has ports left.
        confidence: if ns.census.is_some() { Confidence::Likely } else { Confidence::Possible },
        namespace: Some(ns.namespace.name.clone()),
        holds: None,
        whose: Vec::new(),
        title: format!(
            "{} first packets a second are dropped because another flow took their tuple",
            rate(clashes.lost_per_sec())
        ),
        evidence,
        meaning: "Two packets raced to make an entry with the same tuple, and the kernel dropped the later one. Usually a \
                  resolver sends two queries (A and AAAA) from one UDP socket at once and a service's address is translated, or \
                  two flows are given the same port by source NAT. A resolver tries again after 5 s. The drop counter counts \
                  these too; the table need not be full."
            .to_string(),
        remedies: vec![
            advice(
                "DNS: let the resolver ask one after the other (`options single-request-reopen` in resolv.conf, glibc), or \
                 answer on the node, without NAT (NodeLocal DNSCache).",
            ),
            advice(
                "Look whether source NAT has used up its ports: `plimsoll check --netns` with this namespace's name reads its \
                 entries. Each flow without a port fails so too.",
            ),
            advice(
                "Source NAT: choose ports at random (iptables `--random-fully` on MASQUERADE and SNAT; nft \
                 `masquerade fully-random`), so that two flows rarely try the same one.",
            ),
        ],
    }
}
