//! Turnbull's self-consistent estimate, in hazards.
//!
//! Given that a gap outlasts the age at which it was first seen, the chance that it ends in a cell is the hazard of
//! that cell times ∏(1 - hazard) over the cells between. So the most likely hazards, were all lengths known, are those
//! that ended in a cell by those at risk in it; where lengths are known between bounds only, both are expected numbers
//! under the hazards so far. Repeated, that is the EM algorithm of Turnbull (1976); with λ = -log(1 - hazard) the
//! likelihood is concave, so there is one maximum. Steps are lengthened as SQUAREM does (Varadhan and Roland 2008), and
//! taken back where the likelihood falls.

use crate::curve::Curve;

/// When a fit is good enough: a round gained less log-likelihood (a standard error is a difference of one half), and
/// moved no share by more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    gain: f64,
    change: f64,
}

impl Tolerance {
    /// For the curve that is told.
    pub(crate) const FINE: Self = Self { gain: 5e-5, change: 2e-5 };
    /// For the curves of other samples, which differ by far more.
    pub(crate) const COARSE: Self = Self { gain: 1e-3, change: 1e-4 };
}

/// Rounds of three steps after which the fit is given up.
const MOST_ROUNDS: u32 = 2_000;
/// Rounds after which [`Fit::early`] is taken.
const EARLY_ROUNDS: u32 = 3;
/// A lengthened step leaves no hazard below this, from where it could not come back.
const LEAST_HAZARD: f64 = 1e-12;

/// Observations as they count in the likelihood.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Gaps that ended in cells `after..until`, with their weight.
    pub(crate) ended: Vec<Ended>,
    /// Weight of the gaps that were seen to outlast a cell.
    pub(crate) outlasted: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) after: usize,
    pub(crate) until: usize,
    pub(crate) weight: f64,
}

/// Hazards that fit best.
#[derive(Clone, Debug)]
pub(crate) struct Fit {
    pub(crate) hazards: Vec<f64>,
    /// What they were after few rounds: near, but not yet 0 where other samples may have some. From there they are
    /// found sooner than from the hazards themselves.
    pub(crate) early: Vec<f64>,
    pub(crate) covered: Vec<bool>,
    /// Expected number at risk in a cell.
    pub(crate) at_risk: Vec<f64>,
    pub(crate) curve: Curve,
    pub(crate) rounds: u32,
    pub(crate) converged: bool,
}

/// The most likely hazards, sought from `start`.
pub(crate) fn fit(counts: &Counts, start: Vec<f64>, tolerance: Tolerance) -> Fit {
    let mut search = Search::new(counts);
    let mut hazards = start;
    let mut rounds = 0;
    let mut converged = false;
    let mut early = hazards.clone();
    while rounds < MOST_ROUNDS && !converged {
        rounds += 1;
        let (next, gain) = search.round(&hazards);
        hazards = next;
        if rounds == EARLY_ROUNDS {
            early.clone_from(&hazards);
        }
        converged = gain < tolerance.gain && search.change < tolerance.change;
    }
    search.step(&hazards);
    let curve = Curve::of(&hazards, &search.covered);
    Fit { hazards, early, covered: search.covered, at_risk: search.at_risk, curve, rounds, converged }
}

struct Search<'a> {
    counts: &'a Counts,
    covered: Vec<bool>,
    curve: Curve,
    /// Sum over gaps that may end in a cell of weight / (share that ends where the gap does).
    rate: Vec<f64>,
    /// The same times the share that outlasts the gap's span.
    beyond: Vec<f64>,
    at_risk: Vec<f64>,
    next: Vec<f64>,
    /// Share of what outlasts a gap's `after` that ends where the gap does.
    shares: Vec<f64>,
    /// Log-likelihood in the last round.
    likelihood: f64,
    /// How far survival moved in the last round.
    change: f64,
}

impl<'a> Search<'a> {
    fn new(counts: &'a Counts) -> Self {
        let cells = counts.outlasted.len();
        let total: f64 = counts.ended.iter().map(|gap| gap.weight).sum::<f64>()
            + counts.outlasted.iter().copied().fold(0.0, f64::max);
        let mut may_end = vec![0_i64; cells + 1];
        for gap in &counts.ended {
            may_end[gap.after] += 1;
            may_end[gap.until] -= 1;
        }
        let mut spans = 0;
        let covered = may_end.iter().zip(&counts.outlasted).map(|(change, outlasted)| {
            spans += change;
            // Sums and differences of weights leave a rounding error where nothing is.
            spans > 0 || *outlasted > 1e-11 * total
        });
        Self {
            counts,
            covered: covered.collect(),
            curve: Curve::default(),
            rate: vec![0.0; cells + 1],
            beyond: vec![0.0; cells + 1],
            at_risk: vec![0.0; cells],
            next: vec![0.0; cells],
            shares: vec![0.0; counts.ended.len()],
            likelihood: f64::NEG_INFINITY,
            change: f64::INFINITY,
        }
    }

