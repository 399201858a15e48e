//! The stage as a program of the kernel's. All concerns the network namespace of the calling thread.

use std::num::NonZeroU32;
use std::time::Duration;

use plimsoll_host::boottime_now;
use plimsoll_model::{Class, Interface, Network, Rate, Shield, SourceLimits, Way, XdpStage};
use plimsoll_shield::{Early, HIT_SECS, Hit};
use plimsoll_xdp::{
    Action, At, Attached, Config, Counts, Dropped, Found, Limit, NoRate, Outcome, Passed, Ports, Rates, Reason, Room,
    Scope, XdpMode,
};

use super::{Met, Running, Runs, StageAction, StageCounters, Task, Told};
use crate::Error;
use crate::record::Undone;

/// Why no stage would be attached, as far as that shows without trying.
pub(crate) fn why_not(interface: &Interface, task: &Task<'_>) -> Option<String> {
    let vacant = || Attached::ensure_vacant(interface.as_str()).map_err(|error| error.to_string());
    config(task).and_then(|_| vacant()).err()
}

/// Attaches a stage, or says why not.
pub(crate) fn attach(stage: &XdpStage, task: &Task<'_>) -> Result<(), String> {
    let config = config(task)?;
    // By its number, which the journal has: one that was given the name since would be found by nobody.
    let attached = Attached::attach_at(stage.index, stage.interface.as_str(), plimsoll_xdp::Way::Best, &config);
    attached.map(drop).map_err(|error| error.to_string())
}

/// Has a stage do something else.
pub(crate) fn change(stage: &XdpStage, task: &Task<'_>) -> Result<Met, Error> {
    let mut attached = match look(stage, task.application)? {
        Look::Ours(found) => found.open()?,
        Look::Gone => return Ok(Met::Gone),
        Look::Elsewhere { why } => return Ok(Met::Elsewhere { why }),
    };
    let config = config(task).map_err(Error::Refused)?;
    attached.update(&config)?;
    Ok(Met::There)
}

/// Detaches a stage, if it is that of the application, whichever version has attached it. The kernel compares the program once more.
pub(crate) fn detach(stage: &XdpStage, application: u32) -> Result<Undone, Error> {
    match look(stage, application)? {
        Look::Ours(found) => found.detach()?,
        Look::Gone => return Ok(Undone::NothingToDo),
        Look::Elsewhere { why } => return Ok(Undone::Held { reason: why }),
    }
    Ok(Undone::Restored)
}

/// What a stage does and has done, and whose packets it has dropped; `None` where it is not there.
pub(crate) fn running(stage: &XdpStage, application: u32) -> Result<Option<Told>, Error> {
    let Look::Ours(found) = look(stage, application)? else { return Ok(None) };
    let mut attached = found.open()?;
    let status = attached.status()?;
    let now = boottime_now();
    let recently = now.saturating_sub(Duration::from_secs(HIT_SECS.into()));
    let (hits, aged): (Vec<_>, Vec<_>) = attached.hits()?.into_iter().partition(|hit| hit.last >= recently);
    // As the elements of the rules' sets time out, so that there is room for who is hit next.
    attached.forget(aged.into_iter().map(|hit| hit.source))?;
    let unnoted = attached.unnoted()?;
    let early = Early {
        hits: hits.into_iter().map(|hit| Hit { source: hit.source, packets: hit.packets }).collect(),
        unrecorded: if unnoted.last >= recently { unnoted.packets } else { 0 },
    };
    let running = Running {
        runs: match status.mode {
            XdpMode::Native | XdpMode::Offloaded => Runs::Native,
            XdpMode::Generic => Runs::Generic,
        },
        action: match status.action {
            Action::Shadow => StageAction::Shadow,
            Action::Enforce => StageAction::Enforce,
        },
        ends_in_secs: status.until.saturating_sub(now).as_secs(),
        counters: counters(&status.counts),
    };
    Ok(Some((running, early)))
}

