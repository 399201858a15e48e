//! Many packets, one after the other.
//!
//! What a packet's look-up waits for, mostly, is memory: the bucket, each entry along the chain, what the tracker remembers: each
//! a wait of a hundred nanoseconds and more if they come in turn. In a batch it is known which packets come next. So while one
//! is taken, memory is asked for what the next ones need, a step of the way at a time, and they wait together.

use std::time::Duration;

use crate::packet::Packet;
use crate::rules::Rules;
use crate::table::{Asked, Cursor, Key, Table};
use crate::{Place, Tracked, Twin, Verdict};

/// A packet, when and where it comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival<'a> {
    /// When.
    pub at: Duration,
    /// Where.
    pub place: Place,
    /// The packet.
    pub packet: Packet<'a>,
}

/// Packets between two steps of one look-up: what was asked for comes meanwhile.
const APART: usize = 8;
/// Steps along the packet's own chain. Few are longer where there are as many buckets as entries.
const ALONG: usize = 3;
/// Where the look-ups stand that are furthest ahead, and those behind them, in packets before the one that is taken.
const AHEAD: usize = 64;
const TO_FIRST: usize = AHEAD - APART;
const TO_ANSWERS: usize = TO_FIRST - APART * (ALONG + 1);
const TO_FIRST_ANSWER: usize = TO_ANSWERS - APART;
const _: () = assert!(AHEAD.is_power_of_two() && TO_FIRST_ANSWER >= APART * 2);

/// What is known of the packets ahead, each at its turn's place.
struct Ahead {
    asked: [Asked; AHEAD],
    cursors: [Cursor; AHEAD],
}

impl Twin {
    /// Takes packets their whole way, in their order, and puts what becomes of each behind the verdicts that are there. They are
    /// those of [`Twin::pass`], and so is all else: it only takes less time, if there are some dozens of packets or more.
    pub fn pass_batch(&mut self, arrivals: &[Arrival<'_>], rules: &mut impl Rules, verdicts: &mut Vec<Verdict>) {
        verdicts.reserve(arrivals.len());
        let mut ahead = Ahead { asked: [Asked::NOTHING; AHEAD], cursors: [Cursor::NOBODY; AHEAD] };
        for turn in 0..arrivals.len() + AHEAD {
            let own = turn % AHEAD;
            if let Some(arrival) = turn.checked_sub(AHEAD).and_then(|turn| arrivals.get(turn)) {
                verdicts.push(self.pass_asked(arrival, &ahead.asked[own], rules));
            }
            if let Some(Arrival { place, packet: Packet::Flow { tuple, .. }, .. }) = arrivals.get(turn) {
                let asked = self.table.asked(Key::new(tuple, place.namespace, place.zone));
                self.table.ask_for_bucket(asked.hash);
                ahead.asked[own] = asked;
            }
            ahead.go_on(&self.table, turn);
        }
    }

    fn pass_asked(&mut self, arrival: &Arrival<'_>, asked: &Asked, rules: &mut impl Rules) -> Verdict {
        let &Arrival { at, place, ref packet } = arrival;
        let tracked = match packet {
            Packet::Flow { tuple, content } => {
                let now = self.pass_time(at);
                self.take(now, place, tuple, content, asked)
            }
            _ => self.track(at, place, packet),
        };
        match tracked {
            Tracked::Done(verdict) => verdict,
            Tracked::New(new) => self.complete(at, new, rules),
        }
    }
}

impl Ahead {
    /// A step for each look-up that is due for one. Of a place whose turn has no look-up, what is left there is asked for again:
    /// that is near, and does no harm.
    #[inline]
    fn go_on(&mut self, table: &Table, turn: usize) {
        let place = |until: usize| (turn + until) % AHEAD;
        let at = place(TO_FIRST);
        self.cursors[at] = table.ask_for_first(self.asked[at].hash);
        for step in 1..=ALONG {
            let at = place(TO_FIRST - step * APART);
            self.cursors[at] = table.ask_on(self.cursors[at], &self.asked[at].key);
        }
        // Nobody has the tuple: an entry will be put here, and where its answers look for it.
        let at = place(TO_ANSWERS);
        if self.cursors[at] == Cursor::NOBODY {
            table.ask_for_bucket(table.answers(&self.asked[at]));
        }
        let at = place(TO_FIRST_ANSWER);
        if self.cursors[at] == Cursor::NOBODY {
            table.ask_for_first(table.answers(&self.asked[at]));
        }
    }
}
