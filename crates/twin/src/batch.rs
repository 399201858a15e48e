//! Many packets, one after the other.

use std::time::Duration;

use crate::ahead::{Ahead, TURNS};
use crate::packet::Packet;
use crate::rules::Rules;
use crate::table::Asked;
use crate::{Place, Twin, Verdict};

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

impl Twin {
    /// Takes packets their whole way, in their order, and puts what becomes of each behind the verdicts that are there. They are
    /// those of [`Twin::pass`], and so is all else: it only takes less time, if there are some dozens of packets or more.
    pub fn pass_batch(&mut self, arrivals: &[Arrival<'_>], rules: &mut impl Rules, verdicts: &mut Vec<Verdict>) {
        verdicts.reserve(arrivals.len());
        let mut ahead = Ahead::new();
        for turn in 0..arrivals.len() + TURNS {
            if let Some(arrival) = turn.checked_sub(TURNS).and_then(|turn| arrivals.get(turn)) {
                verdicts.push(self.pass_asked(arrival, ahead.asked(), rules));
            }
            if let Some(Arrival { place, packet: Packet::Flow { tuple, .. }, .. }) = arrivals.get(turn) {
                ahead.begin(&self.table, tuple, *place);
            }
            ahead.go_on(&self.table);
        }
    }

    /// Takes a packet whose tuple was asked for. Apart from those who go ahead: each has the processor's registers to itself.
    #[inline(never)]
    fn pass_asked(&mut self, arrival: &Arrival<'_>, asked: &Asked, rules: &mut impl Rules) -> Verdict {
        let &Arrival { at, place, ref packet } = arrival;
        match packet {
            Packet::Flow { content, .. } => self.pass_asked_for(at, asked, content, rules),
            _ => self.pass(at, place, packet, rules),
        }
    }
}
