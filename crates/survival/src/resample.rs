//! Other samples of peers that might have been seen.

use plimsoll_draw::Draw;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::bound::{Band, Share, high_quantile, low_quantile, share_lower, share_upper};
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
    /// How many gaps one gap is worth, were all gaps of a peer alike.
    worth: f64,
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
    let gaps = merged.gaps();
    let worth = kish(gaps) / gaps.iter().sum::<f64>();
    let worth = if worth.is_finite() { worth } else { 0.0 };
    Resampled { observed, survival, samples, worth }
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

    /// [`Survival::given`] with bounds; `None` where it is not known. A sample in which it is not known counts as the
    /// worst that it may be. Where few peers have gaps that end, or that do not, other samples hardly differ from the
    /// one that was observed; there the bounds are not within those of Clopper and Pearson, for peers whose gaps are
    /// wholly alike.
    pub fn band_given(&self, age_secs: f64, from_secs: f64, coverage: Share) -> Option<Band> {
        let value = self.survival.given(age_secs, from_secs)?;
        let bounds = self.samples.iter().map(|sample| sample.survival.bounds(age_secs, from_secs));
        let (lows, highs) = bounds.unzip();
        let band = percentiles(value, lows, highs, coverage);
        let of = self.survival.fewest(age_secs, from_secs) * self.worth;
        // No age lies between an age and itself.
        Some(if of.is_finite() { band.widened(of, coverage) } else { band })
    }
}

/// A share below this is none.
const NONE: f64 = 1e-9;

impl Band {
    /// Where there are none in some samples, few peers have any (with k of them a sample has none with a probability of
    /// e⁻ᵏ). Samples then tell too little of what might have been; but not more than `of` peers that are wholly alike
    /// do.
    pub(crate) fn widened(self, of: f64, coverage: Share) -> Self {
        let one_sided = f64::midpoint(1.0, coverage.get());
        let high = if self.low <= NONE { share_upper(self.value * of, of, one_sided) } else { self.high };
        let low = if self.high >= 1.0 - NONE { share_lower(self.value * of, of, one_sided) } else { self.low };
        Self { low: self.low.min(low), high: self.high.max(high), ..self }
    }
}

/// How many peers with one case each would tell as much, if the cases of a peer are wholly alike (Kish 1965).
pub(crate) fn kish(cases: &[f64]) -> f64 {
    let squares: f64 = cases.iter().map(|cases| cases * cases).sum();
    if squares > 0.0 { cases.iter().sum::<f64>().powi(2) / squares } else { 0.0 }
}

/// The bounds that leave out as many samples above as below; or, where those are wider, the bounds of a share whose
/// logarithm of odds is normal with the spread of the samples. Of a share of few cases the first are too low: where
/// fewer cases were observed than there might have been, samples spread less too.
pub(crate) fn percentiles(value: f64, mut lows: Vec<f64>, mut highs: Vec<f64>, coverage: Share) -> Band {
    lows.sort_by(f64::total_cmp);
    highs.sort_by(f64::total_cmp);
    let tail = (1.0 - coverage.get()) / 2.0;
    let low = low_quantile(&lows, tail).unwrap_or(0.0).min(value);
    let high = high_quantile(&highs, tail).unwrap_or(1.0).max(value);
    let wide = Normal::standard().inverse_cdf(1.0 - tail) * spread(&lows).max(spread(&highs));
    let odds = value / (1.0 - value);
    if !(odds > 0.0 && odds.is_finite()) {
        return Band { low, value, high };
    }
    let factor = (wide / (value * (1.0 - value))).exp();
    let share = |odds: f64| if odds.is_finite() { odds / (1.0 + odds) } else { 1.0 };
    Band { low: low.min(share(odds / factor)), value, high: high.max(share(odds * factor)) }
}

/// Standard deviation.
fn spread(samples: &[f64]) -> f64 {
    let number = samples.len() as f64;
    if number < 2.0 {
        return 0.0;
    }
    let mean = samples.iter().sum::<f64>() / number;
    (samples.iter().map(|sample| (sample - mean).powi(2)).sum::<f64>() / (number - 1.0)).sqrt()
}
