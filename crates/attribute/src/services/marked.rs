//! Which clients of a service kube-proxy in IPVS mode marks to be masqueraded: rules lead by sets, and the first that holds of a service decides.

use std::collections::HashMap;

use plimsoll_model::{Masquerade, Service};
use plimsoll_rules::{Chain, Family, Field, Key, Match, Opaque, Rule, Ruleset, Sense, Set, Statement, Term, Verdict};

use super::ipsets::Sets;
use super::walk::{DEEPEST, is_marking, masked, translates_destinations};

/// Rules that are looked at, for all services.
const MOST_STEPS: usize = 4_000_000;

/// The rules of both families by which packets to services are marked.
pub(super) struct Marking<'a> {
    sets: &'a Sets<'a>,
    tables: Vec<Table<'a>>,
    steps_left: usize,
}

/// A table, with its chains by their names.
struct Table<'a> {
    family: Family,
    chains: HashMap<&'a str, &'a Chain>,
    bases: Vec<&'a Chain>,
}

impl<'a> Marking<'a> {
    pub(super) fn of(ruleset: &'a Ruleset, sets: &'a Sets<'a>) -> Self {
        let tables = ruleset.tables.iter().map(|table| Table {
            family: table.family,
            chains: table.chains.iter().map(|chain| (chain.name.as_str(), chain)).collect(),
            bases: table.chains.iter().filter(|chain| translates_destinations(table, chain)).collect(),
        });
        Self { sets, tables: tables.collect(), steps_left: MOST_STEPS }
    }

    /// Follows what packets to a service meet, whoever sends them.
    pub(super) fn masquerade(&mut self, at: Service) -> Masquerade {
        let family = if at.address.is_ipv4() { Family::Ip } else { Family::Ip6 };
        let mut most = Masquerade::Nobody;
        for table in self.tables.iter().filter(|table| table.family == family) {
            let steps_left = &mut self.steps_left;
            let mut course = Course { table, sets: self.sets, at, most, behind: HashMap::new(), steps_left };
            for base in &table.bases {
                course.follow(base, 0);
            }
            most = course.most;
        }
        most
    }

    /// Whether there was more to follow than is followed.
    pub(super) const fn is_cut(&self) -> bool {
        self.steps_left == 0
    }
}

struct Course<'a> {
    table: &'a Table<'a>,
    sets: &'a Sets<'a>,
    at: Service,
    most: Masquerade,
    /// What comes behind the chains that were followed: whoever leads to one, it is the same.
    behind: HashMap<&'a str, Then>,
    steps_left: &'a mut usize,
}

/// Whether there is more to come behind a chain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    GoesOn,
    IsDecided,
}

/// Whether a condition holds of packets to the service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    Never,
    /// It depends on more than where they are sent.
    Sometimes,
    Always,
}

impl<'a> Course<'a> {
    fn follow(&mut self, chain: &'a Chain, depth: usize) -> Then {
        if let Some(known) = self.behind.get(chain.name.as_str()) {
            return *known;
        }
        if depth > DEEPEST {
            return Then::GoesOn;
        }
        // Rules lead in no circle; where a text says that they do, it is left at that.
        self.behind.insert(&chain.name, Then::GoesOn);
        let then = self.through(chain, depth);
        self.behind.insert(&chain.name, then);
        then
    }

    fn through(&mut self, chain: &'a Chain, depth: usize) -> Then {
        for rule in &chain.rules {
            *self.steps_left = self.steps_left.saturating_sub(1);
            if *self.steps_left == 0 {
                return Then::GoesOn;
            }
            let holds = self.holds(rule);
            if holds == Holds::Never {
                continue;
            }
            let verdict = rule.terms.iter().find_map(|term| match term {
                Term::Statement(Statement::Verdict(verdict)) => Some(verdict),
                _ => None,
            });
            let then = match verdict {
                Some(Verdict::Jump(name) | Verdict::Goto(name)) => self.enter(rule, name, depth),
                Some(Verdict::Return) if holds == Holds::Always => return Then::GoesOn,
                Some(Verdict::Accept | Verdict::Drop | Verdict::Reject(_)) => Then::IsDecided,
                _ => Then::GoesOn,
            };
            if (holds, then) == (Holds::Always, Then::IsDecided) {
                return then;
            }
        }
        Then::GoesOn
    }

    fn enter(&mut self, by: &Rule, name: &str, depth: usize) -> Then {
        match self.table.chains.get(name).copied() {
            Some(marks) if is_marking(marks) => {
                self.most = self.most.max(masked(by));
                Then::GoesOn
            }
            Some(next) => self.follow(next, depth + 1),
            None => Then::GoesOn,
        }
    }

    fn holds(&self, rule: &Rule) -> Holds {
        let conditions = rule.terms.iter().filter_map(|term| match term {
            Term::Match(condition) => Some(self.condition(condition)),
            Term::Statement(_) => None,
        });
        conditions.min().unwrap_or(Holds::Always)
    }

    fn condition(&self, condition: &Match) -> Holds {
        let told = |holds: bool| if holds { Holds::Always } else { Holds::Never };
        match condition {
            Match::Lookup { keys, set: Set::Elements(elements), sense: Sense::Is }
                if keys.as_slice() == [Key::Field(Field::Protocol)] =>
            {
                let protocol = u128::from(self.at.protocol.0);
                told(elements.iter().filter_map(|element| element.values.first()).any(|of| of.has(protocol)))
            }
            Match::Lookup { .. } => Holds::Sometimes,
            Match::Opaque(Opaque { text, .. }) => match text.as_str().split(' ').collect::<Vec<_>>()[..] {
                ["set", "--match-set", set, parts] => {
                    self.sets.has_destination(set, parts, self.at).map_or(Holds::Sometimes, told)
                }
                _ => Holds::Sometimes,
            },
        }
    }
}
