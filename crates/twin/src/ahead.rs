//! Look-ups that go ahead of the packets.
//!
//! What a packet's look-up waits for, mostly, is memory: the index, the entry: each a wait of a hundred nanoseconds and more if they
//! come in turn. Where it is known which packets come next, memory is asked for what they need while others are taken, a step of
//! the way at a time, and they wait together.

use plimsoll_model::Tuple;

use crate::Place;
use crate::table::{Asked, Key, Table};

/// Where the look-ups stand that are furthest ahead, in packets before the one that is taken…
pub(crate) const TURNS: usize = 16;
/// …and where they take their two further steps: what was asked for comes meanwhile.
pub(crate) const TO_ENTRY: usize = 10;
pub(crate) const TO_ELSEWHERE: usize = 5;
const _: () = assert!(TURNS.is_power_of_two() && TO_ELSEWHERE < TO_ENTRY && TO_ENTRY < TURNS);

/// What is known of the packets ahead, each at its turn's place.
#[derive(Debug)]
pub(crate) struct Ahead {
    asked: [Asked; TURNS],
    turn: usize,
}

impl Ahead {
    /// Of packets none of which is known.
    pub(crate) const fn new() -> Self {
        Self { asked: [Asked::NOTHING; TURNS], turn: 0 }
    }

    /// The place of the packet whose turn comes in so many turns.
    #[inline]
    pub(crate) const fn place(&self, until: usize) -> usize {
        (self.turn + until) % TURNS
    }

    /// What the packet whose turn it is asks for.
    #[inline]
    pub(crate) const fn asked(&self) -> &Asked {
        &self.asked[self.place(0)]
    }

    /// Begins the look-up of the packet whose turn comes once all that are known have had theirs.
    #[inline]
    pub(crate) fn begin(&mut self, table: &Table, tuple: &Tuple, place: Place) {
        let asked = &mut self.asked[self.turn % TURNS];
        // Of IPv6 far more is written.
        match Key::narrow(tuple, place) {
            Some(key) => *asked = table.asked(key),
            None => write_wide(asked, table, tuple, place),
        }
        table.ask_for_slot(asked);
    }

    /// On to the next turn: a step for each look-up that is due for one. Of a place whose turn has no look-up, what is left there is
    /// asked for again: that is near, and does no harm.
    #[inline]
    pub(crate) fn go_on(&mut self, table: &Table) {
        table.ask_for_entry(&mut self.asked[self.place(TO_ENTRY)]);
        table.ask_elsewhere(&mut self.asked[self.place(TO_ELSEWHERE)]);
        self.turn += 1;
    }
}

#[inline(never)]
fn write_wide(asked: &mut Asked, table: &Table, tuple: &Tuple, place: Place) {
    *asked = table.asked(Key::new(tuple, place));
}
