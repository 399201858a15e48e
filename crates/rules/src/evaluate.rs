//! A class of packets through the rules: everything that may become of it.
//!
//! A condition that holds for some packets of a class splits it. One that is not reckoned is assumed both ways, and stays as assumed, so
//! that two evaluations of a class can be compared assumption by assumption.

use crate::class::{PacketClass, Route};
use crate::course::{Course, Translation};
use crate::key::{Field, IPV4, IPV6};
use crate::matching::{cannot_match, mapped, matches, remembers};
use crate::model::{Base, ChainKind, Effect, Family, Hook, Policy, Rule, Ruleset, Statement, Term, Verdict};
use crate::numbers::Numbers;
use crate::path::{Of, Outcome, Path, Place, Step};
use crate::state::{Bits, Spot, State};
use crate::tracking::{EntryState, TRACKED_FROM, Tracking, View};

/// There are more ways through the rules than are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rules take these packets more ways than the {MOST_WAYS} that are followed; ask for fewer packets at once")]
pub struct TooManyWays;

/// How many times a class is split before it is given up.
pub(crate) const MOST_WAYS: usize = 4_000;

/// The kernel's own bound on chains in chains is 16 (`NFT_JUMP_STACK_SIZE`); iptables' is that of its ruleset.
const DEEPEST: usize = 64;

impl Ruleset {
    /// Everything that may become of packets of a class. What they meet in `bridge` and `arp` tables is not told: no packet of IP
    /// goes through `arp`, and what `bridge` passes on comes by other hooks.
    pub fn evaluate(&self, class: &PacketClass, tracking: Tracking) -> Result<Vec<Path>, TooManyWays> {
        self.follow(class, tracking, &Course::whole(class.route()))
    }

    /// The same on a part of their way.
    pub(crate) fn follow(
        &self,
        class: &PacketClass,
        tracking: Tracking,
        course: &Course,
    ) -> Result<Vec<Path>, TooManyWays> {
        let mut walk = Walk { ruleset: self, tracking, course, ended: Vec::new(), ways: 0 };
        if !class.is_empty() {
            walk.go(vec![State::begin(class.clone(), tracking, course)], course.hooks)?;
        }
        Ok(walk.ended)
    }
}

struct Walk<'a> {
    ruleset: &'a Ruleset,
    tracking: Tracking,
    course: &'a Course,
    ended: Vec<Path>,
    ways: usize,
}

/// A state behind a rule or chain, and where it goes.
type Ends = Vec<(State, End)>;

enum End {
    /// On to what comes next.
    Next,
    /// Back to who called the chain.
    Return,
    Verdict(Outcome),
}

impl<'a> Walk<'a> {
    fn go(&mut self, mut states: Vec<State>, hooks: &[Hook]) -> Result<(), TooManyWays> {
        let Some((hook, rest)) = hooks.split_first() else {
            for state in states {
                self.end(state, Outcome::Accept);
            }
            return Ok(());
        };
        let mut bases = self.bases(*hook);
        if let Some(until) = self.course.until.filter(|_| rest.is_empty()) {
            bases.retain(|(_, _, base)| base.priority < until);
        }
        let untracked_from = self.course.untracked_from;
        let late = bases.split_off(bases.partition_point(|(_, _, base)| base.priority < untracked_from));
        for (table, chain, base) in bases {
            states = self.base(states, table, chain, base)?;
        }
        if self.tracking == Tracking::Untracked && matches!(hook, Hook::Prerouting | Hook::Output) {
            for state in &mut states {
                state.untracked = true;
            }
        }
        for (table, chain, base) in late {
            states = self.base(states, table, chain, base)?;
        }
        // Where a destination was translated or written it is not known where the packet goes.
        if *hook == Hook::Prerouting {
            let (translated, others): (Vec<_>, _) = states.into_iter().partition(|state| {
                state.destination_translated == Some(true) || state.is_rewritten(Field::Destination)
            });
            for route in [Route::ToHost, Route::Forwarded] {
                let routed = translated.iter().cloned().map(|state| rerouted(state, route)).collect();
                self.go(routed, hooks_behind_prerouting(route))?;
            }
            states = others;
        }
        self.go(states, rest)
    }

    /// The base chains of a hook that IP packets come to, in order.
    fn bases(&self, hook: Hook) -> Vec<(usize, usize, &'a Base)> {
        let mut bases = Vec::new();
        let ruleset = self.ruleset;
        for (at, table) in ruleset.tables.iter().enumerate() {
            let of_ip = !matches!(table.family, Family::Bridge | Family::Arp);
            let chains = table.chains.iter().enumerate().filter(|_| of_ip);
            bases.extend(chains.filter_map(|(chain, is)| {
                is.base.as_ref().filter(|base| base.hook == hook).map(|base| (at, chain, base))
            }));
        }
        bases.sort_by_key(|(_, _, base)| base.priority);
        bases
    }

