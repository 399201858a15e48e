//! Whether SYNPROXY may do the handshakes of services: beside the rules in force nothing may be lost by it.

use plimsoll_host::HostFs;
use plimsoll_model::{Class, Shield};
use plimsoll_rules::{Loss, Proxied, Proxying, Served, judge_synproxy};
use plimsoll_shield::TABLE;

use crate::Error;
use crate::place::Place;

/// Reasons that are told; the others are counted.
const MOST_TOLD: usize = 5;

/// Refuses a shield with SYNPROXY unless the rules of its namespace mean the same with it. A shield of another class is let through.
pub(crate) fn refuse_unsafe_proxy(place: &Place, shield: &Shield) -> Result<(), Error> {
    let Class::Handshakes { ports } = &shield.class else { return Ok(()) };
    let host = HostFs::new();
    let (read, forwards) = place.visit(|| (host.rulesets(), host.forwards_ipv4()))?;
    let mut ruleset = read.ruleset();
    ruleset.tables.retain(|table| format!("{} {}", table.family.name(), table.name) != TABLE);
    let served = if forwards? { Served::HereAndBehind } else { Served::Here };
    let except = shield.allow.iter().chain(&shield.drop).copied().collect();
    match judge_synproxy(&ruleset, &Proxied { ports: ports.clone(), except, served }, &read.beside) {
        Proxying::Same => Ok(()),
        Proxying::Different(losses) => Err(refused("the firewall would not mean the same with SYNPROXY", &losses)),
        Proxying::Undecided(losses) => {
            Err(refused("it cannot be told whether the firewall would mean the same with SYNPROXY", &losses))
        }
    }
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
