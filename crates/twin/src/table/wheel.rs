//! When entries may expire: a wheel of bins, in which each slot waits for a moment no later than its entry's expiry.
//!
//! A packet that puts an expiry off leaves the slot in its bin: when that comes due, whoever takes it out looks, and puts it
//! in anew. So a packet costs the wheel nothing, unless it brings an expiry nearer than the slot waits for.
//!
//! Bins of the first level are a jiffy long, of each further one 256 times as long as of the one before. A slot lies at the
//! level of the highest digit in which its moment and the wheel's differ, and comes down when the wheel's reaches it: so
//! where it lies follows from the two moments alone. (Varghese and Lauck 1987, scheme 7.)
//!
//! A bin has several chains, and they are walked in turn: each next slot is known only once the one before has come from memory, and
//! so many come at once.

use super::line::Line;
use super::room::Room;
use crate::tick::Tick;

/// No slot.
const NONE: u32 = u32::MAX;
/// In place of the slot before: this one is in no bin.
const OUT: u32 = u32::MAX - 1;

const LEVELS: usize = 4;
const DIGIT_BITS: usize = 8;
const BINS: usize = 1 << DIGIT_BITS;
const LAST_BIN: u32 = (1 << DIGIT_BITS) - 1;
/// Of a bin. A slot's number says in which it is.
const CHAINS: usize = 8;

/// The first slots of a bin's chains.
type Heads = [u32; CHAINS];
const EMPTY: Heads = [NONE; CHAINS];

/// Where a slot waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    at: Tick,
    before: u32,
    behind: u32,
}

impl Turn {
    pub(super) const OUT: Self = Self { at: Tick::from_span(0), before: OUT, behind: NONE };

    pub(super) const fn is_out(&self) -> bool {
        self.before == OUT
    }

    /// Whether the slot comes due no later than this.
    pub(super) const fn is_by(&self, moment: Tick) -> bool {
        !self.is_out() && moment.since(self.at) >= 0
    }
}

/// The bins.
#[derive(Debug)]
pub(super) struct Wheel {
    /// All up to this moment has been taken out.
    now: Tick,
    heads: Box<[[Heads; BINS]]>,
    /// Slots by level.
    held: [u32; LEVELS],
    /// From which chain a slot is taken next, if it has one.
    next_chain: usize,
}

impl Wheel {
    pub(super) fn new(now: Tick) -> Self {
        Self { now, heads: vec![[EMPTY; BINS]; LEVELS].into_boxed_slice(), held: [0; LEVELS], next_chain: 0 }
    }

    /// The moment up to which all has been taken out.
    #[inline]
    pub(super) const fn now(&self) -> Tick {
        self.now
    }

    /// Has a slot wait for a moment; if the wheel is past it, for the next jiffy.
    pub(super) fn put(&mut self, lines: &mut Room<Line>, slot: u32, moment: Tick) {
        if !lines[slot].turn.is_out() {
            self.take_out(lines, slot);
        }
        let at = if moment.since(self.now) > 0 { moment } else { self.now.plus(1) };
        self.link(lines, slot, at);
    }

    /// Takes out a slot that is due at a moment; `None` once none is. What is put in meanwhile must wait for a later one.
    pub(super) fn pop(&mut self, lines: &mut Room<Line>, until: Tick) -> Option<u32> {
        loop {
            if let Some(slot) = self.pop_of_now(lines) {
                return Some(slot);
            }
            let left = until.since(self.now);
            if left <= 0 {
                return None;
            }
            self.step(lines, left.cast_unsigned());
        }
    }

    #[inline]
    fn pop_of_now(&mut self, lines: &mut Room<Line>) -> Option<u32> {
        let (level, bin) = self.place(self.now);
        let heads = &self.heads[level][bin];
        let chain = (0..CHAINS).map(|further| (self.next_chain + further) % CHAINS).find(|at| heads[*at] != NONE)?;
        let slot = heads[chain];
        self.take_out(lines, slot);
        lines.ask_for(self.heads[level][bin][chain]);
        self.next_chain = chain + 1;
        Some(slot)
    }

