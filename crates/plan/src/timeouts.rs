//! Which timeouts should be others.

use plimsoll_churn::{Present, present};
use plimsoll_diagnose::thresholds::NAMED;
use plimsoll_diagnose::words::{duration, grouped, percent, rate, rounded};
use plimsoll_model::{
    NamespaceSnapshot, Policies, PolicyProtocol, PolicyTimeout, Protocol, ServicePolicy, Sysctl, TcpState, Timeout,
};

use crate::profile::Profile;
use crate::rails::{Holds, Rail, least_secs, rails};
use crate::silenced::{Silenced, holding};
use crate::workload::held_by;
use crate::{PassedOver, Role};

/// A timeout that should be another.
#[derive(Clone, Debug)]
pub(crate) struct TimeoutChange {
    pub(crate) timeout: Timeout,
    pub(crate) from_secs: u32,
    pub(crate) to_secs: u32,
    pub(crate) why: String,
    pub(crate) derivation: String,
    /// Rails that the value is below, and that do not bind.
    pub(crate) prices: Vec<Rail>,
    pub(crate) silenced: Option<Silenced>,
}

/// What is proposed of timeouts, and what not.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimeoutChoice {
    pub(crate) changes: Vec<TimeoutChange>,
    pub(crate) policies: Vec<(ServicePolicy, String)>,
    pub(crate) passed_over: Vec<PassedOver>,
}

/// What the table is asked to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pressure {
    /// Entries that it needs room for, growth included.
    pub(crate) with_growth: u64,
    /// The same without growth.
    pub(crate) measured: u64,
    /// Entries that it has room for.
    pub(crate) room: u64,
}

impl Pressure {
    pub(crate) const fn is_there(self) -> bool {
        self.with_growth > self.room
    }
}

/// A profile's, but for what this host cannot bear.
pub(crate) fn of_profile(profile: Profile, ns: &NamespaceSnapshot, role: Role) -> TimeoutChoice {
    let mut choice = TimeoutChoice::default();
    for (timeout, asked) in profile.timeouts() {
        let Some(from) = ns.timeouts.get_secs(*timeout) else { continue };
        let name = name(*timeout);
        let rail = least_secs(*timeout, &ns.settings, role).filter(|rail| rail.least_secs > *asked && from > *asked);
        let (to, derivation) = match rail {
            Some(rail) if rail.least_secs >= from => {
                let because = format!(
                    "it stays at {from} s, since none below {} s is proposed: {} ({})",
                    rail.least_secs, rail.because, rail.source
                );
                choice.passed_over.push(PassedOver { what: format!("{name} = {asked} s"), because });
                continue;
            }
            Some(rail) => (
                rail.least_secs,
                format!(
                    "the profile {profile} has {asked} s; no lower than {} s here: {} ({})",
                    rail.least_secs, rail.because, rail.source
                ),
            ),
            None => (*asked, format!("the founding guide's profile {profile}")),
        };
        if to == from {
            continue;
        }
        let verb = if to < from { "lets entries go sooner" } else { "keeps entries for longer" };
        let why =
            format!("the profile {profile} {verb}: {name} from {} to {}", duration(from.into()), duration(to.into()));
        choice.changes.push(change(*timeout, from, to, why, derivation, ns, role));
    }
    choice
}

/// What this host's own flows ask for: the gentlest value of those states that hold much, and only under pressure.
pub(crate) fn auto(ns: &NamespaceSnapshot, role: Role, pressure: Pressure) -> TimeoutChoice {
    let mut choice = TimeoutChoice::default();
    if !pressure.is_there() {
        return choice;
    }
    let Some(present) = present(ns) else {
        let because = "the entries were not read, so what holds them is not known".to_string();
        choice.passed_over.push(PassedOver { what: "timeouts".to_string(), because });
        return choice;
    };
    for held in coming(&present, ns).into_iter().chain(staying(&present, ns)) {
        if held.entries < NAMED * pressure.measured as f64 {
            continue;
        }
        propose(&held, ns, role, pressure, &mut choice);
    }
    choice
}

