//! Services whose packets need no entry, and whether leaving them untracked changes what the firewall means.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use plimsoll_churn::flow;
use plimsoll_diagnose::thresholds::NAMED;
use plimsoll_diagnose::words::grouped;
use plimsoll_model::{
    Bypass, Bypassed, Census, Drawn, Edit, Entry, Extension, Layer4, NamespaceSnapshot, Network, PolicyProtocol,
    Protocol, Status, Zone,
};
use plimsoll_rules::{Begins, Beside, Judgement, Reason, Ruleset, Safe, Terms, judge_bypass};

use crate::timeouts::Pressure;
use crate::{PassedOver, Planned, Risk};

/// What a bypass is judged by.
#[derive(Clone, Copy, Debug)]
pub struct BypassGround<'a> {
    /// The ruleset in force.
    pub ruleset: &'a Ruleset,
    /// What works with entries beside it.
    pub beside: &'a Beside,
    /// Which of the addresses that entries name are this namespace's own.
    pub own: &'a HashSet<IpAddr>,
}

/// Peers that a rule names. More are no known peers.
const MOST_PEERS: usize = 64;

/// Changes, and what was considered and is not proposed.
#[derive(Default)]
pub(crate) struct BypassChoice {
    pub(crate) changes: Vec<Planned>,
    pub(crate) passed_over: Vec<PassedOver>,
}

/// The services that hold a tenth of the table or more, each as far as it can be left untracked. Where the table has room as it is,
/// nothing is said of them.
pub(crate) fn choose(
    ns: &NamespaceSnapshot,
    ground: Result<BypassGround<'_>, &str>,
    pressure: Option<Pressure>,
) -> BypassChoice {
    let mut choice = BypassChoice::default();
    let Some(census) = ns.census.as_ref().filter(|_| pressure.is_some_and(Pressure::is_there)) else { return choice };
    let ground = match ground {
        Ok(ground) => ground,
        Err(because) => {
            let what = "no tracking of services that need no entries".to_string();
            choice.passed_over.push(PassedOver { what, because: because.to_string() });
            return choice;
        }
    };
    for group in groups(census, ground.own) {
        match proposed(&group, ns, census, &ground) {
            Ok(change) => choice.changes.push(change),
            Err(because) => choice.passed_over.push(PassedOver { what: group.in_words(), because }),
        }
    }
    choice
}