    /// On to the next jiffy; or over those, of so many at the most, in which nothing can happen.
    fn step(&mut self, lines: &mut Room<Line>, most: u32) {
        if self.held == [0; LEVELS] {
            self.now = self.now.plus(most);
            return;
        }
        let until_wrap = LAST_BIN - (self.now.as_span() & LAST_BIN);
        if self.held[0] == 0 && until_wrap > 0 {
            self.now = self.now.plus(until_wrap.min(most));
            return;
        }
        self.now = self.now.plus(1);
        // The digit above moves where the one below has wrapped. The highest goes first: what comes down may lie in the next.
        let wrapped = (self.now.as_span().trailing_zeros() as usize / DIGIT_BITS).min(LEVELS - 1);
        for level in (1..=wrapped).rev() {
            self.bring_down(lines, level);
        }
    }

    fn bring_down(&mut self, lines: &mut Room<Line>, level: usize) {
        let bin = digit(self.now, level);
        let mut heads = std::mem::replace(&mut self.heads[level][bin], EMPTY);
        while heads != EMPTY {
            for slot in heads.iter_mut().filter(|slot| **slot != NONE) {
                let Turn { at, behind, .. } = lines[*slot].turn;
                lines.ask_for(behind);
                self.held[level] -= 1;
                self.link(lines, *slot, at);
                *slot = behind;
            }
        }
    }

    fn link(&mut self, lines: &mut Room<Line>, slot: u32, at: Tick) {
        let (level, bin) = self.place(at);
        let behind = std::mem::replace(&mut self.heads[level][bin][chain_of(slot)], slot);
        lines[slot].turn = Turn { at, before: NONE, behind };
        if behind != NONE {
            lines[behind].turn.before = slot;
        }
        self.held[level] += 1;
    }

    /// Takes out a slot that is in a bin.
    fn take_out(&mut self, lines: &mut Room<Line>, slot: u32) {
        let turn = std::mem::replace(&mut lines[slot].turn, Turn::OUT);
        let (level, bin) = self.place(turn.at);
        self.held[level] -= 1;
        match turn.before {
            NONE => self.heads[level][bin][chain_of(slot)] = turn.behind,
            before => lines[before].turn.behind = turn.behind,
        }
        if turn.behind != NONE {
            lines[turn.behind].turn.before = turn.before;
        }
    }

    const fn place(&self, at: Tick) -> (usize, usize) {
        let differing = at.as_span() ^ self.now.as_span();
        let level = match differing {
            0..0x100 => 0,
            0x100..0x1_0000 => 1,
            0x1_0000..0x100_0000 => 2,
            _ => 3,
        };
        (level, digit(at, level))
    }
}

const fn chain_of(slot: u32) -> usize {
    slot as usize % CHAINS
}

const fn digit(at: Tick, level: usize) -> usize {
    (at.as_span() >> (level * DIGIT_BITS)) as usize % BINS
}

#[cfg(test)]
mod tests {
    use plimsoll_draw::Draw;

    use super::*;

    /// Against the plain thing: every slot comes when it is due, none before, wherever moments wrap.
    #[test]
    fn slots_come_when_they_are_due() {
        let jiffies = |draw: &mut Draw, most_bits| {
            let bits = draw.below(most_bits);
            draw.below(1 << bits)
        };
        for seed in 0..20 {
            let mut draw = Draw::new(seed);
            let mut now = Tick::from_span(u32::MAX - draw.below(1 << 26));
            let mut wheel = Wheel::new(now);
            let mut lines = Room::for_about(200);
            for _ in 0..200 {
                lines.push(Line::free());
            }
            let mut waiting = vec![None; 200];
            for _ in 0..2000 {
                for _ in 0..draw.below(4) {
                    let slot = draw.below(200);
                    let span = jiffies(&mut draw, 31);
                    wheel.put(&mut lines, slot, now.plus(span));
                    waiting[slot as usize] = Some(now.plus(span.max(1)));
                }
                now = now.plus(jiffies(&mut draw, 22));
                while let Some(slot) = wheel.pop(&mut lines, now) {
                    let at: Tick = waiting[slot as usize].take().expect("it waits");
                    assert!(at.is_over(now), "seed {seed}: {at:?} at {now:?}");
                }
                assert!(waiting.iter().flatten().all(|at| !at.is_over(now)), "seed {seed}: late at {now:?}");
                let held: u32 = wheel.held.iter().sum();
                assert_eq!(held as usize, waiting.iter().flatten().count());
            }
        }
    }
}
