//! Whether SYNPROXY may do the handshakes of services: beside the rules in force nothing may be lost by it.

use plimsoll_ctnetlink::{Link, links};
use plimsoll_host::{HostFs, Rulesets};
use plimsoll_model::{Class, Ports, Shield};
use plimsoll_rules::{Loss, Proxied, Proxying, Ruleset, Served, accepts_unknown, judge_synproxy};
use plimsoll_shield::TABLE;

use crate::Error;
use crate::place::Place;

/// Reasons that are told; the others are counted.
const MOST_TOLD: usize = 5;

/// Refuses a shield with SYNPROXY unless the rules of its namespace mean the same with it. A shield of another class is let through.
pub(crate) fn refuse_unsafe_proxy(place: &Place, shield: &Shield) -> Result<(), Error> {
    let Class::Handshakes { ports } = &shield.class else { return Ok(()) };
    let host = HostFs::new();
    refuse_bridged(place, &host)?;
    let read = place.visit(|| host.rulesets())?;
    let (ruleset, proxied) = judged(place, &host, &read, shield, ports)?;
    match judge_synproxy(&ruleset, &proxied, &read.beside) {
        Proxying::Same => Ok(()),
        Proxying::Different(losses) => Err(refused("the firewall would not mean the same with SYNPROXY", &losses)),
        Proxying::Undecided(losses) => {
            Err(refused("it cannot be told whether the firewall would mean the same with SYNPROXY", &losses))
        }
    }
}

/// Refuses a shield with SYNPROXY where connections live on that tracking has no entry of, which the proxy would end: without `tcp_loose`
/// they are not picked up, and what lets their segments pass need not ask for their state. To be asked before the shield itself clears
/// `tcp_loose`.
pub(crate) fn refuse_unknown_connections(place: &Place, shield: &Shield) -> Result<(), Error> {
    let Class::Handshakes { ports } = &shield.class else { return Ok(()) };
    let host = HostFs::new();
    if place.visit(|| host.network_settings())?.read.tcp_loose != Some(false) {
        return Ok(());
    }
    let read = place.visit(|| host.rulesets())?;
    let (ruleset, proxied) = judged(place, &host, &read, shield, ports)?;
    if !accepts_unknown(&ruleset, &proxied) {
        return Ok(());
    }
    Err(Error::Refused(
        "nf_conntrack_tcp_loose is 0, and the firewall lets segments of the service pass that belong to no connection which tracking knows: \
         connections may live so that have lost their entries, and SYNPROXY would end them; drop what is INVALID (ct state invalid drop), \
         or set nf_conntrack_tcp_loose to 1, so that they are picked up again"
            .to_string(),
    ))
}

/// Frames that a bridge carries come to the rules of IP, too, where `br_netfilter` hands them over (`br_nf_pre_routing` in
/// `br_netfilter_hooks.c`): the proxy would answer them, and send its own SYN by the routes of this host, which need not lead there.
/// No rule of prerouting tells them from others.
fn refuse_bridged(place: &Place, host: &HostFs) -> Result<(), Error> {
    if !place.visit(|| host.hands_over_bridged_ipv4())?? {
        return Ok(());
    }
    let links = place.visit(links)?.map_err(|error| {
        Error::Refused(format!(
            "cannot tell whether this network namespace has a bridge, whose frames come to SYNPROXY: {error}"
        ))
    })?;
    let is_bridge = |link: &&Link| link.kind.as_ref().is_some_and(|kind| kind.as_str() == "bridge");
    let Some(bridge) = links.iter().find(is_bridge) else { return Ok(()) };
    Err(Error::Refused(format!(
        "what the bridge {} carries comes to the rules of IP (net.bridge.bridge-nf-call-iptables is 1), and SYNPROXY would take its \
         handshakes, too; set that to 0 if no rule is to see bridged packets, or use limits (--per-source, without --synproxy)",
        bridge.name
    )))
}

/// The rules without the shield's own, and what is to be proxied.
fn judged(
    place: &Place,
    host: &HostFs,
    read: &Rulesets,
    shield: &Shield,
    ports: &Ports,
) -> Result<(Ruleset, Proxied), Error> {
    let ruleset = read.ruleset().without(TABLE);
    let served = if place.visit(|| host.forwards_ipv4())?? { Served::HereAndBehind } else { Served::Here };
    let except = shield.allow.iter().chain(&shield.drop).copied().collect();
    Ok((ruleset, Proxied { ports: ports.clone(), except, served }))
}

fn refused(what: &str, losses: &[Loss]) -> Error {
    let mut told: Vec<_> = losses.iter().take(MOST_TOLD).map(ToString::to_string).collect();
    if losses.len() > MOST_TOLD {
        told.push(format!("and {} more", losses.len() - MOST_TOLD));
    }
    let told = told.join("\n  ");
    Error::Refused(format!(
        "{what}:\n  {told}\nsources that a rule tells apart can be named with --allow or --drop, so that they are not proxied; limits \
         (--per-source, without --synproxy) leave all rules as they are"
    ))
}
