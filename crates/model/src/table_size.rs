//! How large the kernel makes the table by itself.

use crate::{Buckets, Capacity};

/// What the table has when conntrack starts (`nf_conntrack_init_start`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSize {
    /// `nf_conntrack_buckets`.
    pub buckets: Buckets,
    /// `nf_conntrack_max`.
    pub capacity: Capacity,
}

/// By which rule a kernel chooses. Distributions carry changes back, so a version does not tell it for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeRule {
    /// Few buckets, and four entries for each.
    UpTo5_10,
    /// Four times as many buckets, and an entry for each.
    Since5_15,
}

impl SizeRule {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Since5_15, Self::UpTo5_10];
}

impl TableSize {
    /// What the kernel chooses by RAM.
    pub fn by_ram(ram_bytes: u64, rule: SizeRule) -> Self {
        let (least, middle, large, entries_a_bucket) = match rule {
            SizeRule::UpTo5_10 => (32, 16_384, 65_536, 4),
            SizeRule::Since5_15 => (1024, 65_536, 262_144, 1),
        };
        let buckets = match ram_bytes {
            4_294_967_297.. => large,
            1_073_741_825.. => middle,
            _ => (ram_bytes / 16_384 / 8).max(least),
        };
        let buckets = u32::try_from(buckets).unwrap_or(u32::MAX).next_multiple_of(Buckets::A_PAGE);
        Self { buckets: Buckets(buckets), capacity: Capacity(buckets * entries_a_bucket) }
    }

    /// What a hash size that is given makes: the limit is eight times as large. `None` where it would not fit.
    pub fn by_hashsize(hashsize: u32) -> Option<Self> {
        let buckets = Buckets::in_whole_pages(hashsize).filter(|_| hashsize > 0)?;
        Some(Self { buckets, capacity: Capacity(buckets.0.checked_mul(8)?) })
    }

    /// `nf_conntrack_expect_max`, which follows from the buckets (`nf_conntrack_expect_init`).
    pub const fn expect_max(&self) -> u32 {
        let expectation_buckets = if self.buckets.0 < 256 { 1 } else { self.buckets.0 / 256 };
        4 * expectation_buckets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(ram_bytes: u64, rule: SizeRule) -> (u32, u32) {
        let size = TableSize::by_ram(ram_bytes, rule);
        (size.buckets.0, size.capacity.0)
    }

    #[test]
    fn the_kernels_choice_by_ram_is_what_was_measured() {
        for (ram_bytes, up_to_5_10, since_5_15) in [
            (16 << 30, (65_536, 262_144), (262_144, 262_144)),
            (2 << 30, (16_384, 65_536), (65_536, 65_536)),
            (512 << 20, (4096, 16_384), (4096, 4096)),
            (1 << 20, (512, 2048), (1024, 1024)),
        ] {
            assert_eq!(size(ram_bytes, SizeRule::UpTo5_10), up_to_5_10, "{ram_bytes}");
            assert_eq!(size(ram_bytes, SizeRule::Since5_15), since_5_15, "{ram_bytes}");
        }
        assert_eq!(TableSize::by_ram(16 << 30, SizeRule::Since5_15).expect_max(), 4096);
    }

    #[test]
    fn a_given_hash_size_makes_the_limit_too() {
        let measured = TableSize { buckets: Buckets(1024), capacity: Capacity(8192) };
        assert_eq!(TableSize::by_hashsize(1000), Some(measured));
        for hostile in [0, u32::MAX, 1_000_000_000] {
            assert_eq!(TableSize::by_hashsize(hostile), None, "{hostile}");
        }
    }
}
