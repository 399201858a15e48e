//! A shield for what a table's entries look like.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;

use plimsoll_diagnose::thresholds::{ENTRIES_A_SPOOFED_SOURCE, TARGETED};
use plimsoll_diagnose::{entries_of, is_from_few};
use plimsoll_model::{
    Census, Class, Entry, FindingId, Network, Ports, Protocol, Rate, Shield, SourceLimits, Status, Way,
};

/// A shield that would help, and why it is that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The shield. Whom it must not touch is for the caller to add.
    pub shield: Shield,
    /// What it follows from.
    pub because: Because,
}

/// What a proposal follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// A few sources make most of it: they are limited.
    FewSources,
    /// Each source asks about once, as spoofed ones do: limits by source would do nothing, and SYNPROXY answers without an entry.
    SpoofedSources,
    /// Many sources ask several times each.
    ManySources,
    /// Sources ask many services.
    Scan,
    /// Packets that nobody answers.
    Unreplied,
}

/// What a source may ask for if nothing else is said: a browser opens some ten connections at once, and a handful a second.
const PER_SOURCE: Rate = rate(20, 50);
/// Of a /24 or /64 as much as of five busy sources.
const PER_PREFIX: Rate = rate(100, 250);
/// UDP packets: of an exchange each is counted, not the first alone.
const DATAGRAMS_PER_SOURCE: Rate = rate(100, 250);
/// What a source that scans may ask for.
const PER_SCANNER: Rate = rate(5, 20);
/// Sources that are told apart: 65,536 take some 10 MB while all are in use.
const MOST_SOURCES: NonZeroU32 = number(65_536);

/// Sources of a flood with this share of it are dropped, unless they have completed flows too.
const HEAVY: f64 = 0.1;

/// A shield for `syn-flood`, `outbound-scan` or `udp-unreplied`; `None` where the table shows nothing of the kind, or nothing that a
/// shield can be confined to. `is_own` tells an address of the host.
pub fn propose(id: FindingId, census: &Census, is_own: &dyn Fn(IpAddr) -> bool) -> Option<Proposal> {
    let entries = entries_of(id, census);
    if entries.is_empty() {
        return None;
    }
    match id {
        FindingId::SynFlood => Some(against_flood(&entries, census)),
        FindingId::OutboundScan => Some(against_scan(&entries, is_own)),
        FindingId::UdpUnreplied => against_datagrams(&entries, census, is_own),
        _ => None,
    }
}

impl Proposal {
    /// The limits for a class if nothing else is known.
    pub fn usual_limits(class: &Class) -> SourceLimits {
        match class {
            Class::Syns { .. } | Class::Handshakes { .. } => limits(PER_SOURCE, Some(PER_PREFIX)),
            Class::Datagrams { .. } => limits(DATAGRAMS_PER_SOURCE, None),
        }
    }
}

fn against_flood(entries: &[&Entry], census: &Census) -> Proposal {
    let sources: HashSet<_> = entries.iter().map(|entry| entry.original.source).collect();
    let because = if is_from_few(entries.iter().copied()) {
        Because::FewSources
    } else if (entries.len() as f64) < ENTRIES_A_SPOOFED_SOURCE * sources.len() as f64 {
        Because::SpoofedSources
    } else {
        Because::ManySources
    };
    let ports = targets(entries);
    // SYNPROXY opens the connection to the server from this host: what translates the address in prerouting never sees it.
    let is_translated = |entry: &&Entry| entry.status.has(Status::DST_NAT);
    // SYNPROXY is for IPv4 alone.
    let of_v4 = entries.iter().filter(|entry| entry.original.source.is_ipv4()).count();
    let can_be_proxied = of_v4 * 2 > entries.len() && !entries.iter().any(is_translated);
    let class = match ports {
        Some(ports) if because != Because::FewSources && can_be_proxied => Class::Handshakes { ports },
        ports => Class::Syns { way: Way::Incoming, ports },
    };
    let limits = match (&class, because) {
        (Class::Handshakes { .. }, Because::SpoofedSources) => None,
        _ => Some(limits(PER_SOURCE, Some(PER_PREFIX))),
    };
    let drop = if because == Because::FewSources { heavy(entries, census) } else { Vec::new() };
    Proposal { shield: Shield { class, limits, drop, allow: Vec::new() }, because }
}