/// Timeouts that end flows which live: raised to the rail that they are below.
pub(crate) fn too_short(ns: &NamespaceSnapshot, role: Role) -> Vec<TimeoutChange> {
    let raised = [TcpState::Established, TcpState::TimeWait].into_iter().filter_map(|state| {
        let timeout = Timeout::Tcp(state);
        let from = ns.timeouts.get_secs(timeout)?;
        let rail = least_secs(timeout, &ns.settings, role).filter(|rail| from < rail.least_secs)?;
        let why = format!("{} of {} ends flows that live: {}", name(timeout), duration(from.into()), rail.because);
        let derivation = format!("the least that this host bears ({})", rail.source);
        Some(change(timeout, from, rail.least_secs, why, derivation, ns, role))
    });
    raised.collect()
}

/// Entries that a timeout holds.
struct Held {
    timeout: Timeout,
    secs: u32,
    /// As many as there will be at the churn of now.
    entries: f64,
    derivation: String,
    kind: HeldKind,
}

enum HeldKind {
    /// They come at a rate and go by the timeout: half the timeout is half the entries.
    Coming,
    /// They go when they have been silent for long enough.
    Staying,
}

/// Entries whose number is rate × timeout.
fn coming(present: &Present<'_>, ns: &NamespaceSnapshot) -> Vec<Held> {
    let mut held: Vec<Held> = Vec::new();
    for of in &present.rates {
        let Some(timeout) = held_by(of.series) else { continue };
        let Some(secs) = ns.timeouts.get_secs(timeout) else { continue };
        let entries = of.per_sec.value * f64::from(secs);
        let derivation = format!("{} {} a second × {secs} s", rate(of.per_sec.value), of.series.words());
        match held.iter_mut().find(|held| held.timeout == timeout) {
            Some(same) => {
                same.entries += entries;
                same.derivation = format!("{} and {derivation}", same.derivation);
            }
            None => held.push(Held { timeout, secs, entries, derivation, kind: HeldKind::Coming }),
        }
    }
    for held in &mut held {
        held.derivation = format!("{}: {} entries", held.derivation, grouped(rounded(held.entries)));
    }
    held
}

/// Entries that packets keep.
fn staying(present: &Present<'_>, ns: &NamespaceSnapshot) -> Vec<Held> {
    const KEPT: [Timeout; 3] =
        [Timeout::Tcp(TcpState::Established), Timeout::Tcp(TcpState::CloseWait), Timeout::UdpStream];
    let kept = KEPT.into_iter().filter_map(|timeout| {
        let secs = ns.timeouts.get_secs(timeout)?;
        let number = present.entries.iter().filter(|entry| holding(entry.entry) == Some(timeout)).count();
        let entries = number as f64 * present.per_drawn.value;
        let derivation = format!("{} entries, held for {}", grouped(rounded(entries)), duration(secs.into()));
        Some(Held { timeout, secs, entries, derivation, kind: HeldKind::Staying })
    });
    kept.collect()
}

/// Values that are tried, the gentlest first.
const fn ladder(timeout: Timeout) -> &'static [u32] {
    match timeout {
        Timeout::Tcp(TcpState::Established) => &[86_400, 28_800, 7440, 3600],
        Timeout::Tcp(TcpState::TimeWait | TcpState::FinWait | TcpState::SynSent) => &[60, 30, 15],
        Timeout::Tcp(TcpState::SynRecv | TcpState::CloseWait) => &[30, 15],
        Timeout::UdpStream => &[60],
        Timeout::Udp => &[20, 10],
        _ => &[],
    }
}

fn propose(held: &Held, ns: &NamespaceSnapshot, role: Role, pressure: Pressure, choice: &mut TimeoutChoice) {
    let name = name(held.timeout);
    let rail = least_secs(held.timeout, &ns.settings, role);
    let least = rail.as_ref().map_or(0, |rail| rail.least_secs);
    let on_ladder = ladder(held.timeout).iter().copied().map(|secs| secs.max(least)).filter(|secs| *secs < held.secs);
    let gentle: Vec<(u32, f64)> = on_ladder.map(|secs| (secs, left(held, secs, ns))).collect();
    let growth = pressure.with_growth as f64 / (pressure.measured as f64).max(1.0);
    let fits = |left: f64| (pressure.measured as f64 - held.entries + left) * growth <= pressure.room as f64;
    let chosen = gentle.iter().find(|(_, left)| fits(*left)).or(gentle.last());
    let Some((to, left)) = chosen.filter(|(_, left)| *left < held.entries * 0.95) else {
        let because = match (gentle.last(), rail) {
            (Some((secs, left)), _) => format!(
                "at {}, the least that is proposed, {} of the {} entries that it holds would be left, as far as is known",
                duration((*secs).into()),
                grouped(rounded(*left)),
                grouped(rounded(held.entries))
            ),
            (None, Some(rail)) => format!(
                "it is {} s, and {} s is the least: {} ({})",
                held.secs, rail.least_secs, rail.because, rail.source
            ),
            (None, None) => format!("it is {} s, and no lower value is proposed", held.secs),
        };
        choice.passed_over.push(PassedOver { what: format!("a lower {name}"), because });
        if let Some(policy) = policy(held, ns, role) {
            choice.policies.push(policy);
        }
        return;
    };
    let share = percent(held.entries / (pressure.measured as f64).max(1.0));
    let why = format!("{share} of the entries are held by {name}");
    let enough = if fits(*left) {
        "the gentlest that is enough by itself"
    } else {
        "the least that is proposed; not enough by itself"
    };
    let derivation = format!("{}; at {to} s they are {}: {enough}", held.derivation, grouped(rounded(*left)));
    choice.changes.push(change(held.timeout, held.secs, *to, why, derivation, ns, role));
}

