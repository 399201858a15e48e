//! Which packets of a class a condition holds for.

use crate::evaluate::{MOST_WAYS, Matched, TooManyWays};
use crate::key::{EntryBit, Field, Key};
use crate::model::{Depends, Effect, Element, Hook, Known, Match, Opaque, Rule, Sense, Set, Table, Term};
use crate::numbers::Numbers;
use crate::path::{Of, Outcome};
use crate::state::{Fork, Spot, State};
use crate::tracking::View;

/// Whether a condition remembers the packets that come to it.
pub(crate) fn remembers(condition: &Match) -> bool {
    let is_history = |opaque: &Opaque| opaque.depends == Depends::History;
    match condition {
        Match::Opaque(opaque) => is_history(opaque),
        Match::Lookup { keys, .. } => keys.iter().any(|key| matches!(key, Key::Other(opaque) if is_history(opaque))),
    }
}

/// Whether one of the conditions with which a rule begins holds for none of the packets, so that the others need not split them. What remembers
/// packets counts those that come to it, and so ends the search.
pub(crate) fn cannot_match(state: &State, rule: &Rule, hook: Hook) -> bool {
    let conditions = rule.terms.iter().map_while(|term| match term {
        Term::Match(condition) => Some(condition).filter(|condition| !remembers(condition)),
        Term::Statement(_) => None,
    });
    conditions.into_iter().any(|condition| match condition {
        Match::Lookup { keys, set: Set::Elements(elements), sense } => {
            let [Key::Field(field)] = keys.as_slice() else { return false };
            let is_before_routing = matches!(hook, Hook::Ingress | Hook::Prerouting);
            if state.is_rewritten(*field) || *field == Field::OutInterface && is_before_routing {
                return false;
            }
            let numbers: Numbers = elements.iter().flat_map(|element| element.values.iter().cloned()).collect();
            let held = state.class.field(*field);
            match sense {
                Sense::Is => held.and(&numbers).is_empty(),
                Sense::IsNot => held.minus(&numbers).is_empty(),
            }
        }
        _ => false,
    })
}

/// Those for which a condition holds, and those for which it does not.
type Split = (Vec<State>, Vec<State>);

pub(crate) fn matches(state: State, condition: &Match, table: &Table, spot: Spot) -> Result<Split, TooManyWays> {
    Ok(match condition {
        Match::Opaque(condition) => unreckoned(state, condition, spot),
        Match::Lookup { keys, set, sense } => {
            // Without an entry it has neither mark nor direction, and a rule that asks for them does not match, whatever it asks.
            let asks_entry = keys.iter().any(|key| matches!(key, Key::Direction | Key::EntryMark { .. }));
            if asks_entry && !matches!(spot.view, View::Entry(..)) {
                return Ok((Vec::new(), vec![state]));
            }
            let (yes, no) = match contents(set, table) {
                Some(elements) => {
                    let (yes, no) = any_of(state, keys, elements, spot)?;
                    (yes.into_iter().map(|(state, _)| state).collect(), no)
                }
                None => unreckoned(state, &of_unknown_contents(keys, set, table), spot),
            };
            if *sense == Sense::Is { (yes, no) } else { (no, yes) }
        }
    })
}

/// A state behind a verdict map.
pub(crate) fn mapped(
    state: State,
    keys: &[Key],
    map: &Set,
    table: &Table,
    spot: Spot,
) -> Result<Vec<(State, Matched)>, TooManyWays> {
    let Some(elements) = contents(map, table) else {
        // Which of its verdicts holds is not known.
        let (yes, no) = unreckoned(state, &of_unknown_contents(keys, map, table), spot);
        let yes = yes.into_iter().map(|mut state| {
            state.doubts.push(spot.place);
            (state, Matched::Ends(Outcome::Unknown))
        });
        return Ok(yes.chain(no.into_iter().map(|state| (state, Matched::No))).collect());
    };
    let (yes, no) = any_of(state, keys, elements, spot)?;
    let no = no.into_iter().map(|state| (state, Matched::No));
    let verdict = |element: &Element| element.verdict.clone().map_or(Matched::Ends(Outcome::Unknown), Matched::Verdict);
    Ok(yes.into_iter().map(|(state, element)| (state, verdict(element))).chain(no).collect())
}