    /// States through a base chain; those that end are taken down.
    fn base(&mut self, states: Vec<State>, table: usize, chain: usize, base: &Base) -> Result<Vec<State>, TooManyWays> {
        let mut passed = Vec::new();
        for state in states {
            let (here, elsewhere) = self.comes(state, table, chain, base);
            passed.extend(elsewhere);
            for state in here {
                let step = |rule| Step { base: (table, chain), place: Place { table, chain, rule } };
                for (mut state, end) in self.chain(state, table, chain, (table, chain), base, DEEPEST)? {
                    match end {
                        End::Verdict(Outcome::Accept) => passed.push(state),
                        End::Verdict(outcome) => self.end(state, outcome),
                        End::Next | End::Return if base.policy == Policy::Accept => passed.push(state),
                        End::Next | End::Return => {
                            state.steps.push(step(None));
                            self.end(state, Outcome::Drop);
                        }
                    }
                }
            }
        }
        Ok(passed)
    }

    /// Whether packets come to a base chain at all: those that do, and those that do not.
    fn comes(&self, state: State, table: usize, chain: usize, base: &Base) -> (Vec<State>, Vec<State>) {
        let family = self.ruleset.tables.get(table).map(|table| table.family);
        let of_family = match family {
            Some(Family::Ip) => state.class.field(Field::Family).has(IPV4),
            Some(Family::Ip6) => state.class.field(Field::Family).has(IPV6),
            _ => true,
        };
        let view = self.view(&state, base);
        let is_icmp = state.class.field(Field::Protocol).single().is_some_and(|protocol| matches!(protocol, 1 | 58));
        let by_nat = match view {
            View::Entry(EntryState::New, _) => true,
            // An error is translated as its flow is, without rules.
            View::Entry(EntryState::Related, _) => !is_icmp,
            _ => false,
        };
        let translated = match base.hook {
            Hook::Prerouting | Hook::Output => state.destination_translated,
            _ => state.source_translated,
        };
        let is_asked = by_nat && translated != Some(true) && self.course.translation == Translation::ByRules;
        if !of_family || base.kind == ChainKind::Nat && !is_asked {
            return (Vec::new(), vec![state]);
        }
        if !matches!(base.hook, Hook::Ingress | Hook::Egress) {
            return (vec![state], Vec::new());
        }
        if base.devices.is_empty() {
            // The JSON of nft 1.0.6 does not name a chain's devices.
            let fork = state.assume(base.hook, Of::Packet, &format!("by a device of the chain {table} {chain}"));
            return (fork.yes.into_iter().collect(), fork.no.into_iter().collect());
        }
        let devices: Numbers = base.devices.iter().filter_map(|name| crate::key::interface(name)).collect();
        let field = if base.hook == Hook::Egress { Field::OutInterface } else { Field::InInterface };
        // The device of ingress is known there, whatever a rule sees of it.
        let fork = state.split(field, &devices, Hook::Forward, Place { table, chain, rule: None });
        (fork.yes.into_iter().collect(), fork.no.into_iter().collect())
    }

    fn view(&self, state: &State, base: &Base) -> View {
        let seen = match base.hook {
            Hook::Ingress => false,
            Hook::Prerouting | Hook::Output => base.priority >= TRACKED_FROM,
            _ => true,
        };
        state.view(self.tracking, seen)
    }

    /// A state through a chain and all that it calls.
    fn chain(
        &mut self,
        state: State,
        table: usize,
        chain: usize,
        root: (usize, usize),
        base: &Base,
        depth: usize,
    ) -> Result<Ends, TooManyWays> {
        let ruleset = self.ruleset;
        let rules = ruleset.tables.get(table).and_then(|table| table.chains.get(chain)).map(|chain| &chain.rules);
        let (Some(rules), Some(depth)) = (rules, depth.checked_sub(1)) else {
            return Ok(vec![(state, End::Verdict(Outcome::Unknown))]);
        };
        let mut live = vec![state];
        let mut ends = Vec::new();
        for (at, rule) in rules.iter().enumerate() {
            if !does_something(rule) {
                continue;
            }
            let place = Place { table, chain, rule: Some(at) };
            let mut next = Vec::new();
            for state in live {
                let spot = Spot { hook: base.hook, priority: base.priority, view: self.view(&state, base), place };
                for (mut state, matched) in self.rule(state, rule, spot)? {
                    if let Matched::No = matched {
                        next.push(state);
                        continue;
                    }
                    state.steps.push(Step { base: root, place });
                    match self.decided(state, matched, table, root, base, depth)? {
                        Went::On(states) => next.extend(states),
                        Went::Away(more) => ends.extend(more),
                        Went::Both(states, more) => {
                            next.extend(states);
                            ends.extend(more);
                        }
                    }
                }
            }
            self.count(next.len().saturating_sub(1))?;
            live = next;
            if live.is_empty() {
                return Ok(ends);
            }
        }
        ends.extend(live.into_iter().map(|state| (state, End::Next)));
        Ok(ends)
    }

