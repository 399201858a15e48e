//! Services as rules translate them: recognised by where rules lead packets, and named as those who write rules name them.

mod balanced;
mod ipsets;
mod marked;
mod names;
mod walk;

use plimsoll_model::{KnownService, ServedAt, Service, ServiceKind, Services, Untrusted};
use plimsoll_rules::{Ipvs, Ruleset};

use self::names::Named;
use self::walk::{Addresses, Led, Way};

/// The services of a namespace, by its rules, by IPVS, and by the sets that rules name (as `ipset save` writes them).
///
/// Every rule that translates a destination is a service, whoever wrote it. What it leads to that cannot be told (ranges, maps, whole hosts)
/// is among what is not understood.
pub fn services(ruleset: &Ruleset, ipvs: &Ipvs, ipsets: &str) -> Services {
    let mut not_understood = ruleset.unknown.clone();
    let mut found = Vec::new();
    let walked = walk::walk(ruleset);
    for led in &walked.led {
        match of_rule(led) {
            Some(services) => found.extend(services),
            None => not_understood.push(led.in_words()),
        }
    }
    if walked.is_cut {
        not_understood.push(Untrusted::from("rules that translate, beyond those that were followed"));
    }
    found.extend(names::without_backends(ruleset));
    let balanced = balanced::services(ruleset, ipvs, ipsets);
    found.extend(balanced.services);
    if balanced.is_cut {
        not_understood.push(Untrusted::from("rules that masquerade, beyond those that were followed"));
    }
    not_understood.extend(ipvs.unknown.iter().cloned());
    Services::new(found, not_understood)
}

fn of_rule(led: &Led<'_>) -> Option<Vec<KnownService>> {
    let named = Named::of(led);
    let (address, port) = led.to?;
    let service = |at: ServedAt| {
        let (protocol, asked) = match at {
            ServedAt::Address(service) => (service.protocol, service.port),
            ServedAt::OwnAddresses { protocol, port } | ServedAt::AnyAddress { protocol, port } => (protocol, port),
        };
        KnownService {
            at,
            kind: named.kind,
            name: named.name.clone(),
            backends: vec![Service { address, protocol, port: port.unwrap_or(asked) }],
            masquerade: led.way.masquerade,
            by: named.by,
        }
    };
    Some(places(&led.way, named.kind)?.into_iter().map(service).collect())
}

/// Where packets are sent to that come this way; `None` where that is no port of a protocol.
fn places(way: &Way<'_>, kind: ServiceKind) -> Option<Vec<ServedAt>> {
    let protocol = way.protocol()?;
    let port = way.port()?;
    match way.addresses() {
        // Every node has it at all of its addresses that are fit for it.
        _ if kind == ServiceKind::NodePort => Some(vec![ServedAt::OwnAddresses { protocol, port }]),
        Addresses::Any if way.is_to_own => Some(vec![ServedAt::OwnAddresses { protocol, port }]),
        Addresses::Any => Some(vec![ServedAt::AnyAddress { protocol, port }]),
        Addresses::These(addresses) => {
            let at = |address| ServedAt::Address(Service { address, protocol, port });
            Some(addresses.into_iter().map(at).collect())
        }
        Addresses::TooMany => None,
    }
}

#[cfg(test)]
mod tests;
