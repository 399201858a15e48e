//! The ways by which rules lead packets to a translation of their destination.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use plimsoll_model::{Masquerade, Protocol, Untrusted};
use plimsoll_rules::{
    Chain, ChainKind, Effect, Element, Family, Field, Hook, Key, LOCAL, Match, Numbers, Origin, Rule, Ruleset, Sense,
    Set, Statement, Table, Term, Verdict,
};

/// Rules that are looked at, those of a chain once for each way that leads to it.
const MOST_STEPS: usize = 4_000_000;
/// Chains within chains.
pub(super) const DEEPEST: usize = 16;
/// Addresses of one rule that are services of their own.
const MOST_ADDRESSES: u128 = 64;

/// Where rules lead.
pub(super) struct Walked<'a> {
    pub(super) led: Vec<Led<'a>>,
    /// Whether there was more to follow than is followed.
    pub(super) is_cut: bool,
}

/// A rule that translates, and the way to it.
pub(super) struct Led<'a> {
    pub(super) way: Way<'a>,
    pub(super) rule: &'a Rule,
    pub(super) to: Option<(IpAddr, Option<u16>)>,
}

impl Led<'_> {
    /// `nat DOCKER: …`.
    pub(super) fn in_words(&self) -> Untrusted {
        let chain = self.way.chains.last().copied().unwrap_or_default();
        Untrusted::from_escaped(format!(
            "{} {}: {}",
            Untrusted::from(self.way.table.name.as_str()),
            Untrusted::from(chain),
            self.rule.text
        ))
    }
}

/// Addresses that packets are sent to.
pub(super) enum Addresses {
    /// Whichever.
    Any,
    /// These alone.
    These(Vec<IpAddr>),
    /// More than can be named.
    TooMany,
}

impl Addresses {
    /// Where they are named, each of them.
    pub(super) fn named(self) -> Vec<IpAddr> {
        match self {
            Self::These(addresses) => addresses,
            Self::Any | Self::TooMany => Vec::new(),
        }
    }
}

/// What packets come by a way.
#[derive(Clone)]
pub(super) struct Way<'a> {
    pub(super) table: &'a Table,
    /// The chains, in the order in which they are come to.
    pub(super) chains: Vec<&'a str>,
    /// The rules by which the next chain was come to, and the set that told so.
    pub(super) steps: Vec<(&'a Rule, Option<&'a str>)>,
    /// Whether they are sent to addresses of the machine's own.
    pub(super) is_to_own: bool,
    pub(super) masquerade: Masquerade,
    fields: HashMap<Field, Numbers>,
}

impl<'a> Way<'a> {
    pub(super) fn to(table: &'a Table, chain: &'a str) -> Self {
        Self {
            table,
            chains: vec![chain],
            steps: Vec::new(),
            is_to_own: false,
            masquerade: Masquerade::Nobody,
            fields: HashMap::new(),
        }
    }

    /// Their protocol, if it is one.
    pub(super) fn protocol(&self) -> Option<Protocol> {
        u8::try_from(self.fields.get(&Field::Protocol)?.single()?).ok().map(Protocol)
    }

    /// The port that they are sent to, if it is one.
    pub(super) fn port(&self) -> Option<u16> {
        u16::try_from(self.fields.get(&Field::DestinationPort)?.single()?).ok()
    }

    /// The addresses that they are sent to.
    pub(super) fn addresses(&self) -> Addresses {
        let Some(numbers) = self.fields.get(&Field::Destination) else { return Addresses::Any };
        let sizes = numbers.spans().iter().map(|span| (span.last - span.first).saturating_add(1));
        if sizes.fold(0, u128::saturating_add) > MOST_ADDRESSES {
            return Addresses::TooMany;
        }
        let all = numbers.spans().iter().flat_map(|span| span.first..=span.last);
        let addresses: Option<Vec<_>> = all.map(|number| self.address(number)).collect();
        addresses.map_or(Addresses::TooMany, Addresses::These)
    }

