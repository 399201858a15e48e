//! What a plan has to know of a namespace's rules, to leave services untracked.

use std::collections::HashSet;
use std::net::IpAddr;

use anyhow::Context;
use plimsoll_apply::{Place, own_addresses};
use plimsoll_host::HostFs;
use plimsoll_model::{NamespaceSnapshot, Untrusted};
use plimsoll_plan::BypassGround;
use plimsoll_rules::{Beside, Ruleset};

/// The ruleset in force, and which addresses are this namespace's own.
#[derive(Debug)]
pub(crate) struct RulesRead {
    ruleset: Ruleset,
    beside: Beside,
    own: HashSet<IpAddr>,
}

impl RulesRead {
    /// Reads them. Only of addresses that entries name is asked whether they are its own.
    pub(crate) fn of(ns: &NamespaceSnapshot) -> anyhow::Result<Self> {
        let drawn = ns.census.iter().flat_map(|census| &census.drawn);
        let ends = drawn.flat_map(|drawn| [drawn.entry.original.source, drawn.entry.original.destination]);
        let named: HashSet<IpAddr> = ends.collect();
        let named: Vec<_> = named.into_iter().collect();
        let place = Place::named(ns.namespace.name.as_str()).context("finding the namespace to read its rules")?;
        let own = own_addresses(&place, &named).context("asking which addresses are this namespace's own")?;
        let mut rulesets = place.visit(|| HostFs::new().rulesets()).context("reading the rules in force")?;
        let ruleset = Ruleset::read(&rulesets.told).or_else(|error| {
            // What is not understood is named, so that nothing is taken to be safe beside it.
            rulesets.told.nft.clear();
            rulesets.told.gaps.push(Untrusted::from_escaped(error.to_string()));
            Ruleset::read(&rulesets.told)
        })?;
        Ok(Self { ruleset, beside: rulesets.beside, own })
    }

    /// What bypasses are judged by.
    pub(crate) const fn ground(&self) -> BypassGround<'_> {
        BypassGround { ruleset: &self.ruleset, beside: &self.beside, own: &self.own }
    }
}