    /// What a rule that matched leads to.
    fn decided(
        &mut self,
        state: State,
        matched: Matched,
        table: usize,
        root: (usize, usize),
        base: &Base,
        depth: usize,
    ) -> Result<Went, TooManyWays> {
        let outcome = |state, outcome| Went::Away(vec![(state, End::Verdict(outcome))]);
        let verdict = match matched {
            Matched::No | Matched::Yes => return Ok(Went::On(vec![state])),
            Matched::Ends(end) => return Ok(outcome(state, end)),
            Matched::Verdict(verdict) => verdict,
        };
        Ok(match verdict {
            Verdict::Accept => outcome(state, Outcome::Accept),
            Verdict::Drop => outcome(state, Outcome::Drop),
            Verdict::Reject(with) => outcome(state, Outcome::Reject(with)),
            Verdict::Queue => outcome(state, Outcome::Queue),
            Verdict::Continue => Went::On(vec![state]),
            Verdict::Return => Went::Away(vec![(state, End::Return)]),
            Verdict::Jump(name) => {
                let mut on = Vec::new();
                let mut away = Vec::new();
                for (state, end) in self.named(state, &name, table, root, base, depth)? {
                    match end {
                        End::Next | End::Return => on.push(state),
                        verdict @ End::Verdict(_) => away.push((state, verdict)),
                    }
                }
                Went::Both(on, away)
            }
            Verdict::Goto(name) => {
                let ends = self.named(state, &name, table, root, base, depth)?.into_iter();
                Went::Away(
                    ends.map(|(state, end)| (state, if let End::Next = end { End::Return } else { end })).collect(),
                )
            }
        })
    }

    fn named(
        &mut self,
        state: State,
        name: &str,
        table: usize,
        root: (usize, usize),
        base: &Base,
        depth: usize,
    ) -> Result<Ends, TooManyWays> {
        let chains = self.ruleset.tables.get(table).map(|table| table.chains.as_slice()).unwrap_or_default();
        match chains.iter().position(|chain| chain.name == name) {
            Some(chain) => self.chain(state, table, chain, root, base, depth),
            None => Ok(vec![(state, End::Verdict(Outcome::Unknown))]),
        }
    }

    /// A state through a rule.
    fn rule(&mut self, state: State, rule: &Rule, spot: Spot) -> Result<Vec<(State, Matched)>, TooManyWays> {
        let ruleset = self.ruleset;
        let Some(table) = ruleset.tables.get(spot.place.table) else { return Ok(vec![(state, Matched::No)]) };
        if cannot_match(&state, rule, spot.hook) {
            return Ok(vec![(state, Matched::No)]);
        }
        let mut live = vec![state];
        let mut out = Vec::new();
        for term in &rule.terms {
            let mut on = Vec::new();
            for state in live {
                match term {
                    Term::Match(condition) => {
                        let (yes, no) = matches(state, condition, table, spot)?;
                        on.extend(yes);
                        out.extend(no.into_iter().map(|state| (state, Matched::No)));
                    }
                    Term::Statement(Statement::Nothing) => on.push(state),
                    Term::Statement(Statement::Verdict(verdict)) => {
                        out.push((state, Matched::Verdict(verdict.clone())));
                    }
                    Term::Statement(Statement::VerdictMap { keys, map }) => {
                        out.extend(mapped(state, keys, map, table, spot)?);
                    }
                    Term::Statement(Statement::Effect(effect)) => {
                        for (state, matched) in apply(state, effect, spot) {
                            match matched {
                                Matched::Yes => on.push(state),
                                other => out.push((state, other)),
                            }
                        }
                    }
                }
            }
            live = on;
            self.count(out.len().saturating_sub(1))?;
        }
        out.extend(live.into_iter().map(|state| (state, Matched::Yes)));
        Ok(out)
    }