/// Where a stage is.
enum Look {
    /// Where it was put.
    Ours(Box<Found>),
    /// Nowhere any more, or there is another program in its place.
    Gone,
    /// Its interface is not here any more, and a program of the application drops packets elsewhere still: an interface that is moved to
    /// another network namespace takes it along.
    Elsewhere { why: String },
}

/// Looks for a stage of an application.
fn look(stage: &XdpStage, application: u32) -> Result<Look, Error> {
    match Found::at(stage.index)? {
        At::Found(found) if found.owner() == application => return Ok(Look::Ours(found)),
        At::Found(_) | At::Vacant => return Ok(Look::Gone),
        At::NoInterface => {}
    }
    let rest = plimsoll_xdp::elsewhere(application)?.map(|until| until.saturating_sub(boottime_now()).as_secs());
    // Once its time is over it drops nothing.
    let Some(rest @ 1..) = rest else { return Ok(Look::Gone) };
    let XdpStage { interface, index } = stage;
    Ok(Look::Elsewhere {
        why: format!(
            "{interface} (number {index}) is not in this network namespace any more, and an XDP stage of application {application} is \
             attached in another one: it goes on there for {rest} s, unless the interface comes back or `ip link set dev {interface} xdp \
             off` is run there"
        ),
    })
}

/// What the program is told, so that it drops what the shield's rules would; or why it cannot.
fn config(task: &Task<'_>) -> Result<Config, String> {
    let &Task { shield, application, action, lasts } = task;
    if shield.class.way() == Way::Outgoing {
        return Err("XDP sees packets that come in, and this shield looks at those that go out".to_string());
    }
    if shield.limits.is_none() && shield.drop.is_empty() {
        return Err("XDP would have nothing to do, as this shield limits no sources and drops none (SYNPROXY's work is not for XDP); \
                    --per-source or --drop give it some"
            .to_string());
    }
    let until = boottime_now() + lasts;
    let limit = Limit { ports: ports(&shield.class), rates: rates(shield.limits.as_ref())? };
    let (tcp, udp) = match &shield.class {
        Class::Syns { .. } | Class::Handshakes { .. } => (Some(limit), None),
        Class::Datagrams { .. } => (None, Some(limit)),
    };
    Ok(Config {
        until,
        action: match action {
            StageAction::Shadow => Action::Shadow,
            StageAction::Enforce => Action::Enforce,
        },
        owner: application,
        allowed: allowed(shield),
        // It ends with the program, which may be prolonged.
        dropped: shield.drop.iter().map(|network| Dropped { network: *network, until: Duration::MAX }).collect(),
        scope: Scope::Limited,
        tcp,
        udp,
        room: room(shield.limits.as_ref()),
    })
}

fn ports(class: &Class) -> Ports {
    class.ports().map_or(Ports::All, |ports| Ports::These(ports.iter().collect()))
}

/// Who is allowed always is. Known UDP peers are not limited; but the list of those to be dropped comes first.
fn allowed(shield: &Shield) -> Vec<Network> {
    let known = match &shield.class {
        Class::Datagrams { known, .. } => known.as_slice(),
        Class::Syns { .. } | Class::Handshakes { .. } => &[],
    };
    let is_dropped = |peer: &&std::net::IpAddr| shield.drop.iter().any(|network| network.holds(**peer));
    let known = known.iter().filter(|peer| !is_dropped(peer)).copied().map(Network::host);
    shield.allow.iter().copied().chain(known).collect()
}

fn rates(limits: Option<&SourceLimits>) -> Result<Option<Rates>, String> {
    let Some(limits) = limits else { return Ok(None) };
    let rate = |rate: Rate| {
        plimsoll_xdp::Rate::per_sec(rate.per_sec, rate.burst)
            .map_err(|error: NoRate| format!("XDP cannot keep a limit of {rate}: {error}"))
    };
    let source = rate(limits.per_source)?;
    Ok(Some(match limits.per_prefix {
        None => Rates::Source(source),
        Some(prefix) => Rates::Both { source, prefix: rate(prefix)? },
    }))
}