/// Entries of one service that go one way.
struct Group {
    service: ServiceOneWay,
    /// How many of the drawn entries are among them.
    drawn: usize,
    clients: BTreeSet<IpAddr>,
    servers: BTreeSet<IpAddr>,
    /// Why they need their entries, where one of them does.
    needs_entries: Option<&'static str>,
    /// Whether one of them began at the service's port.
    begins_at_service: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ServiceOneWay {
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

/// The services that hold a tenth of the live entries at least, the largest first.
fn groups(census: &Census, own: &HashSet<IpAddr>) -> Vec<Group> {
    let mut groups = BTreeMap::<ServiceOneWay, Group>::new();
    for drawn in &census.drawn {
        let entry = &drawn.entry;
        let Some(service) = ServiceOneWay::of(entry, own) else { continue };
        let group = groups.entry(service).or_insert_with(|| Group::empty(service));
        group.drawn += 1;
        group.clients.insert(entry.original.source);
        group.servers.insert(entry.original.destination);
        group.needs_entries = group.needs_entries.or_else(|| needs_entry(entry));
        group.begins_at_service |=
            matches!(entry.original.layer4, Layer4::Ports { source, .. } if source == service.port);
    }
    let is_large = |group: &Group| census.count_drawn(group.drawn).share.low >= NAMED;
    let mut large: Vec<_> = groups.into_values().filter(is_large).collect();
    large.sort_by_key(|group| std::cmp::Reverse(group.drawn));
    large
}

impl ServiceOneWay {
    /// `None` for what has no ports, and for what this host says to itself: no rule is made for loopback.
    fn of(entry: &Entry, own: &HashSet<IpAddr>) -> Option<Self> {
        let Layer4::Ports { destination: port, .. } = entry.original.layer4 else { return None };
        let protocol = match entry.original.protocol {
            Protocol::TCP => PolicyProtocol::Tcp,
            Protocol::UDP => PolicyProtocol::Udp,
            _ => return None,
        };
        let goes = match (own.contains(&entry.original.source), own.contains(&entry.original.destination)) {
            (true, true) => return None,
            (false, true) => Goes::In,
            (true, false) => Goes::Out,
            (false, false) => Goes::Through,
        };
        Some(Self { protocol, port, goes })
    }
}

impl Group {
    const fn empty(service: ServiceOneWay) -> Self {
        Self {
            service,
            drawn: 0,
            clients: BTreeSet::new(),
            servers: BTreeSet::new(),
            needs_entries: None,
            begins_at_service: false,
        }
    }

    fn holds(&self, drawn: &Drawn, own: &HashSet<IpAddr>) -> bool {
        ServiceOneWay::of(&drawn.entry, own) == Some(self.service)
    }

    /// The bypass for it; `None` where its peers are too many to be known.
    fn bypass(&self) -> Option<Bypass> {
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

    fn in_words(&self) -> String {
        let goes = match self.service.goes {
            Goes::In => "served here",
            Goes::Out => "asked from here",
            Goes::Through => "passing through",
        };
        format!("no tracking of {} port {}, {goes}", self.service.protocol.name(), self.service.port)
    }
}

/// What an entry does for its flow beside letting rules know its state.
fn needs_entry(entry: &Entry) -> Option<&'static str> {
    if entry.status.has(Status::SRC_NAT) || entry.status.has(Status::DST_NAT) {
        Some("addresses of its flows are translated, which takes an entry")
    } else if entry.status.has(Status::HELPER) || entry.status.has(Status::EXPECTED) {
        Some("a helper follows its flows")
    } else if entry.is_offloaded() {
        Some("its flows are offloaded by their entries")
    } else if entry.mark != 0 || entry.extensions.contains(Extension::Labels) {
        Some("its entries carry marks or labels, which something may go by")
    } else if entry.zone != Zone::default() {
        Some("its entries are in a zone of their own, which a rule gives them")
    } else {
        None
    }
}

/// A change; or why there is none.
fn proposed(
    group: &Group,
    ns: &NamespaceSnapshot,
    census: &Census,
    ground: &BypassGround<'_>,
) -> Result<Planned, String> {
    if let Some(needs) = group.needs_entries {
        return Err(needs.to_string());
    }
    let bypass =
        group.bypass().ok_or_else(|| format!("it has more than {MOST_PEERS} peers on a side: none is known"))?;
    let entries = census.count_drawn(group.drawn).entries;
    let saves = format!("it would save {} to {} entries", grouped(entries.low), grouped(entries.high));
    let (safe, begins) = judged(group, &bypass, ground).map_err(|reasons| not_safe(&reasons, &saves))?;
    if !safe.additions.is_empty() {
        let rules = in_one_line(&safe, ground.ruleset);
        return Err(format!(
            "{saves}, once these rules are in place, so that the firewall means the same: {rules}; then plan again"
        ));
    }
    let per_sec = flow(ns, &|drawn| group.holds(drawn, ground.own)).and_then(|flow| flow.per_sec);
    let churn = per_sec.map_or_else(String::new, |rate| format!(", and {:.0} new ones a second", rate.value));
    Ok(planned(bypass, &format!("{saves}{churn}"), &safe, begins))
}

/// Whoever begins flows may, if that is safe; else, where no entry shows a flow that the service began, clients alone.
fn judged(group: &Group, bypass: &Bypass, ground: &BypassGround<'_>) -> Result<(Safe, Begins), Vec<Reason>> {
    let judge = |begins| {
        let terms = Terms { begins, ..Terms::default() };
        match judge_bypass(ground.ruleset, bypass, terms, ground.beside) {
            Judgement::Safe(safe) => Ok((safe, begins)),
            Judgement::Unsafe(reasons) | Judgement::Undecided(reasons) => Err(reasons),
        }
    };
    judge(Begins::Either).or_else(|reasons| {
        if group.begins_at_service { Err(reasons) } else { judge(Begins::ClientsOnly).map_err(|_| reasons) }
    })
}

fn not_safe(reasons: &[Reason], saves: &str) -> String {
    const TOLD: usize = 3;
    let told: Vec<_> = reasons.iter().take(TOLD).map(ToString::to_string).collect();
    let more = reasons.len().saturating_sub(TOLD);
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{saves}, but the firewall would not mean the same, or that cannot be told: {}{rest}", told.join("; "))
}

fn in_one_line(safe: &Safe, ruleset: &Ruleset) -> String {
    let commands = safe.commands(ruleset).unwrap_or_default();
    let lines: Vec<_> = commands.iter().map(|command| format!("`{}`", command.join(" "))).collect();
    lines.join(", ")
}

fn planned(bypass: Bypass, saves: &str, safe: &Safe, begins: Begins) -> Planned {
    let prices: Vec<_> = safe.prices.iter().map(ToString::to_string).collect();
    let rests = match begins {
        Begins::Either => {
            "each packet of it was followed through the rules in force, tracked in every state and untracked, and ends alike"
        }
        Begins::ClientsOnly => {
            "as far as the service begins no flow itself, each packet of it was followed through the rules in force, tracked in every state \
             and untracked, and ends alike"
        }
    };
    let cost = "its flows are not among the entries any more, and rules see their packets as UNTRACKED";
    Planned {
        why: format!("{} need no entries: {saves}", bypass_subject(&bypass)),
        derivation: rests.to_string(),
        forecast: None,
        silenced: None,
        takes_effect: "at once; entries that are there go by their timeouts",
        cost: std::iter::once(cost.to_string()).chain(prices).collect::<Vec<_>>().join("; "),
        risk: if bypass.protocol == PolicyProtocol::Udp { Risk::Low } else { Risk::Medium },
        risk_because: "rules that somebody adds later may go by the state of its packets".to_string(),
        prices: Vec::new(),
        overwritten: None,
        revert: "plimsoll rollback".to_string(),
        edit: Edit::Bypass(bypass),
    }
}

fn bypass_subject(bypass: &Bypass) -> String {
    format!("flows of {} port {}", bypass.protocol.name(), bypass.port)
}
