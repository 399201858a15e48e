//! Flows whose silences are known, and lend them to those like them whose silences are not.
//!
//! Silences are seen only of flows whose entries are looked at again and again, and of those only if they were silent at all: a flow
//! without gaps may have been busy, or not have been looked at. How many were silent follows from the weights, though: what the
//! silent ones stand for, over what all flows stand for. So that share of the others is lent the silences of one that stayed
//! in the same state for about as long; the rest is busy.

use std::collections::HashMap;
use std::time::Duration;

use plimsoll_draw::Draw;
use plimsoll_recording::State;

use crate::Called;
use crate::replay::pattern::Pattern;

/// A class without silences tells something if so many flows of it were looked at.
const ENOUGH: f64 = 3.0;
/// One of so many whose stays are next in length lends its silences.
const NEIGHBOURS: u32 = 5;
/// Within these factors a pattern is stretched; else it is repeated, or cut off, as it is.
const STRETCHES: std::ops::RangeInclusive<f64> = 0.8..=1.25;

/// All that can be lent.
#[derive(Debug, Default)]
pub(super) struct Donors {
    by_called: HashMap<(Called, State), Deck>,
    by_state: HashMap<(plimsoll_model::Protocol, State), Deck>,
    weight: f64,
    count: f64,
}

/// What becomes of a stay of which no silence is known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lent {
    /// It is busy.
    Busy,
    /// It is silent as another was.
    Silences(Pattern),
    /// Nobody knows.
    Nothing,
}

#[derive(Debug, Default)]
struct Deck {
    /// What all stays stand for, by the class of their length.
    all: [f64; CLASSES],
    /// By length, once it is sorted.
    donors: Vec<Donor>,
}

#[derive(Clone, Copy, Debug)]
struct Donor {
    lasts: Duration,
    weight: f64,
    pattern: Pattern,
}

/// Lengths within a factor of two are a class.
const CLASSES: usize = 32;

fn class(lasts: Duration) -> usize {
    ((lasts.as_secs() + 1).ilog2() as usize).min(CLASSES - 1)
}

impl Donors {
    /// Takes note of a stay that stands for so many, whether its silences are known or not.
    pub(super) fn count(&mut self, called: Called, state: State, lasts: Duration, weight: f64) {
        let [own, wider] = self.decks(called, state);
        own.all[class(lasts)] += weight;
        wider.all[class(lasts)] += weight;
    }

    /// Takes note of one that was silent.
    pub(super) fn lend(&mut self, called: Called, state: State, lasts: Duration, weight: f64, pattern: Pattern) {
        let donor = Donor { lasts, weight, pattern };
        let [own, wider] = self.decks(called, state);
        own.donors.push(donor);
        wider.donors.push(donor);
        self.weight += weight;
        self.count += 1.0;
    }

    fn decks(&mut self, called: Called, state: State) -> [&mut Deck; 2] {
        [self.by_called.entry((called, state)).or_default(), self.by_state.entry((called.protocol, state)).or_default()]
    }

    /// To be called once all are there.
    pub(super) fn sort(&mut self) {
        for deck in self.by_called.values_mut().chain(self.by_state.values_mut()) {
            deck.donors.sort_by_key(|donor| donor.lasts);
        }
    }

    /// The silences of a stay that lasted so long: those of its service; where too little is known of that, those of its protocol.
    pub(super) fn borrow(&self, called: Called, state: State, lasts: Duration, draw: &mut Draw) -> Lent {
        if self.count < 1.0 {
            return Lent::Nothing;
        }
        let own = self.by_called.get(&(called, state));
        let wider = self.by_state.get(&(called.protocol, state));
        let mean = self.weight / self.count;
        let decks = [own, wider].into_iter().flatten();
        let of_class = decks.clone().find_map(|deck| deck.of_class(lasts, mean));
        let found = of_class.or_else(|| decks.clone().find_map(|deck| deck.at_all(mean)));
        let Some((share, donors)) = found else { return Lent::Nothing };
        if draw.fraction() >= share {
            return Lent::Busy;
        }
        nearest(donors, lasts, draw).map_or(Lent::Busy, |donor| Lent::Silences(donor.to(lasts)))
    }
}

impl Deck {
    /// What share of the stays in this class was silent, and those that were.
    fn of_class(&self, lasts: Duration, mean: f64) -> Option<(f64, &[Donor])> {
        let class_of = class(lasts);
        let first = self.donors.partition_point(|donor| class(donor.lasts) < class_of);
        let last = self.donors.partition_point(|donor| class(donor.lasts) <= class_of);
        share(self.donors.get(first..last)?, self.all[class_of], mean)
    }

    fn at_all(&self, mean: f64) -> Option<(f64, &[Donor])> {
        share(&self.donors, self.all.iter().sum(), mean)
    }
}

/// `None` where too few were looked at to know. One that was looked at stands for `mean` flows.
fn share(donors: &[Donor], all: f64, mean: f64) -> Option<(f64, &[Donor])> {
    let silent: f64 = donors.iter().map(|donor| donor.weight).sum();
    let is_known = !donors.is_empty() || all >= ENOUGH * mean;
    is_known.then(|| (if all > 0.0 { (silent / all).min(1.0) } else { 1.0 }, donors))
}

fn nearest<'a>(donors: &'a [Donor], lasts: Duration, draw: &mut Draw) -> Option<&'a Donor> {
    let count = u32::try_from(donors.len()).unwrap_or(u32::MAX).min(NEIGHBOURS);
    let place = donors.partition_point(|donor| donor.lasts < lasts);
    let first = place.saturating_sub(count as usize / 2).min(donors.len().saturating_sub(count as usize));
    donors.get(first + draw.below(count) as usize)
}

impl Donor {
    /// Its silences for a stay that lasted so long.
    fn to(&self, lasts: Duration) -> Pattern {
        let factor = lasts.as_secs_f64() / self.lasts.as_secs_f64().max(0.001);
        if STRETCHES.contains(&factor) {
            #[expect(clippy::cast_possible_truncation, reason = "about 1")]
            return Pattern { factor: factor as f32, ..self.pattern };
        }
        Pattern { repeats: self.lasts.max(Duration::from_secs(1)), ..self.pattern }
    }
}
