//! A packet on its way, as far as it is known.

use std::collections::{BTreeMap, BTreeSet};

use crate::class::PacketClass;
use crate::course::Course;
use crate::key::{Field, NO_INTERFACE};
use crate::model::{Effect, Hook};
use crate::numbers::Numbers;
use crate::path::{Done, Fact, Of, Place, Step};
use crate::tracking::{Direction, EntryState, Tracking, Translated, View};

/// A class of packets on its way, with what has been assumed and done.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) class: PacketClass,
    /// Conditions that are not reckoned, and how they were taken to be.
    pub(crate) facts: BTreeMap<Fact, bool>,
    /// Rules on the way whose outcome is not known to be the same for the packet tracked and untracked.
    pub(crate) doubts: Vec<Place>,
    pub(crate) mark: Bits,
    pub(crate) entry_mark: Bits,
    /// Flags of TCP, where they are known.
    pub(crate) tcp_flags: Option<u8>,
    pub(crate) source_translated: Option<bool>,
    pub(crate) destination_translated: Option<bool>,
    /// Fields that a rule has written: what the class says of them is what they were before.
    rewritten: BTreeSet<Field>,
    /// A rule, or the bypass, has left it untracked.
    pub(crate) untracked: bool,
    /// How often something has changed the packet in a way that is not reckoned.
    generation: u32,
    pub(crate) effects: Vec<Done>,
    pub(crate) steps: Vec<Step>,
}

/// Bits, some of them known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bits {
    known: u32,
    value: u32,
}

impl Bits {
    pub(crate) const ZERO: Self = Self { known: u32::MAX, value: 0 };

    pub(crate) fn set(&mut self, value: u32, mask: u32) {
        self.known |= mask;
        self.value = self.value & !mask | value & mask;
    }

    /// Whether the bits of a mask are this value; where that is open, the bits and the value that it hangs on.
    pub(crate) fn are(self, value: u32, mask: u32) -> Result<bool, (u32, u32)> {
        if value & !mask != 0 || (self.value ^ value) & self.known & mask != 0 {
            return Ok(false);
        }
        let open = mask & !self.known;
        if open == 0 { Ok(true) } else { Err((open, value & open)) }
    }

    /// The bits of a mask, where all are known.
    pub(crate) fn all(self, mask: u32) -> Option<u32> {
        (mask & !self.known == 0).then_some(self.value & mask)
    }
}

/// Where a state stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    pub(crate) hook: Hook,
    pub(crate) priority: i32,
    pub(crate) view: View,
    pub(crate) place: Place,
}

impl State {
    pub(crate) fn begin(class: PacketClass, tracking: Tracking, course: &Course) -> Self {
        let (entry_mark, translated) = match tracking {
            Tracking::Entry { state: EntryState::New, .. } => (Bits::ZERO, Some(false)),
            Tracking::Entry { translated: Translated::No, .. } => (Bits::default(), Some(false)),
            _ => (Bits::default(), None),
        };
        Self {
            class,
            facts: BTreeMap::new(),
            doubts: Vec::new(),
            mark: course.mark,
            entry_mark,
            tcp_flags: course.tcp_flags,
            source_translated: translated,
            destination_translated: translated,
            rewritten: BTreeSet::new(),
            untracked: false,
            generation: 0,
            effects: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// What rules see of its tracking at a place.
    pub(crate) fn view(&self, tracking: Tracking, seen_by_tracking: bool) -> View {
        match tracking {
            _ if self.untracked => View::Untracked,
            Tracking::Entry { state, direction, .. } if seen_by_tracking => View::Entry(state, direction),
            _ => View::Absent,
        }
    }

    /// Whether a rule has written a field, so that it is not known any more.
    pub(crate) fn is_rewritten(&self, field: Field) -> bool {
        self.rewritten.contains(&field)
    }

    /// Those of its packets for which a field is, and is not, one of these, as a place asks.
    pub(crate) fn split(mut self, field: Field, numbers: &Numbers, hook: Hook, place: Place) -> Fork {
        // Before routing there is no device that a packet goes by.
        if field == Field::OutInterface && matches!(hook, Hook::Ingress | Hook::Prerouting) {
            return if numbers.has(NO_INTERFACE) { Fork::yes(self) } else { Fork::no(self) };
        }
        if self.is_rewritten(field) {
            self.doubts.push(place);
            return self.assume(hook, Of::Packet, &format!("{field:?} as written in {:?}", numbers.spans()));
        }
        let held = self.class.field(field);
        let (inside, outside) = (held.and(numbers), held.minus(numbers));
        if outside.is_empty() {
            return Fork::yes(self);
        }
        if inside.is_empty() {
            return Fork::no(self);
        }
        let mut other = self.clone();
        let mut this = self;
        *this.class.slot(field) = inside;
        *other.class.slot(field) = outside;
        Fork { yes: Some(this), no: Some(other) }
    }

    /// As a condition of this text is, which is assumed once and stays.
    pub(crate) fn assume(self, hook: Hook, of: Of, text: &str) -> Fork {
        let key = Fact { asked: format!("{}/{} {text}", hook.name(), self.generation), of };
        match self.facts.get(&key) {
            Some(true) => Fork::yes(self),
            Some(false) => Fork::no(self),
            None => {
                let (mut this, mut other) = (self.clone(), self);
                this.facts.insert(key.clone(), true);
                other.facts.insert(key, false);
                Fork { yes: Some(this), no: Some(other) }
            }
        }
    }

    /// Either way, and whoever asks again may be told otherwise.
    pub(crate) fn doubt(mut self, place: Place) -> Fork {
        self.doubts.push(place);
        Fork { yes: Some(self.clone()), no: Some(self) }
    }

    pub(crate) fn done(&mut self, effect: Effect, place: Place) {
        if let Effect::Rewritten { fields, .. } = &effect {
            self.rewritten.extend(fields);
        }
        if matches!(
            effect,
            Effect::Changed(_) | Effect::Rewritten { .. } | Effect::MarkUnknown(_) | Effect::MarkFromEntry(_)
        ) {
            self.generation += 1;
        }
        self.effects.push(Done { effect, place });
    }

    /// The direction as a number, as `ct direction` has it.
    pub(crate) const fn direction(direction: Direction) -> u128 {
        match direction {
            Direction::Original => 0,
            Direction::Reply => 1,
        }
    }
}

/// Those for which a condition holds, and those for which it does not.
pub(crate) struct Fork {
    pub(crate) yes: Option<State>,
    pub(crate) no: Option<State>,
}

impl Fork {
    pub(crate) const fn yes(state: State) -> Self {
        Self { yes: Some(state), no: None }
    }

    pub(crate) const fn no(state: State) -> Self {
        Self { yes: None, no: Some(state) }
    }
}
