//! Whether the beginning of a dump stands for the whole.

use plimsoll_model::{Entry, Homogeneity};
use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};

/// A difference less probable than this is no chance. Censuses are made every few seconds on many hosts, so it has to be
/// rare.
const SIGNIFICANT: f64 = 1e-5;

/// Blocks that are kept; where there would be more, neighbours are merged.
const MOST_BLOCKS: usize = 64;
/// Entries in a block at first.
const FIRST_BLOCK_ENTRIES: u64 = 256;
/// Fewer blocks than this say nothing.
const FEWEST_BLOCKS: usize = 4;

/// What becomes of an entry when gc is under pressure: kept, killed because it is closing, killed because it is not
/// assured.
const CLASSES: usize = 3;
type Block = [u64; CLASSES];

/// Counts the classes block by block, in the order of the dump.
#[derive(Debug)]
pub(crate) struct Blocks {
    full: Vec<Block>,
    current: Block,
    in_current: u64,
    block_entries: u64,
}

impl Blocks {
    pub(crate) const fn new() -> Self {
        Self { full: Vec::new(), current: [0; CLASSES], in_current: 0, block_entries: FIRST_BLOCK_ENTRIES }
    }

    #[inline]
    pub(crate) fn add(&mut self, entry: &Entry) {
        let class = if entry.is_killable() { 2 } else { usize::from(entry.is_closing()) };
        self.current[class] += 1;
        self.in_current += 1;
        if self.in_current == self.block_entries {
            self.close_block();
        }
    }

    fn close_block(&mut self) {
        self.full.push(std::mem::take(&mut self.current));
        self.in_current = 0;
        if self.full.len() == MOST_BLOCKS {
            self.full =
                self.full.chunks_exact(2).map(|pair| std::array::from_fn(|c| pair[0][c] + pair[1][c])).collect();
            self.block_entries *= 2;
        }
    }

    pub(crate) fn judge(&self) -> Homogeneity {
        if self.full.len() < FEWEST_BLOCKS {
            return Homogeneity::TooFew;
        }
        let p_value = chi_squared_p(&self.full);
        if p_value >= SIGNIFICANT {
            return Homogeneity::Alike { p_value };
        }
        poorest_prefix(&self.full, self.block_entries).unwrap_or(Homogeneity::Uneven { p_value })
    }
}

/// Pearson's test that all blocks have the same shares.
fn chi_squared_p(blocks: &[Block]) -> f64 {
    let totals: Block = std::array::from_fn(|class| blocks.iter().map(|block| block[class]).sum());
    let read: u64 = totals.iter().sum();
    // A class that a block has fewer than five of spoils the approximation.
    let common: Vec<usize> = (0..CLASSES).filter(|class| totals[*class] >= 5 * blocks.len() as u64).collect();
    if common.len() < 2 {
        return 1.0;
    }
    let mut statistic = 0.0;
    for block in blocks {
        let size: u64 = block.iter().sum();
        for &class in &common {
            let expected = totals[class] as f64 * size as f64 / read as f64;
            statistic += (block[class] as f64 - expected).powi(2) / expected;
        }
    }
    let freedom = ((blocks.len() - 1) * (common.len() - 1)) as f64;
    ChiSquared::new(freedom).map_or(1.0, |distribution| distribution.sf(statistic))
}

/// Where the first blocks hold fewer entries that gc may kill than the rest do, beyond chance: the most significant way to
/// divide the dump in two.
fn poorest_prefix(blocks: &[Block], block_entries: u64) -> Option<Homogeneity> {
    let killable = |part: &[Block]| part.iter().map(|block| block[1] + block[2]).sum::<u64>() as f64;
    let read = |part: &[Block]| part.len() as f64 * block_entries as f64;
    let (z, first) = (1..blocks.len())
        .map(|split| {
            let (first, rest) = blocks.split_at(split);
            let overall = killable(blocks) / read(blocks);
            let error = (overall * (1.0 - overall) * (1.0 / read(first) + 1.0 / read(rest))).sqrt();
            ((killable(first) / read(first) - killable(rest) / read(rest)) / error, split)
        })
        .min_by(|(a, _), (b, _)| a.total_cmp(b))?;
    // Bonferroni: as many ways to divide as were tried.
    let p_value = Normal::standard().cdf(z) * (blocks.len() - 1) as f64;
    let (first, rest) = blocks.split_at(first);
    (p_value < SIGNIFICANT).then(|| Homogeneity::GcPressure {
        p_value,
        first_read: first.len() as u64 * block_entries,
        share_in_first: killable(first) / read(first),
        share_in_rest: killable(rest) / read(rest),
    })
}
