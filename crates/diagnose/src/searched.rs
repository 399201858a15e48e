//! Look-ups of names that are multiplied by search domains.

use std::collections::HashMap;

use plimsoll_model::{Drawn, Evidence, NamespaceSnapshot, Program, ProgramId, Remedy, Resolver, Service};

use crate::evidence::{advice, number};

/// Programs whose resolvers ask for several names to find one.
pub(crate) struct Searched<'a> {
    /// The one with the most look-ups here.
    most: (&'a Program, Resolver),
    /// How many more there are.
    others: usize,
}

impl<'a> Searched<'a> {
    /// Those that have opened some of these entries; `None` where there are none, or it is not known what their resolvers are told.
    pub(crate) fn of(ns: &'a NamespaceSnapshot, drawn: impl Iterator<Item = &'a Drawn>) -> Option<Self> {
        let (census, around) = (ns.census.as_ref()?, ns.surroundings.as_ref()?);
        let mut seen: HashMap<ProgramId, usize> = HashMap::new();
        for drawn in drawn.filter(|drawn| drawn.entry.original.service().is_some_and(Service::is_dns)) {
            if let Some(by) = drawn.ends.and_then(|ends| ends.client.by()) {
                *seen.entry(by).or_default() += 1;
            }
        }
        let resolver = |by: &ProgramId| around.resolvers.get(by).copied().filter(|told| told.names_asked() > 1);
        seen.retain(|by, _| resolver(by).is_some());
        let most = seen.iter().max_by_key(|(by, seen)| (**seen, std::cmp::Reverse(**by)))?.0;
        Some(Self { most: (census.program(*most)?, resolver(most)?), others: seen.len() - 1 })
    }

    pub(crate) fn evidence(&self) -> Evidence {
        let (program, resolver) = self.most;
        let Resolver { ndots, search } = resolver;
        let names = resolver.names_asked();
        let others = match self.others {
            0 => String::new(),
            others => format!("; {others} more programs ask for several, too"),
        };
        number(
            "dns_names_asked",
            names.into(),
            format!(
                "{program} looks names up with ndots:{ndots} and {search} search domains: one with fewer than {ndots} dots is asked for as up \
                 to {names} names, each by a flow of its own{others}"
            ),
        )
    }

    pub(crate) fn remedy(&self) -> Remedy {
        let (program, resolver) = self.most;
        advice(format!(
            "Have {program} ask for one name instead of up to {}: write names of other domains with a dot at the end (`api.example.com.`), or \
             lower `ndots` (in Kubernetes `dnsConfig.options`, name ndots, value \"2\"): then only names with fewer dots than that are searched for \
             first, as `web` and `web.shop` are.",
            resolver.names_asked()
        ))
    }
}
