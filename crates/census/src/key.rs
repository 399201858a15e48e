//! Values that heavy hitters are counted by, and their hash.

use std::net::IpAddr;

use plimsoll_model::{Prefix, Service};

/// A value of a feature.
pub(crate) trait Key: Copy + Ord {
    /// A hash that costs a few instructions. Somebody who chooses addresses to make them collide gains no more than a
    /// wider interval for them.
    fn hash(&self) -> u64;
}

impl Key for IpAddr {
    #[inline]
    fn hash(&self) -> u64 {
        match self {
            Self::V4(address) => fold(u64::from(address.to_bits()), 4),
            Self::V6(address) => {
                let [high, low] = [0, 64].map(|shift| {
                    #[expect(clippy::cast_possible_truncation, reason = "half of it")]
                    let half = (address.to_bits() >> shift) as u64;
                    half
                });
                fold(fold(high, 6), low)
            }
        }
    }
}

impl Key for Prefix {
    #[inline]
    fn hash(&self) -> u64 {
        self.address().hash()
    }
}

impl Key for Service {
    #[inline]
    fn hash(&self) -> u64 {
        fold(self.address.hash(), u64::from(self.port) << 8 | u64::from(self.protocol.0))
    }
}

/// Mixes two words: the halves of a 128-bit product have taken something of every bit.
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a ^ 0x9e37_79b9_7f4a_7c15) as u128 * (b ^ 0xbf58_476d_1ce4_e5b9) as u128;
    #[expect(clippy::cast_possible_truncation, reason = "the halves are wanted")]
    let folded = product as u64 ^ (product >> 64) as u64;
    folded
}
