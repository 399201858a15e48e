//! Look-ups that go ahead of the packets.
//!
//! What a packet's look-up waits for, mostly, is memory: the index, the entry: each a wait of a hundred nanoseconds and more if they
//! come in turn. Where it is known which packets come next, memory is asked for what they need while others are taken, a step of
//! the way at a time, and they wait together.

use plimsoll_model::Tuple;

use crate::table::{Asked, Key, Table};
use crate::{EntryId, Place, Twin};

/// Where the look-ups stand that are furthest ahead, in packets before the one that is taken…
const TURNS: usize = 16;
/// …and where they take their two further steps: what was asked for comes meanwhile.
const TO_ENTRY: usize = 10;
const TO_ELSEWHERE: usize = 5;
const _: () = assert!(TURNS.is_power_of_two() && TO_ELSEWHERE < TO_ENTRY && TO_ENTRY < TURNS);

impl Twin {
    /// Has memory come near for what packets ask for that all are there: those of `packets` whose turn this is, and some of those before,
    /// each of which is taken [`Outlook::TURNS`](crate::Outlook::TURNS) turns later. What is known to be found
    /// ([`Asked::found`]) is not looked for. Each is a hint.
    #[inline]
    pub fn go_ahead<P>(&self, packets: &mut [P], turn: usize, asked_of: impl Fn(&mut P) -> Option<&mut Asked>) {
        let mut step = |turns, ask: fn(&Table, &mut Asked)| {
            if let Some(asked) = packets.get_mut(turn.wrapping_sub(turns)).and_then(&asked_of) {
                ask(&self.table, asked);
            }
        };
        step(0, Table::ask_for);
        step(TURNS - TO_ENTRY, Table::ask_for_entry);
        step(TURNS - TO_ELSEWHERE, Table::ask_elsewhere);
    }

    /// Has the memory of an entry come near that a packet is about to need. That is a hint.
    #[inline]
    pub fn ask_for(&self, entry: EntryId) {
        self.table.ask_for_line(entry.slot);
    }
}

/// What is known of the packets ahead, each at its turn's place.
#[derive(Debug)]
pub(crate) struct Ahead {
    asked: [Asked; TURNS],
    turn: usize,
}

impl Ahead {
    /// How many turns before its own a packet must be known.
    pub(crate) const TURNS: usize = TURNS;

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

    /// Begins one whose tuple was asked for.
    #[inline]
    pub(crate) fn begin_asked(&mut self, table: &Table, asked: &Asked) {
        self.asked[self.turn % TURNS] = *asked;
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
