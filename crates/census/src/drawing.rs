//! A bounded number of entries, drawn at random from as many as come.

use plimsoll_model::{Drawn, Entry, IdleAge};

/// Entries are drawn anew, every other one, whenever there are more than this: about 3 MiB.
const MOST: usize = 16_384;

/// The entries that were drawn so far: each one that came had the same chance.
#[derive(Debug)]
pub(crate) struct Drawing {
    drawn: Vec<Drawn>,
    /// The lot of each, by which it stays or goes.
    lots: Vec<u32>,
    came: u64,
    /// A lot wins if it begins with so many zeroes: one in 2^zeroes does.
    zeroes: u32,
}

impl Drawing {
    pub(crate) const fn new() -> Self {
        Self { drawn: Vec::new(), lots: Vec::new(), came: 0, zeroes: 0 }
    }

    #[inline]
    pub(crate) fn add(&mut self, entry: &Entry, idle: IdleAge) {
        let lot = lot(self.came);
        self.came += 1;
        if lot.leading_zeros() < self.zeroes {
            return;
        }
        self.drawn.push(Drawn { entry: *entry, idle, ends: None });
        self.lots.push(lot);
        if self.drawn.len() > MOST {
            self.thin();
        }
    }

    pub(crate) fn drawn(&self) -> &[Drawn] {
        &self.drawn
    }

    #[cold]
    fn thin(&mut self) {
        self.zeroes += 1;
        let wins = |lot: &u32| lot.leading_zeros() >= self.zeroes;
        let mut lots = self.lots.iter();
        self.drawn.retain(|_| lots.next().is_some_and(wins));
        self.lots.retain(wins);
    }
}

/// A number that looks random, from the place in the dump (the finaliser of `SplitMix64`; Steele, Lea, Flood 2014). The
/// kernel's hash is keyed, so nobody can choose an entry's place.
#[inline]
const fn lot(place: u64) -> u32 {
    let mut mixed = place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed >> 32) as u32
}