    /// Two steps, a lengthened one, and a step from there. Returns the hazards and the gain in log-likelihood.
    fn round(&mut self, first: &[f64]) -> (Vec<f64>, f64) {
        self.step(first);
        let survival_before = self.curve.right().to_vec();
        let second = self.next.clone();
        self.step(&second);
        let third = self.next.clone();
        let plain = self.log_likelihood(&second);
        let further = lengthened(first, &second, &third);
        self.step(&further);
        let lengthened = self.log_likelihood(&further);
        let better = lengthened.is_finite() && lengthened >= plain;
        let reached = if better { self.next.clone() } else { third };
        let likelihood = if better { lengthened } else { plain };
        let gain = likelihood - std::mem::replace(&mut self.likelihood, likelihood);
        if !better {
            self.step(&reached);
        }
        let moved = self.curve.right().iter().zip(&survival_before).map(|(now, then)| (now - then).abs());
        self.change = moved.fold(0.0, f64::max);
        (reached, gain)
    }

    /// One step of EM from `hazards`, to `self.next`.
    fn step(&mut self, hazards: &[f64]) {
        self.curve.set(hazards, &self.covered);
        self.rate.fill(0.0);
        self.beyond.fill(0.0);
        let (left, right) = (self.curve.left(), self.curve.right());
        for (gap, share) in self.counts.ended.iter().zip(&mut self.shares) {
            let stretch = self.curve.end(gap.after);
            let until = stretch.min(gap.until);
            let outlasts = right[until - 1];
            let ends = left[gap.after] - outlasts;
            if ends <= 0.0 {
                *share = 0.0;
                continue;
            }
            *share = ends / left[gap.after];
            let rate = gap.weight / ends;
            self.rate[gap.after] += rate;
            self.beyond[gap.after] += rate * outlasts;
            if until < stretch {
                self.rate[until] -= rate;
                self.beyond[until] -= rate * outlasts;
            }
        }
        let (mut rate, mut beyond) = (0.0, 0.0);
        for (cell, hazard) in hazards.iter().enumerate() {
            if cell > 0 && self.curve.end(cell - 1) <= cell {
                // No span reaches over the end of a stretch.
                (rate, beyond) = (0.0, 0.0);
            }
            rate += self.rate[cell];
            beyond += self.beyond[cell];
            let at_risk = self.counts.outlasted[cell] + (rate * left[cell] - beyond).max(0.0);
            let ended = (rate * (left[cell] - right[cell])).max(0.0);
            self.at_risk[cell] = at_risk;
            self.next[cell] = if self.covered[cell] && at_risk > 0.0 { (ended / at_risk).min(1.0) } else { *hazard };
        }
    }

    /// Of the hazards from which the last step was made.
    fn log_likelihood(&self, hazards: &[f64]) -> f64 {
        let mut sum = 0.0;
        // Most weights are 1 in a small sample, and a logarithm takes longer than all else.
        let mut product = 1.0;
        for (gap, share) in self.counts.ended.iter().zip(&self.shares) {
            if gap.weight.total_cmp(&1.0).is_eq() && *share > 1e-150 {
                product *= share;
                if product < 1e-150 {
                    sum += f64::ln(product);
                    product = 1.0;
                }
            } else {
                sum += gap.weight * share.ln();
            }
        }
        let outlasted = self.counts.outlasted.iter().zip(hazards).zip(&self.covered);
        let outlasted = outlasted.filter(|((outlasted, _), covered)| **covered && **outlasted > 0.0);
        sum + f64::ln(product) + outlasted.map(|((outlasted, hazard), _)| outlasted * (-hazard).ln_1p()).sum::<f64>()
    }
}

/// Where two steps lead, if those to come shrink as the second did against the first.
fn lengthened(first: &[f64], second: &[f64], third: &[f64]) -> Vec<f64> {
    let (mut moved, mut bent) = (0.0, 0.0);
    for ((first, second), third) in first.iter().zip(second).zip(third) {
        moved += (second - first).powi(2);
        bent += (third - 2.0 * second + first).powi(2);
    }
    let length = if bent > 0.0 { (moved / bent).sqrt().max(1.0) } else { 1.0 };
    let along = |first: f64, second: f64, third: f64| {
        let further = first + 2.0 * length * (second - first) + length.powi(2) * (third - 2.0 * second + first);
        // Beyond the bounds of a hazard the step was too long; a tenth of the way to them is not.
        if further <= 0.0 {
            (third * 0.1).max(LEAST_HAZARD.min(third))
        } else if further >= 1.0 {
            third
        } else {
            further
        }
    };
    first.iter().zip(second).zip(third).map(|((first, second), third)| along(*first, *second, *third)).collect()
}