/// Sources and prefixes are in one map, and each has as much room as in the sets of the rules.
fn room(limits: Option<&SourceLimits>) -> Room {
    let usual = Room::default();
    let Some(limits) = limits else { return Room { sources: NonZeroU32::MIN, ..usual } };
    let maps = if limits.per_prefix.is_some() { NonZeroU32::MIN.saturating_add(1) } else { NonZeroU32::MIN };
    Room { sources: limits.most_sources.saturating_mul(maps), ..usual }
}

fn counters(counts: &Counts) -> StageCounters {
    let too_many = |reason| counts.of(Outcome::WouldDrop(reason)) + counts.of(Outcome::Dropped(reason));
    StageCounters {
        seen: counts.seen(),
        allowed: counts.of(Outcome::Passed(Passed::Allowed)),
        within_limit: counts.of(Outcome::Passed(Passed::WithinLimit)),
        listed: too_many(Reason::Listed),
        over_source: too_many(Reason::OverSource),
        over_prefix: too_many(Reason::OverPrefix),
        dropped: counts.dropped(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(class: Class, limits: Option<&str>, drop: &[&str]) -> Shield {
        let limits = limits.map(|rate| SourceLimits {
            per_source: rate.parse().unwrap(),
            per_prefix: None,
            without_room: None,
            most_sources: NonZeroU32::MIN.saturating_add(9),
        });
        Shield { class, limits, drop: networks(drop), allow: networks(&["192.0.2.7/32"]) }
    }

    fn networks(networks: &[&str]) -> Vec<Network> {
        networks.iter().map(|network| network.parse().unwrap()).collect()
    }

    fn configured(shield: &Shield) -> Result<Config, String> {
        config(&Task { shield, application: 3, action: StageAction::Shadow, lasts: Duration::from_mins(1) })
    }

    fn port(port: u16) -> plimsoll_model::Ports {
        plimsoll_model::Ports::one(port).unwrap()
    }

    #[test]
    fn who_is_known_passes_unless_listed_and_who_is_allowed_in_any_case() {
        let known = ["192.0.2.70", "198.51.100.1"].map(|peer| peer.parse().unwrap()).to_vec();
        let class = Class::Datagrams { way: Way::Incoming, ports: port(53), known };
        let config = configured(&of(class, Some("20/50"), &["192.0.2.0/24"])).unwrap();
        assert_eq!(config.allowed, networks(&["192.0.2.7/32", "198.51.100.1/32"]));
        assert_eq!((config.owner, config.action, config.scope), (3, Action::Shadow, Scope::Limited));
        let limit = config.udp.unwrap();
        let rate = limit.rates.and_then(Rates::source).unwrap();
        assert_eq!((rate.interval(), rate.burst(), config.room.sources.get()), (Duration::from_millis(50), 50, 10));
        assert_eq!((limit.ports, config.tcp), (Ports::These([53].into()), None));
    }

    #[test]
    fn what_xdp_cannot_do_is_said() {
        let outgoing = Class::Syns { way: Way::Outgoing, ports: Some(port(23)) };
        let handshakes = || Class::Handshakes { ports: port(443) };
        let long = Class::Syns { way: Way::Incoming, ports: None };
        for (shield, why) in [
            (of(outgoing, Some("20"), &[]), "go out"),
            (of(handshakes(), None, &[]), "nothing to do"),
            (of(long, Some("1/100000"), &[]), "within a day"),
        ] {
            let answer = configured(&shield).unwrap_err();
            assert!(answer.contains(why), "{answer}");
        }
        let listed = configured(&of(handshakes(), None, &["192.0.2.0/24"])).unwrap();
        assert_eq!(listed.tcp, Some(Limit { ports: Ports::These([443].into()), rates: None }));
    }
}
