//! Services, by where their requests go, and which of them hold or make so many entries that leaving them untracked is worth while.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use plimsoll_churn::flow;
use plimsoll_diagnose::thresholds::NAMED;
use plimsoll_model::{
    Bypass, Bypassed, Census, Entry, Layer4, NamespaceSnapshot, Network, OwnAddresses, PolicyProtocol, Protocol,
};

use crate::Saves;

/// Peers that a rule names. More are no known peers.
pub(crate) const MOST_PEERS: usize = 64;

/// A service that is looked at need hold no more than this share where several together are worth while.
const SMALL: f64 = 0.01;

/// Of how many services, those with the most entries, the churn is reckoned.
const MOST_RECKONED: usize = 32;

/// A service, and what is saved by leaving it untracked.
pub(crate) struct Candidate {
    pub(crate) service: ServiceOneWay,
    clients: BTreeSet<IpAddr>,
    servers: BTreeSet<IpAddr>,
    pub(crate) saves: Saves,
    drawn: usize,
    /// Of all entries (the least that it may be), or of all that come: the larger one.
    share: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServiceOneWay {
    protocol: PolicyProtocol,
    port: u16,
    goes: Goes,
}

/// Where a service's requests go, seen from this host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Goes {
    In,
    Out,
    Through,
}

/// Services that hold a tenth of the entries, or of those that come; and smaller ones of UDP or between known peers, where they do so together:
/// health checks, exporters of metrics, what hosts of one site say to each other. Those first that save most.
pub(crate) fn candidates(ns: &NamespaceSnapshot, census: &Census, own: &OwnAddresses) -> Vec<Candidate> {
    let all_per_sec = per_sec(ns, &|_| true);
    let mut all: Vec<_> =
        groups(census, own).into_iter().map(|(service, group)| (Reverse(group.drawn), service, group)).collect();
    all.sort_by_key(|(drawn, service, _)| (*drawn, *service));
    let reckoned = all.into_iter().take(MOST_RECKONED).map(|(_, service, group)| {
        let count = census.count_drawn(group.drawn);
        let per_sec = per_sec(ns, &|entry| ServiceOneWay::of(entry, own) == Some(service));
        let of_churn = per_sec.zip(all_per_sec).map_or(0.0, |(part, all)| part / all);
        Candidate {
            service,
            clients: group.clients,
            servers: group.servers,
            saves: Saves { entries: count.entries, per_sec },
            drawn: group.drawn,
            share: count.share.low.max(of_churn),
        }
    });
    let (mut chosen, small): (Vec<_>, Vec<_>) = reckoned.partition(|candidate| candidate.share >= NAMED);
    let small: Vec<_> = small.into_iter().filter(Candidate::is_worth_while_among_others).collect();
    if are_worth_while(&small, census, all_per_sec) {
        chosen.extend(small);
    }
    chosen.sort_by(|a, b| b.share.total_cmp(&a.share));
    chosen
}

/// New entries a second; `None` where they cannot be dated, or there are none.
fn per_sec(ns: &NamespaceSnapshot, part: &dyn Fn(&Entry) -> bool) -> Option<f64> {
    let rate = flow(ns, &|drawn| part(&drawn.entry))?.per_sec?.value;
    (rate > 0.0).then_some(rate)
}

fn are_worth_while(small: &[Candidate], census: &Census, all_per_sec: Option<f64>) -> bool {
    let drawn = small.iter().map(|candidate| candidate.drawn).sum();
    let per_sec: f64 = small.iter().filter_map(|candidate| candidate.saves.per_sec).sum();
    census.count_drawn(drawn).share.low >= NAMED || all_per_sec.is_some_and(|all| per_sec >= NAMED * all)
}

impl Candidate {
    fn is_worth_while_among_others(&self) -> bool {
        self.share >= SMALL && (self.service.protocol == PolicyProtocol::Udp || self.has_known_peers())
    }

    fn has_known_peers(&self) -> bool {
        let peers = match self.service.goes {
            Goes::In => self.clients.len(),
            Goes::Out => self.servers.len(),
            Goes::Through => self.clients.len().max(self.servers.len()),
        };
        peers <= MOST_PEERS
    }

    /// The bypass for it; `None` where its peers are too many to be known.
    pub(crate) fn bypass(&self) -> Option<Bypass> {
        let known = |peers: &BTreeSet<IpAddr>| -> Option<Vec<Network>> {
            (peers.len() <= MOST_PEERS).then(|| peers.iter().copied().map(Network::host).collect())
        };
        let flows = match self.service.goes {
            Goes::In => Bypassed::ServedHere,
            Goes::Out => Bypassed::AskedFromHere { servers: known(&self.servers)? },
            Goes::Through => Bypassed::Forwarded { clients: known(&self.clients)?, servers: known(&self.servers)? },
        };
        Some(Bypass { protocol: self.service.protocol, port: self.service.port, flows })
    }

    pub(crate) fn in_words(&self) -> String {
        let goes = match self.service.goes {
            Goes::In => "served here",
            Goes::Out => "asked from here",
            Goes::Through => "passing through",
        };
        format!("no tracking of {} port {}, {goes}", self.service.protocol.name(), self.service.port)
    }
}

/// Entries of one service that go one way.
#[derive(Default)]
struct Group {
    /// How many of the drawn entries are among them.
    drawn: usize,
    clients: BTreeSet<IpAddr>,
    servers: BTreeSet<IpAddr>,
}

fn groups(census: &Census, own: &OwnAddresses) -> BTreeMap<ServiceOneWay, Group> {
    let mut groups = BTreeMap::<ServiceOneWay, Group>::new();
    for drawn in &census.drawn {
        let Some(service) = ServiceOneWay::of(&drawn.entry, own) else { continue };
        let group = groups.entry(service).or_default();
        group.drawn += 1;
        group.clients.insert(drawn.entry.original.source);
        group.servers.insert(drawn.entry.original.destination);
    }
    groups
}

impl ServiceOneWay {
    /// `None` for what has no ports, for what is for many, and for what this host says to itself: no rule is made for these.
    fn of(entry: &Entry, own: &OwnAddresses) -> Option<Self> {
        let (from, to) = (entry.original.source, entry.original.destination);
        let Layer4::Ports { destination: port, .. } = entry.original.layer4 else { return None };
        let protocol = match entry.original.protocol {
            Protocol::TCP => PolicyProtocol::Tcp,
            Protocol::UDP => PolicyProtocol::Udp,
            _ => return None,
        };
        if own.is_for_many(to) {
            return None;
        }
        let goes = match (own.contains(from), own.contains(to)) {
            (true, true) => return None,
            (false, true) => Goes::In,
            (true, false) => Goes::Out,
            (false, false) => Goes::Through,
        };
        Some(Self { protocol, port, goes })
    }
}
