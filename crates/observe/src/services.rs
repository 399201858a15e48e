//! The services of a namespace, by its rules.

use plimsoll_host::{Found, HostFs};
use plimsoll_model::{Reading, Services, Unseen, Untrusted};
use plimsoll_rules::{Ipvs, Ruleset, Told};

use crate::place::{Place, Unvisited};

/// Reads the rules of a namespace, and what IPVS balances there; registers nothing.
pub(crate) fn services(found: &Found) -> (Services, Vec<Unseen>) {
    match Place::of(found).visit(here) {
        Ok((services, unseen)) => {
            let of_it = |gap| Unseen { namespace: Some(found.namespace.name.clone()), ..gap };
            (services, unseen.into_iter().map(of_it).collect())
        }
        Err(error) => (Services::default(), vec![gap(found, &error)]),
    }
}

fn gap(found: &Found, error: &Unvisited) -> Unseen {
    error.unseen(Reading::Ruleset, &found.namespace)
}

/// Those of the calling thread's namespace.
fn here() -> (Services, Vec<Unseen>) {
    let host = HostFs::new();
    let rulesets = host.rulesets();
    let mut unseen = rulesets.unseen;
    let mut keep = |error: plimsoll_host::Error, needs: &str| {
        unseen.push(Unseen { needs: needs.to_string(), ..error.unseen(Reading::Ruleset) });
    };
    let ipvs = host.ipvs().unwrap_or_else(|error| {
        keep(error, "root");
        Ipvs::default()
    });
    let sets = if !ipvs.services.is_empty() && names_sets(&rulesets.told) { host.ipsets() } else { Ok(String::new()) };
    let sets = sets.unwrap_or_else(|error| {
        keep(error, "the package ipset, and CAP_NET_ADMIN: sets tell which of IPVS' services are what");
        String::new()
    });
    let services = match Ruleset::read(&rulesets.told) {
        Ok(ruleset) => plimsoll_attribute::services(&ruleset, &ipvs, &sets),
        Err(error) => {
            unseen.push(Unseen {
                reading: Reading::Ruleset,
                namespace: None,
                tried: Untrusted::from("read what nft listed"),
                answered: Untrusted::from(error.to_string().as_str()),
                needs: "an nft whose JSON is known here".to_string(),
            });
            plimsoll_attribute::services(&Ruleset::default(), &ipvs, &sets)
        }
    };
    (services, unseen)
}

/// Whether rules name ipsets, so that the kernel has loaded what knows them.
fn names_sets(told: &Told) -> bool {
    [&told.ip_nft, &told.ip6_nft, &told.ip_legacy, &told.ip6_legacy].iter().any(|text| text.contains("--match-set "))
}