/// A set's elements, where all are known.
fn contents<'a>(set: &'a Set, table: &'a Table) -> Option<&'a [Element]> {
    match set {
        Set::Elements(elements) => Some(elements),
        Set::Named(name) => {
            let set = table.sets.iter().find(|set| set.name == *name)?;
            (set.known == Known::Constant).then_some(set.elements.as_slice())
        }
    }
}

/// Whether values are in a set whose elements are not known: the same for a packet, whoever asks, if its values are.
fn of_unknown_contents(keys: &[Key], set: &Set, table: &Table) -> Opaque {
    let name = match set {
        Set::Named(name) => name.as_str(),
        Set::Elements(_) => "",
    };
    let depends = keys.iter().map(|key| match key {
        Key::Field(Field::InInterface | Field::OutInterface) | Key::Mark { .. } | Key::TcpFlags { .. } => {
            Depends::Packet
        }
        Key::Field(_) => Depends::Flow,
        Key::State | Key::Direction | Key::EntryMark { .. } => Depends::Unknown,
        Key::Other(opaque) => opaque.depends,
    });
    // Another table's set of this name is another set.
    let text = format!("{keys:?} in @{name:?} of {} {:?}", table.family.name(), table.name);
    let text = plimsoll_model::Untrusted::from(text.as_str());
    Opaque { text, depends: depends.max().unwrap_or(Depends::Unknown) }
}

/// Those that an element stands for, with the first that does, and the others.
type Found<'a> = (Vec<(State, &'a Element)>, Vec<State>);

/// Gives up as soon as there are too many: each way more makes the next element take longer.
fn any_of<'a>(state: State, keys: &[Key], elements: &'a [Element], spot: Spot) -> Result<Found<'a>, TooManyWays> {
    // One key and no verdicts: the elements are one set of numbers.
    if let ([key], Some(first)) = (keys, elements.first())
        && elements.iter().all(|element| element.verdict.is_none() && element.values.len() == 1)
    {
        let numbers = elements.iter().flat_map(|element| element.values.iter().cloned()).collect();
        let fork = one(state, key, &numbers, spot);
        return Ok((fork.yes.into_iter().map(|state| (state, first)).collect(), fork.no.into_iter().collect()));
    }
    let mut rest = vec![state];
    let mut found = Vec::new();
    for element in elements {
        let mut others = Vec::new();
        for state in rest {
            let mut live = vec![state];
            for (key, numbers) in keys.iter().zip(&element.values) {
                let mut on = Vec::new();
                for state in live {
                    let fork = one(state, key, numbers, spot);
                    on.extend(fork.yes);
                    others.extend(fork.no);
                }
                live = on;
            }
            found.extend(live.into_iter().map(|state| (state, element)));
        }
        rest = others;
        if found.len() + rest.len() > MOST_WAYS {
            return Err(TooManyWays);
        }
    }
    Ok((found, rest))
}

/// Those for which one value is in a set of numbers.
fn one(state: State, key: &Key, numbers: &Numbers, spot: Spot) -> Fork {
    match key {
        Key::Field(field) => state.split(*field, numbers, spot.hook, spot.place),
        Key::State => entry_state(state, numbers, spot),
        Key::Direction => match spot.view {
            View::Entry(_, direction) if numbers.has(State::direction(direction)) => Fork::yes(state),
            _ => Fork::no(state),
        },
        Key::Mark { mask } => marked(state, numbers, *mask, spot, Whose::Packets),
        Key::EntryMark { mask } => marked(state, numbers, *mask, spot, Whose::Entrys),
        Key::TcpFlags { mask } => match state.tcp_flags {
            Some(flags) if numbers.has((flags & mask).into()) => Fork::yes(state),
            Some(_) => Fork::no(state),
            None => state.assume(spot.hook, Of::Packet, &format!("tcp flags & {mask:#x} in {:?}", numbers.spans())),
        },
        Key::Other(condition) => {
            let asked = format!("{} in {:?}", condition.text, numbers.spans());
            match condition.depends {
                Depends::Unknown => state.doubt(spot.place),
                Depends::History => {
                    remembered(state, &Opaque { text: asked.as_str().into(), ..condition.clone() }, spot)
                }
                Depends::Entry | Depends::NoEntry if !matches!(spot.view, View::Entry(..)) => Fork::no(state),
                Depends::Flow => state.assume(spot.hook, Of::Flow, &asked),
                _ => state.assume(spot.hook, Of::Packet, &asked),
            }
        }
    }
}