    /// Sets of both families' addresses are numbers alike.
    fn address(&self, number: u128) -> Option<IpAddr> {
        match self.table.family {
            Family::Ip => Some(Ipv4Addr::from_bits(number.try_into().ok()?).into()),
            Family::Ip6 => Some(Ipv6Addr::from_bits(number).into()),
            _ => Some(
                u32::try_from(number)
                    .map_or_else(|_| Ipv6Addr::from_bits(number).into(), |v4| Ipv4Addr::from_bits(v4).into()),
            ),
        }
    }

    /// Takes the conditions of a rule, as far as they are of use here; `false` where no packet meets them.
    pub(super) fn meets(&mut self, rule: &Rule) -> bool {
        rule.terms.iter().all(|term| match term {
            Term::Match(Match::Lookup { keys, set, sense: Sense::Is }) => self.narrows(keys, set),
            _ => true,
        })
    }

    fn narrows(&mut self, keys: &[Key], set: &Set) -> bool {
        let Some(elements) = self.elements(set) else { return true };
        match keys {
            // Side by side they are pairs, and what each may be says less than that.
            [Key::Field(field)] => {
                let any = elements.iter().filter_map(|element| element.values.first()).cloned().collect();
                self.narrow(*field, &any)
            }
            [_] => true,
            _ => match elements {
                [one] => self.takes(keys, one),
                _ => true,
            },
        }
    }

    /// Takes the values of an element for what is looked at; `false` where no packet has them.
    pub(super) fn takes(&mut self, keys: &[Key], element: &Element) -> bool {
        keys.iter().zip(&element.values).all(|(key, values)| match key {
            Key::Field(field) => self.narrow(*field, values),
            _ => true,
        })
    }

    fn narrow(&mut self, field: Field, values: &Numbers) -> bool {
        if field == Field::DestinationKind {
            self.is_to_own |= values.single() == Some(LOCAL);
        }
        let narrowed = self.fields.get(&field).map_or_else(|| values.clone(), |before| before.and(values));
        let is_possible = !narrowed.is_empty();
        self.fields.insert(field, narrowed);
        is_possible
    }

    fn elements<'s>(&self, set: &'s Set) -> Option<&'s [Element]>
    where
        'a: 's,
    {
        match set {
            Set::Elements(elements) => Some(elements),
            Set::Named(name) => self.table.sets.iter().find(|set| set.name == *name).map(|set| set.elements.as_slice()),
        }
    }
}

/// Follows all chains that translate destinations.
pub(super) fn walk(ruleset: &Ruleset) -> Walked<'_> {
    let mut walk = Walk { walked: Walked { led: Vec::new(), is_cut: false }, steps: 0, chains: HashMap::new() };
    for table in &ruleset.tables {
        walk.chains = table.chains.iter().map(|chain| (chain.name.as_str(), chain)).collect();
        // Most chains are led to by both hooks.
        let mut entered = HashSet::new();
        let bases = table.chains.iter().filter(|chain| translates_destinations(table, chain));
        for base in bases {
            walk.follow(&Way::to(table, &base.name), base, &mut entered);
        }
    }
    walk.walked
}

pub(super) fn translates_destinations(table: &Table, chain: &Chain) -> bool {
    chain.base.as_ref().is_some_and(|base| {
        // iptables' chains are base chains by their names alone.
        let is_nat = base.kind == ChainKind::Nat || table.origin != Origin::Nft && table.name == "nat";
        is_nat && matches!(base.hook, Hook::Prerouting | Hook::Output)
    })
}

struct Walk<'a> {
    walked: Walked<'a>,
    steps: usize,
    chains: HashMap<&'a str, &'a Chain>,
}