/// Entries that are left at another value: of those that packets keep, the ones that may not have been silent for so long.
fn left(held: &Held, secs: u32, ns: &NamespaceSnapshot) -> f64 {
    match held.kind {
        HeldKind::Coming => held.entries * f64::from(secs) / f64::from(held.secs.max(1)),
        HeldKind::Staying => {
            let gone = Silenced::by(held.timeout, secs, ns).map_or(0, |silenced| silenced.flows.low);
            (held.entries - gone as f64).max(0.0)
        }
    }
}

/// A shorter UDP timeout for one well-known port, which even a NAT may have (RFC 4787, REQ-5a).
fn policy(held: &Held, ns: &NamespaceSnapshot, role: Role) -> Option<(ServicePolicy, String)> {
    const WELL_KNOWN: u16 = 1024;
    /// The founding guide's for DNS.
    const SHORT_SECS: u32 = 10;
    if held.timeout != Timeout::Udp || role != Role::Nat || held.secs <= SHORT_SECS {
        return None;
    }
    // Which ports policies that are there are for, no reading tells: this may be one of them.
    if ns.policies != Policies::None {
        return None;
    }
    let of_udp = |protocol| protocol == Protocol::UDP;
    let top =
        ns.census.as_ref()?.services.top.iter().find(|top| of_udp(top.key.protocol) && top.key.port < WELL_KNOWN)?;
    if top.share.low < NAMED {
        return None;
    }
    let sysctl = |timeout| Sysctl::of_timeout(timeout);
    let stream = ns.timeouts.get_secs(Timeout::UdpStream)?;
    let timeouts = vec![
        PolicyTimeout { sysctl: sysctl(Timeout::Udp)?, secs: SHORT_SECS },
        PolicyTimeout { sysctl: sysctl(Timeout::UdpStream)?, secs: stream },
    ];
    let port = top.key.port;
    let why = format!(
        "{} of the entries go to UDP port {port}; for a well-known port a NAT may have a shorter timeout (RFC 4787, REQ-5a), \
         and the others keep theirs",
        percent(top.share.value)
    );
    Some((ServicePolicy { protocol: PolicyProtocol::Udp, port, timeouts }, why))
}

pub(crate) fn change(
    timeout: Timeout,
    from_secs: u32,
    to_secs: u32,
    why: String,
    derivation: String,
    ns: &NamespaceSnapshot,
    role: Role,
) -> TimeoutChange {
    let is_below = |rail: &Rail| rail.holds == Holds::Price && to_secs < rail.least_secs;
    let prices = rails(timeout, &ns.settings, role).into_iter().filter(is_below).collect();
    let silenced = if to_secs < from_secs { Silenced::by(timeout, to_secs, ns) } else { None };
    TimeoutChange { timeout, from_secs, to_secs, why, derivation, prices, silenced }
}

/// Whether entries come that are held by a timeout from then on.
pub(crate) fn comes_to(timeout: Timeout, ns: &NamespaceSnapshot) -> bool {
    present(ns).is_some_and(|present| present.rates.iter().any(|rate| held_by(rate.series) == Some(timeout)))
}

/// As the kernel calls it, without what all have in common.
pub(crate) fn name(timeout: Timeout) -> &'static str {
    timeout.sysctl().map_or("a timeout", |name| name.trim_start_matches("nf_conntrack_"))
}