fn entry_state(state: State, numbers: &Numbers, spot: Spot) -> Fork {
    if numbers.has(spot.view.bit().number()) {
        return Fork::yes(state);
    }
    if !matches!(spot.view, View::Entry(..)) {
        return Fork::no(state);
    }
    let asked = |bit: EntryBit, is: Option<bool>| if numbers.has(bit.number()) { is } else { Some(false) };
    match (asked(EntryBit::Snat, state.source_translated), asked(EntryBit::Dnat, state.destination_translated)) {
        (Some(true), _) | (_, Some(true)) => Fork::yes(state),
        (Some(false), Some(false)) => Fork::no(state),
        _ => state.assume(spot.hook, Of::Packet, "the flow is translated"),
    }
}

#[derive(Clone, Copy)]
enum Whose {
    Packets,
    Entrys,
}

fn marked(state: State, numbers: &Numbers, mask: u32, spot: Spot, whose: Whose) -> Fork {
    let (bits, name) = match whose {
        Whose::Packets => (state.mark, "mark"),
        Whose::Entrys => (state.entry_mark, "ct mark"),
    };
    if let Some(value) = bits.all(mask) {
        return if numbers.has(value.into()) { Fork::yes(state) } else { Fork::no(state) };
    }
    let single = numbers.single().and_then(|number| u32::try_from(number).ok());
    let Some(value) = single else {
        return state.assume(spot.hook, Of::Packet, &format!("{name} & {mask:#x} in {:?}", numbers.spans()));
    };
    let (open, wanted) = match bits.are(value, mask) {
        Ok(true) => return Fork::yes(state),
        Ok(false) => return Fork::no(state),
        Err(open) => open,
    };
    let mut fork = state.assume(spot.hook, Of::Packet, &format!("{name} & {open:#x} == {wanted:#x}"));
    let set = |state: &mut State, value| match whose {
        Whose::Packets => state.mark.set(value, open),
        Whose::Entrys => state.entry_mark.set(value, open),
    };
    if let Some(state) = &mut fork.yes {
        set(state, wanted);
    }
    if let Some(state) = fork.no.as_mut().filter(|_| open.is_power_of_two()) {
        set(state, !wanted);
    }
    fork
}

/// Those for which a condition holds that is not reckoned.
fn unreckoned(state: State, condition: &Opaque, spot: Spot) -> (Vec<State>, Vec<State>) {
    let has_entry = matches!(spot.view, View::Entry(..));
    let fork = match condition.depends {
        Depends::Flow => state.assume(spot.hook, Of::Flow, condition.text.as_str()),
        Depends::Packet => state.assume(spot.hook, Of::Packet, condition.text.as_str()),
        Depends::History => remembered(state, condition, spot),
        Depends::Entry | Depends::NoEntry if has_entry => state.assume(spot.hook, Of::Packet, condition.text.as_str()),
        Depends::Entry => Fork::no(state),
        Depends::NoEntry => Fork::yes(state),
        Depends::Unknown => state.doubt(spot.place),
    };
    (fork.yes.into_iter().collect(), fork.no.into_iter().collect())
}

/// What has come to a rule before decides, and what comes now is remembered: the same for a packet, tracked or not, if the same packets
/// come there.
fn remembered(mut state: State, condition: &Opaque, spot: Spot) -> Fork {
    state.done(Effect::Remembered(condition.text.clone()), spot.place);
    state.assume(spot.hook, Of::Flow, &format!("{:?} {}", spot.place, condition.text))
}
