//! `udp-unreplied`: UDP, ICMP and the like.

use plimsoll_model::{Confidence, Entry, Finding, FindingId, Protocol, Status, Timeout};

use super::half_open::Scanners;
use super::part::{Part, Said};
use super::table::Table;
use crate::evidence::{advice, shield};
use crate::searched::Searched;
use crate::thresholds::MOSTLY;
use crate::words::duration;

pub(super) fn finding(table: &Table<'_>, scanners: &Scanners) -> Option<Finding> {
    let part = table.entries(|entry| is_unreplied(entry) && !scanners.sent(entry)).filter(Part::is_worth_naming)?;
    let protocol = part.tally(|entry| Some(entry.original.protocol)).first()?.0;
    let to_dns =
        part.drawn.iter().filter_map(|drawn| drawn.entry.original.service()).filter(|service| service.is_dns()).count();
    let is_dns = to_dns as f64 >= MOSTLY * part.drawn.len() as f64;
    let held = table.ns.timeouts.get_secs(match protocol {
        Protocol::ICMP => Timeout::Icmp,
        Protocol::ICMPV6 => Timeout::Icmpv6,
        Protocol::GRE => Timeout::Gre,
        Protocol::UDP | Protocol::UDPLITE => Timeout::Udp,
        _ => Timeout::Generic,
    });
    let held = held.map_or("its timeout".to_string(), |secs| duration(secs.into()));
    let mut remedies = Vec::new();
    let searched = Searched::of(table.ns, part.drawn.iter().copied()).filter(|_| is_dns);
    if is_dns {
        remedies.extend(searched.as_ref().map(Searched::remedy));
        remedies.push(advice(
            "See why queries get no answer: the server is down, overloaded, or its answers are dropped on the way back or \
             come from another address. An answered query holds its entry no longer than an unanswered one.",
        ));
    } else {
        remedies.push(advice(
            "See who sends (the sources above) and whether it is meant to be answered. Floods are dropped or limited in a \
             chain of prerouting at priority raw (-300), before they are tracked.",
        ));
        remedies.push(shield(table.ns));
    }
    remedies.push(advice(
        "One-way traffic that is wanted (syslog, flow export, DNS on a server of its own) needs no entry where no rule asks \
         for its state and nothing translates it: notrack it in raw, in prerouting and output both, and accept it as \
         untracked.",
    ));
    Some(part.finding(Said {
        id: FindingId::UdpUnreplied,
        confidence: Confidence::Certain,
        what: if is_dns {
            "DNS queries that nobody answered".to_string()
        } else {
            format!("{} that nobody answered", protocol.to_string().to_uppercase())
        },
        evidence: [part.services(), part.most("sources", "sources", |entry| Some(entry.original.source))]
            .into_iter()
            .chain(searched.as_ref().map(Searched::evidence))
            .collect(),
        meaning: format!(
            "Every new pair of addresses and ports takes an entry for {held} from its last packet. They are not assured: a \
             full table evicts them first."
        ),
        remedies,
    }))
}

/// UDP, and whatever else is tracked without a handshake.
pub(super) fn is_unreplied(entry: &Entry) -> bool {
    !matches!(entry.original.protocol, Protocol::TCP | Protocol::SCTP | Protocol::DCCP)
        && !entry.status.has(Status::SEEN_REPLY)
}