    fn end(&mut self, state: State, outcome: Outcome) {
        let State { class, facts, doubts, effects, steps, .. } = state;
        self.ended.push(Path { class, outcome, effects, steps, facts, doubts });
    }

    fn count(&mut self, more: usize) -> Result<(), TooManyWays> {
        self.ways += more;
        if self.ways > MOST_WAYS { Err(TooManyWays) } else { Ok(()) }
    }
}

/// What a condition, or an effect, makes of a state.
pub(crate) enum Matched {
    No,
    Yes,
    Verdict(Verdict),
    Ends(Outcome),
}

enum Went {
    On(Vec<State>),
    Away(Ends),
    Both(Vec<State>, Ends),
}

/// Whether a rule can do more than count: what remembers packets (`-m recent --set`) does so without a target, too.
fn does_something(rule: &Rule) -> bool {
    rule.terms.iter().any(|term| match term {
        Term::Match(condition) => remembers(condition),
        Term::Statement(statement) => *statement != Statement::Nothing,
    })
}

fn hooks_behind_prerouting(route: Route) -> &'static [Hook] {
    match route {
        Route::ToHost => &[Hook::Input],
        _ => &[Hook::Forward, Hook::Postrouting, Hook::Egress],
    }
}

fn rerouted(mut state: State, route: Route) -> State {
    let there = PacketClass::new(route, state.class.version().unwrap_or(crate::class::IpVersion::V4));
    *state.class.slot(Field::OutInterface) = there.field(Field::OutInterface).clone();
    *state.class.slot(Field::DestinationKind) = there.field(Field::DestinationKind).clone();
    state.class = state.class.on(route);
    state
}

/// A state behind an effect.
fn apply(mut state: State, effect: &Effect, spot: Spot) -> Vec<(State, Matched)> {
    let has_entry = matches!(spot.view, View::Entry(..));
    let done = |mut state: State| {
        state.done(effect.clone(), spot.place);
        state
    };
    match effect {
        Effect::Mark { value, mask } => {
            state.mark.set(*value, *mask);
            vec![(done(state), Matched::Yes)]
        }
        Effect::MarkUnknown(_) => {
            state.mark = Bits::default();
            vec![(done(state), Matched::Yes)]
        }
        Effect::MarkFromEntry(_) | Effect::Offload(_) if !has_entry => vec![(state, Matched::No)],
        Effect::MarkFromEntry(_) => {
            state.mark = state.entry_mark;
            vec![(done(state), Matched::Yes)]
        }
        Effect::EntryMark(_) if has_entry => {
            state.entry_mark = Bits::default();
            vec![(done(state), Matched::Yes)]
        }
        Effect::EntryMark(_) => vec![(state, Matched::Yes)],
        Effect::Entry(_) | Effect::TimeoutPolicy(_) | Effect::Zone(_) => {
            // Without an entry, now or later, there is nothing to do it to.
            let is_done = spot.view != View::Untracked;
            vec![(if is_done { done(state) } else { state }, Matched::Yes)]
        }
        Effect::Notrack => {
            let is_in_time = match spot.hook {
                Hook::Ingress => true,
                Hook::Prerouting | Hook::Output => spot.priority < TRACKED_FROM,
                _ => false,
            };
            if is_in_time && spot.view == View::Absent {
                state.untracked = true;
                state = done(state);
            }
            vec![(state, Matched::Yes)]
        }
        Effect::TranslateDestination(_) => {
            state.destination_translated = Some(true);
            for field in [Field::Destination, Field::DestinationPort, Field::DestinationKind, Field::OutInterface] {
                state.class.forget(field);
            }
            vec![(done(state), Matched::Verdict(Verdict::Accept))]
        }
        Effect::TranslateSource(_) => {
            state.source_translated = Some(true);
            for field in [Field::Source, Field::SourcePort, Field::SourceKind] {
                state.class.forget(field);
            }
            vec![(done(state), Matched::Verdict(Verdict::Accept))]
        }
        Effect::Synproxy(_) if !state.class.field(Field::Protocol).has(6) => vec![(state, Matched::No)],
        Effect::Synproxy(_) => {
            let state = done(state);
            vec![(state.clone(), Matched::Yes), (state, Matched::Ends(Outcome::Answered))]
        }
        Effect::Unknown(_) => {
            let mut state = done(state);
            state.doubts.push(spot.place);
            vec![(state.clone(), Matched::Yes), (state, Matched::Ends(Outcome::Unknown))]
        }
        _ => vec![(done(state), Matched::Yes)],
    }
}
