//! Look-ups that go ahead of the packets.
//!
//! What a packet's look-up waits for, mostly, is memory: the bucket, what leads on along the chain, the entry: each a wait of a
//! hundred nanoseconds and more if they come in turn. Where it is known which packets come next, memory is asked for what they
//! need while others are taken, a step of the way at a time, and they wait together.

use plimsoll_model::Tuple;

use crate::Place;
use crate::table::{Asked, Key, Table};

/// Packets between two steps of one look-up: what was asked for comes meanwhile.
const APART: usize = 4;
/// Steps along the packet's own chain. Few are longer where there are as many buckets as entries.
const ALONG: usize = 3;
/// Where the look-ups stand that are furthest ahead, and those behind them, in packets before the one that is taken.
const TURNS: usize = 32;
const TO_FIRST: usize = TURNS - APART;
const TO_ANSWERS: usize = TO_FIRST - APART * (ALONG + 1);
const TO_FIRST_ANSWER: usize = TO_ANSWERS - APART;
const _: () = assert!(TURNS.is_power_of_two() && TO_FIRST_ANSWER >= APART * 2);

/// What is known of the packets ahead, each at its turn's place.
#[derive(Debug)]
pub(crate) struct Ahead {
    asked: [Asked; TURNS],
    /// Hashes of what would answer, where nobody has the tuple.
    answers: [u32; TURNS],
    turn: usize,
}

impl Ahead {
    /// How many turns before its own a packet must be known.
    pub(crate) const TURNS: usize = TURNS;

    /// Of packets none of which is known.
    pub(crate) const fn new() -> Self {
        Self { asked: [Asked::NOTHING; TURNS], answers: [0; TURNS], turn: 0 }
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
        *asked = table.asked(Key::new(tuple, place.namespace, place.zone));
        table.ask_for_bucket(asked.hash);
    }

    /// On to the next turn: a step for each look-up that is due for one. Of a place whose turn has no look-up, what is left there is
    /// asked for again: that is near, and does no harm.
    #[inline(never)]
    pub(crate) fn go_on(&mut self, table: &Table) {
        table.ask_for_first(&mut self.asked[self.place(TO_FIRST)]);
        for step in 1..=ALONG {
            table.ask_on(&mut self.asked[self.place(TO_FIRST - step * APART)]);
        }
        // Nobody has the tuple: an entry will be put here, and where its answers look for it.
        let at = self.place(TO_ANSWERS);
        if self.asked[at].is_nobodys() {
            self.answers[at] = table.answers(&self.asked[at]);
            table.ask_for_bucket(self.answers[at]);
        }
        let at = self.place(TO_FIRST_ANSWER);
        if self.asked[at].is_nobodys() {
            table.ask_for_chain(self.answers[at]);
        }
        self.turn += 1;
    }
}