impl<'a> Walk<'a> {
    fn follow(&mut self, way: &Way<'a>, chain: &'a Chain, entered: &mut HashSet<(&'a str, bool)>) {
        let mut way = way.clone();
        for rule in &chain.rules {
            self.steps += 1;
            if self.steps > MOST_STEPS || way.chains.len() > DEEPEST {
                self.walked.is_cut = true;
                return;
            }
            let mut here = way.clone();
            if !here.meets(rule) {
                continue;
            }
            for term in &rule.terms {
                match term {
                    Term::Statement(Statement::Verdict(Verdict::Jump(name) | Verdict::Goto(name))) => {
                        match self.chains.get(name.as_str()).copied() {
                            Some(marks) if is_marking(marks) => way.masquerade = way.masquerade.max(masked(rule)),
                            Some(next) => self.enter(&here, rule, None, next, entered),
                            None => {}
                        }
                    }
                    Term::Statement(Statement::VerdictMap { keys, map }) => {
                        self.choose(&here, rule, keys, map, entered);
                    }
                    Term::Statement(Statement::Effect(effect @ Effect::TranslateDestination(_))) => {
                        self.walked.led.push(Led { way: here.clone(), rule, to: effect.leads_to() });
                    }
                    _ => {}
                }
            }
        }
    }

    fn enter(
        &mut self,
        way: &Way<'a>,
        by: &'a Rule,
        told_by: Option<&'a str>,
        next: &'a Chain,
        entered: &mut HashSet<(&'a str, bool)>,
    ) {
        // The kernel takes no circle.
        if way.chains.contains(&next.name.as_str()) {
            self.walked.is_cut = true;
            return;
        }
        let is_any = way.fields.keys().all(|field| *field == Field::DestinationKind);
        if way.steps.is_empty() && is_any && !entered.insert((next.name.as_str(), way.is_to_own)) {
            return;
        }
        let mut way = way.clone();
        way.chains.push(&next.name);
        way.steps.push((by, told_by));
        self.follow(&way, next, entered);
    }

    fn choose(
        &mut self,
        way: &Way<'a>,
        rule: &'a Rule,
        keys: &[Key],
        map: &'a Set,
        entered: &mut HashSet<(&'a str, bool)>,
    ) {
        let (elements, name) = match map {
            Set::Elements(elements) => (elements.as_slice(), None),
            Set::Named(name) => (way.elements(map).unwrap_or_default(), Some(name.as_str())),
        };
        for element in elements {
            let Some(Verdict::Jump(to) | Verdict::Goto(to)) = &element.verdict else { continue };
            let mut here = way.clone();
            if let Some(next) = self.chains.get(to.as_str()).copied().filter(|_| here.takes(keys, element)) {
                self.enter(&here, rule, name, next, entered);
            }
        }
    }
}

/// Whether a chain does nothing but set bits of the packet's mark: by these kube-proxy tells whom to masquerade later.
pub(super) fn is_marking(chain: &Chain) -> bool {
    let statements = || {
        chain.rules.iter().flat_map(|rule| &rule.terms).filter_map(|term| match term {
            Term::Statement(Statement::Nothing) | Term::Match(_) => None,
            Term::Statement(statement) => Some(statement),
        })
    };
    let is_mark =
        |statement: &Statement| matches!(statement, Statement::Effect(Effect::Mark { value, .. }) if *value != 0);
    statements().next().is_some() && statements().all(is_mark)
}

/// Whose packets a rule marks to be masqueraded. One for a single source is for the client that is its own backend.
pub(super) fn masked(rule: &Rule) -> Masquerade {
    let of_source = rule.terms.iter().find_map(|term| match term {
        Term::Match(Match::Lookup { keys, set, sense }) => match keys.as_slice() {
            // kube-proxy tells pods by their addresses, or by the device that they come by (`--detect-local-mode`).
            [Key::Field(field @ (Field::Source | Field::SourceKind | Field::InInterface))] => {
                Some((*field, set, *sense))
            }
            _ => None,
        },
        _ => None,
    });
    let are_single =
        |elements: &[Element]| elements.iter().flat_map(|element| &element.values).all(|of| of.single().is_some());
    match of_source {
        None => Masquerade::All,
        Some((Field::Source, Set::Elements(elements), Sense::Is)) if are_single(elements) => Masquerade::Nobody,
        Some(_) => Masquerade::Some,
    }
}