fn against_scan(entries: &[&Entry], is_own: &dyn Fn(IpAddr) -> bool) -> Proposal {
    let of_udp = entries.iter().filter(|entry| entry.original.protocol == Protocol::UDP).count();
    let (ports, way) = (targets(entries), way(entries, is_own));
    let class = match ports {
        Some(ports) if of_udp * 2 > entries.len() => Class::Datagrams { way, ports, known: Vec::new() },
        ports => Class::Syns { way, ports },
    };
    let limits = Some(limits(PER_SCANNER, None));
    Proposal { shield: Shield { class, limits, drop: Vec::new(), allow: Vec::new() }, because: Because::Scan }
}

fn against_datagrams(entries: &[&Entry], census: &Census, is_own: &dyn Fn(IpAddr) -> bool) -> Option<Proposal> {
    let of_udp: Vec<_> = entries.iter().copied().filter(|entry| entry.original.protocol == Protocol::UDP).collect();
    let ports = targets(&of_udp)?;
    let drop = if is_from_few(of_udp.iter().copied()) { heavy(&of_udp, census) } else { Vec::new() };
    let class = Class::Datagrams { way: way(&of_udp, is_own), ports, known: Vec::new() };
    let limits = Some(limits(DATAGRAMS_PER_SOURCE, None));
    Some(Proposal { shield: Shield { class, limits, drop, allow: Vec::new() }, because: Because::Unreplied })
}

/// The ports to which a good part of the entries goes; `None` where there is none such.
fn targets(entries: &[&Entry]) -> Option<Ports> {
    let ports = tally(entries.iter().filter_map(|entry| entry.original.service()).map(|service| service.port));
    let is_target = |seen: usize| seen as f64 >= TARGETED * entries.len() as f64;
    let ports: BTreeSet<u16> = ports.into_iter().filter(|(_, seen)| is_target(*seen)).map(|(port, _)| port).collect();
    Ports::try_from(ports).ok()
}

fn way(entries: &[&Entry], is_own: &dyn Fn(IpAddr) -> bool) -> Way {
    let own = entries.iter().filter(|entry| is_own(entry.original.source)).count();
    if own * 2 > entries.len() { Way::Outgoing } else { Way::Incoming }
}

/// The sources with much of it that have no flow which came about.
fn heavy(entries: &[&Entry], census: &Census) -> Vec<Network> {
    let answered: HashSet<_> = census
        .drawn
        .iter()
        .filter(|drawn| drawn.entry.status.has(Status::ASSURED))
        .map(|drawn| drawn.entry.original.source)
        .collect();
    let sources = tally(entries.iter().map(|entry| entry.original.source));
    let is_heavy =
        |source: &IpAddr, seen: usize| seen as f64 >= HEAVY * entries.len() as f64 && !answered.contains(source);
    let mut heavy: Vec<_> = sources
        .into_iter()
        .filter(|(source, seen)| is_heavy(source, *seen))
        .map(|(source, _)| Network::host(source))
        .collect();
    heavy.sort_unstable();
    heavy
}

fn tally<K: Eq + Hash>(keys: impl Iterator<Item = K>) -> HashMap<K, usize> {
    let mut tally = HashMap::new();
    keys.for_each(|key| *tally.entry(key).or_default() += 1);
    tally
}

fn limits(per_source: Rate, per_prefix: Option<Rate>) -> SourceLimits {
    SourceLimits { per_source, per_prefix, without_room: None, most_sources: MOST_SOURCES }
}

const fn rate(per_sec: u32, burst: u32) -> Rate {
    Rate { per_sec: number(per_sec), burst: number(burst) }
}

/// Of a constant that is not 0.
const fn number(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}
