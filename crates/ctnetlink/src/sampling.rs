//! A share of the entries, chosen by their ids: in the kernel, so that what is not wanted costs no message.

use socket2::SockFilter;

use crate::attributes::cta;
use crate::wire::{ATTRIBUTE_HEADER_BYTES, FIXED_HEADER_BYTES, MESSAGE_HEADER_BYTES};

/// The share of all entries whose events are kept: one in 2ⁿ.
///
/// An entry is chosen by its id, a keyed hash that stays the same for its whole life (`nf_ct_get_id`): all of its events are
/// kept or none, and the entries of a smaller share are among those of a larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SampleShare {
    halvings: u8,
}

impl SampleShare {
    /// Every entry.
    pub const ALL: Self = Self { halvings: 0 };
    /// One entry in 65,536.
    pub const LEAST: Self = Self { halvings: 16 };

    /// One half, of a half, so many times; `None` beyond [`SampleShare::LEAST`].
    pub const fn halved(times: u8) -> Option<Self> {
        if times > Self::LEAST.halvings { None } else { Some(Self { halvings: times }) }
    }

    /// Half of this share; the same where it is the least.
    #[must_use]
    pub const fn half(self) -> Self {
        if self.halvings < Self::LEAST.halvings { Self { halvings: self.halvings + 1 } } else { self }
    }

    /// Twice this share; the same where it is all.
    #[must_use]
    pub const fn double(self) -> Self {
        Self { halvings: self.halvings.saturating_sub(1) }
    }

    /// How many entries one stands for: 2ⁿ.
    pub const fn one_in(self) -> u32 {
        1 << self.halvings
    }

    /// The share as a fraction.
    pub fn fraction(self) -> f64 {
        f64::from(self.one_in()).recip()
    }

    /// Whether the entry of an id is among those that are kept.
    #[inline]
    pub const fn keeps(self, id: u32) -> bool {
        id & self.mask() == 0
    }

    /// The upper bits, of which an id that is kept has none.
    const fn mask(self) -> u32 {
        !(u32::MAX >> self.halvings)
    }

    /// The program that keeps what [`SampleShare::keeps`] does, and whatever has no id. A load brings the attribute's bytes in
    /// network order, as the id is read here.
    pub(crate) fn program(self) -> [SockFilter; 9] {
        let step = |code, k| SockFilter::new(code, 0, 0, k);
        [
            step(LOAD_CONSTANT, ATTRIBUTES_AT),
            step(LOAD_X_CONSTANT, ID),
            step(LOAD, FIND_ATTRIBUTE),
            // It is 0 where there is none: on to "keep".
            SockFilter::new(JUMP_IF_EQUAL, 3, 0, 0),
            step(COPY_TO_X, 0),
            step(LOAD_FROM_X, ID_VALUE_AT),
            SockFilter::new(JUMP_IF_ANY_BIT, 1, 0, self.mask()),
            step(RETURN, KEEP),
            step(RETURN, DROP),
        ]
    }
}

// Classic BPF (`linux/filter.h`). `BPF_LD | BPF_IMM`:
const LOAD_CONSTANT: u16 = 0x00;
/// `BPF_LDX | BPF_IMM`.
const LOAD_X_CONSTANT: u16 = 0x01;
/// `BPF_LD | BPF_W | BPF_ABS`.
const LOAD: u16 = 0x20;
/// `BPF_LD | BPF_W | BPF_IND`.
const LOAD_FROM_X: u16 = 0x40;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
const JUMP_IF_EQUAL: u16 = 0x15;
/// `BPF_JMP | BPF_JSET | BPF_K`.
const JUMP_IF_ANY_BIT: u16 = 0x45;
/// `BPF_MISC | BPF_TAX`.
const COPY_TO_X: u16 = 0x07;
/// `BPF_RET | BPF_K`.
const RETURN: u16 = 0x06;
/// `SKF_AD_OFF + SKF_AD_NLATTR`: from offset A on, where the attribute of type X begins; 0 where there is none.
const FIND_ATTRIBUTE: u32 = (-0x1000_i32 + 12).cast_unsigned();

const ID: u32 = cta::ID as u32;
#[expect(clippy::cast_possible_truncation, reason = "headers of a few bytes")]
const ATTRIBUTES_AT: u32 = (MESSAGE_HEADER_BYTES + FIXED_HEADER_BYTES) as u32;
#[expect(clippy::cast_possible_truncation, reason = "a header of a few bytes")]
const ID_VALUE_AT: u32 = ATTRIBUTE_HEADER_BYTES as u32;
/// How much of a message is kept.
const KEEP: u32 = u32::MAX;
const DROP: u32 = 0;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by it")]
    use super::*;

    const EDGES: [u32; 8] = [0, 1, 0xffff, 0x10000, 0x7fff_ffff, 0x8000_0000, 0xffff_0000, u32::MAX];

    fn all() -> impl Iterator<Item = SampleShare> {
        (0..=16).map(|times| SampleShare::halved(times).unwrap())
    }

    #[test]
    fn an_id_is_kept_below_its_share_of_all_ids() {
        for share in all() {
            let below = (1_u64 << 32) / u64::from(share.one_in());
            for id in EDGES.into_iter().chain([below - 1, below].into_iter().filter_map(|id| u32::try_from(id).ok())) {
                assert_eq!(share.keeps(id), u64::from(id) < below, "{id} of {share:?}");
            }
            assert!((share.fraction() * f64::from(share.one_in()) - 1.0).abs() < f64::EPSILON);
        }
    }

    #[test]
    fn a_smaller_share_is_part_of_a_larger_one() {
        for share in all() {
            for id in EDGES {
                assert!(share.keeps(id) || !share.half().keeps(id));
                assert!(share.double().keeps(id) || !share.keeps(id));
            }
        }
        assert_eq!((SampleShare::ALL.double(), SampleShare::LEAST.half()), (SampleShare::ALL, SampleShare::LEAST));
        assert_eq!(SampleShare::ALL.half().double(), SampleShare::ALL);
        assert_eq!((SampleShare::halved(16), SampleShare::halved(17)), (Some(SampleShare::LEAST), None));
    }
}
