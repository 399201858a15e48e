//! Other samples of peers that might have been seen.

use plimsoll_draw::Draw;

use crate::bound::{Band, Share, high_quantile, low_quantile};
use crate::curve::Curve;
use crate::merged::Merged;
use crate::observed::Observed;
use crate::survival::Survival;

/// How peers are drawn again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resampling {
    /// How many samples; 200 do for bounds at 95 %.
    pub samples: u32,
    /// What they follow from.
    pub seed: u64,
}

/// A curve, and the curves of other samples of as many peers, drawn from those that were observed (Efron's bootstrap).
/// Peers are drawn, not flows or gaps: those of one peer are alike.
#[derive(Clone, Debug)]
pub struct Resampled<'a> {
    observed: &'a Observed,
    survival: Survival,
    samples: Vec<Sample>,
}

/// A sample of peers.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    seed: u64,
    survival: Survival,
}

impl Sample {
    pub(crate) const fn curve(&self) -> &Curve {
        self.survival.curve()
    }

    /// How often each of this many peers is in the sample.
    pub(crate) fn times(&self, peers: usize) -> Vec<u32> {
        times(self.seed, peers)
    }
}

/// Fits the curve, and one to each other sample of peers.
pub fn resampled(observed: &Observed, resampling: Resampling) -> Resampled<'_> {
    let merged = Merged::of(observed);
    let survival = Survival::fitted(observed.ages(), &merged.counts(&vec![1; observed.peers()]));
    let mut seeds = Draw::new(resampling.seed);
    let samples = (0..resampling.samples).map(|_| {
        let seed = seeds.next();
        let counts = merged.counts(&times(seed, observed.peers()));
        Sample { seed, survival: survival.refitted(&counts) }
    });
    let samples = samples.collect();
    Resampled { observed, survival, samples }
}

fn times(seed: u64, peers: usize) -> Vec<u32> {
    let mut draw = Draw::new(seed);
    let mut times = vec![0; peers];
    let bound = u32::try_from(peers).unwrap_or(u32::MAX);
    for _ in 0..peers {
        if let Some(times) = times.get_mut(draw.below(bound) as usize) {
            *times += 1;
        }
    }
    times
}

impl Resampled<'_> {
    /// The curve of what was observed.
    pub const fn survival(&self) -> &Survival {
        &self.survival
    }

    /// What was observed.
    pub const fn observed(&self) -> &Observed {
        self.observed
    }

    pub(crate) fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Samples whose fit did not converge.
    pub fn not_converged(&self) -> usize {
        self.samples.iter().filter(|sample| !sample.survival.has_converged()).count()
    }

    /// [`Survival::at`] with bounds; `None` where it is not known.
    pub fn band(&self, age_secs: f64, coverage: Share) -> Option<Band> {
        self.band_given(age_secs, 0.0, coverage)
    }

    /// [`Survival::given`] with bounds; `None` where it is not known. A sample in which it is not known counts as the worst
    /// that it may be.
    pub fn band_given(&self, age_secs: f64, from_secs: f64, coverage: Share) -> Option<Band> {
        let value = self.survival.given(age_secs, from_secs)?;
        let bounds = self.samples.iter().map(|sample| sample.survival.bounds(age_secs, from_secs));
        let (lows, highs) = bounds.unzip();
        Some(percentiles(value, lows, highs, coverage))
    }
}

/// The bounds that leave out as many samples above as below.
pub(crate) fn percentiles(value: f64, mut lows: Vec<f64>, mut highs: Vec<f64>, coverage: Share) -> Band {
    lows.sort_by(f64::total_cmp);
    highs.sort_by(f64::total_cmp);
    let tail = (1.0 - coverage.get()) / 2.0;
    Band {
        low: low_quantile(&lows, tail).unwrap_or(0.0).min(value),
        value,
        high: high_quantile(&highs, tail).unwrap_or(1.0).max(value),
    }
}
