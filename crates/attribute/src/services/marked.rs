//! Which clients of a service kube-proxy in IPVS mode marks to be masqueraded: rules lead by sets, and the first that holds of a service decides.

use plimsoll_model::{Masquerade, Service};
use plimsoll_rules::{
    Chain, Family, Field, Key, Match, Opaque, Rule, Ruleset, Sense, Set, Statement, Table, Term, Verdict,
};

use super::ipsets::Sets;
use super::walk::{DEEPEST, is_marking, masked, translates_destinations};

/// Follows what packets to a service meet, whoever sends them.
pub(super) fn masquerade(ruleset: &Ruleset, sets: &Sets<'_>, at: Service) -> Masquerade {
    let family = if at.address.is_ipv4() { Family::Ip } else { Family::Ip6 };
    let mut most = Masquerade::Nobody;
    for table in ruleset.tables.iter().filter(|table| table.family == family) {
        let mut course = Course { table, sets, at, most };
        for base in table.chains.iter().filter(|chain| translates_destinations(table, chain)) {
            course.follow(base, 0);
        }
        most = course.most;
    }
    most
}

struct Course<'a> {
    table: &'a Table,
    sets: &'a Sets<'a>,
    at: Service,
    most: Masquerade,
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

impl Course<'_> {
    fn follow(&mut self, chain: &Chain, depth: usize) -> Then {
        if depth > DEEPEST {
            return Then::GoesOn;
        }
        for rule in &chain.rules {
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
        match self.table.chains.iter().find(|chain| chain.name == name) {
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
                ["set", "--match-set", set, parts] => told(self.sets.has_destination(set, parts, self.at)),
                _ => Holds::Sometimes,
            },
        }
    }
}
