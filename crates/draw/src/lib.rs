//! Random numbers that are the same for the same seed, on every machine and in every version.

use std::time::Duration;

/// `SplitMix64` (Steele, Lea and Flood 2014): small, fast, and good enough for arrival times and addresses.
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// A generator whose numbers follow from this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..bound`; 0 where there is nothing to choose from.
    pub const fn below(&mut self, bound: u32) -> u32 {
        (((self.next() >> 32) * bound as u64) >> 32) as u32
    }

    /// Within `0.0..1.0`.
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Exponentially distributed, as the time to the next of independent events is. The longest that can be drawn is
    /// about 37 times the mean.
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.fraction()).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix() {
        // The first two of seed 1234567, as published with the generator.
        let mut draw = Draw::new(1_234_567);
        assert_eq!([draw.next(), draw.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn means_are_right() {
        let mut draw = Draw::new(7);
        let mean = |draws: Vec<f64>| draws.iter().sum::<f64>() / draws.len() as f64;
        let below = mean((0..100_000).map(|_| f64::from(draw.below(11))).collect());
        assert!((4.95..5.05).contains(&below), "{below}");
        let waits = mean((0..100_000).map(|_| draw.exponential(Duration::from_secs(2)).as_secs_f64()).collect());
        assert!((1.96..2.04).contains(&waits), "{waits}");
    }
}
