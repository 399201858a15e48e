//! How many gaps outlast an age.

use crate::ages::Ages;
use crate::curve::{Curve, Outlast};
use crate::merged::Merged;
use crate::observed::Observed;
use crate::turnbull::{Counts, Fit, Tolerance, fit};

/// The share of gaps that outlast an age: the most likely curve of any shape (Turnbull 1976), for gaps that are known
/// between two looks, and from an age at first look on.
///
/// On the ages of its grid the curve is what the data say; between two of them it is drawn straight. What is beyond the
/// ages at which gaps were seen is not known, and is not told.
#[derive(Clone, Debug)]
pub struct Survival {
    ages: Ages,
    fit: Fit,
}

/// The curve of the gaps that were observed.
pub fn survival(observed: &Observed) -> Survival {
    let merged = Merged::of(observed);
    let counts = merged.counts(&vec![1; observed.peers()]);
    Survival::fitted(observed.ages(), &counts)
}

impl Survival {
    pub(crate) fn fitted(ages: &Ages, counts: &Counts) -> Self {
        Self { ages: ages.clone(), fit: fit(counts, vague(ages, counts), Tolerance::FINE) }
    }

    /// The curve of other counts, sought from this one.
    pub(crate) fn refitted(&self, counts: &Counts) -> Self {
        Self { ages: self.ages.clone(), fit: fit(counts, self.fit.early.clone(), Tolerance::COARSE) }
    }

    /// Share of all gaps that outlast `age_secs`; `None` where that is not known.
    pub fn at(&self, age_secs: f64) -> Option<f64> {
        self.given(age_secs, 0.0)
    }

    /// Of the gaps that outlast `from_secs`, the share that outlasts `age_secs`; `None` where that is not known.
    pub fn given(&self, age_secs: f64, from_secs: f64) -> Option<f64> {
        self.outlast(age_secs, from_secs).filter(|outlast| outlast.reaches).map(|outlast| outlast.share)
    }

    /// What [`Survival::given`] is at least and at most. They differ where it is not known: then it is at most what it
    /// is at the last age at which it is known.
    pub fn bounds(&self, age_secs: f64, from_secs: f64) -> (f64, f64) {
        self.outlast(age_secs, from_secs)
            .map_or((0.0, 1.0), |outlast| (outlast.share - outlast.not_known, outlast.share))
    }

    fn outlast(&self, age_secs: f64, from_secs: f64) -> Option<Outlast> {
        if !(age_secs >= 0.0 && from_secs >= 0.0) {
            return None;
        }
        if age_secs <= from_secs {
            return Some(Outlast { share: 1.0, not_known: 0.0, reaches: true });
        }
        let (from, to) = (usize::from(self.ages.down(from_secs)), usize::from(self.ages.down(age_secs)));
        let edges = self.fit.curve.outlast(from, to);
        let within_from = self.within(from, from_secs)?;
        if !edges.reaches {
            let share = edges.share / within_from;
            return Some(Outlast { share, not_known: share, reaches: false });
        }
        if self.fit.curve.end(from) <= to && age_secs > self.ages.at(to) {
            return Some(Outlast { share: edges.share, not_known: edges.share, reaches: false });
        }
        match self.within(to, age_secs) {
            Some(within) => Some(Outlast { share: edges.share * within / within_from, ..edges }),
            None => Some(Outlast { share: edges.share, not_known: edges.share, reaches: false }),
        }
    }

    /// Of the gaps that outlast the lower edge of a cell, the share that outlasts an age within it.
    fn within(&self, cell: usize, age_secs: f64) -> Option<f64> {
        let (lower, upper) = (self.ages.at(cell), self.ages.at(cell + 1));
        if age_secs <= lower {
            return Some(1.0);
        }
        let covered = *self.fit.covered.get(cell)?;
        let hazard = *self.fit.hazards.get(cell)?;
        (covered && upper.is_finite()).then(|| 1.0 - hazard * (age_secs - lower) / (upper - lower))
    }

    /// The age up to which [`Survival::at`] is known.
    pub fn known_until_secs(&self) -> f64 {
        self.known_until_from_secs(0.0)
    }

    /// The age up to which [`Survival::given`] is known of gaps that outlast `from_secs`.
    pub fn known_until_from_secs(&self, from_secs: f64) -> f64 {
        let from = usize::from(self.ages.down(from_secs));
        let end = self.fit.curve.end(from);
        // Within the last cell, which has no upper end, nothing is known.
        let end = end.min(self.ages.cells() - 1);
        if end <= from { from_secs } else { self.ages.at(end) }
    }

    /// Number of gaps that are expected to have been at risk of being seen to end, at this age.
    pub fn at_risk(&self, age_secs: f64) -> f64 {
        let cell = usize::from(self.ages.down(age_secs));
        let covered = self.fit.covered.get(cell).copied().unwrap_or_default();
        self.fit.at_risk.get(cell).copied().filter(|_| covered).unwrap_or(0.0)
    }

    /// The fewest gaps that tell of an age between two, as a number of gaps that outlast the first: were 3 at risk at
    /// an age that a tenth outlast, these would be 30.
    pub(crate) fn fewest(&self, age_secs: f64, from_secs: f64) -> f64 {
        let (from, to) = (usize::from(self.ages.down(from_secs)), usize::from(self.ages.down(age_secs)));
        let cells = (from..=to).filter_map(|cell| {
            let share = self.fit.curve.outlast(from, cell).share;
            (share > 0.0 && self.ages.at(cell) < age_secs).then(|| self.at_risk(self.ages.at(cell)) / share)
        });
        cells.fold(f64::INFINITY, f64::min)
    }

    /// Whether the likelihood had stopped growing (by less than 5e-5 in a round, that moved no share by more than 2e-5)
    /// before the limit of 2000 rounds.
    pub const fn has_converged(&self) -> bool {
        self.fit.converged
    }

    /// Rounds that it took.
    pub const fn rounds(&self) -> u32 {
        self.fit.rounds
    }

    pub(crate) const fn ages(&self) -> &Ages {
        &self.ages
    }

    pub(crate) const fn curve(&self) -> &Curve {
        &self.fit.curve
    }
}

/// Somewhere to begin: something ends at every age, half by the age that is the mean of what was seen.
fn vague(ages: &Ages, counts: &Counts) -> Vec<f64> {
    let (weight, sum) = counts.ended.iter().fold((0.0, 0.0), |(weight, sum), gap| {
        let middle = ages.at(gap.after) / 2.0 + ages.at(gap.until).min(2.0 * ages.at(gap.after) + 1.0) / 2.0;
        (weight + gap.weight, sum + gap.weight * middle)
    });
    let half = if weight > 0.0 { (sum / weight).max(1.0) } else { 60.0 };
    let hazard = |cell: usize| {
        let (lower, upper) = (ages.at(cell), ages.at(cell + 1));
        if upper.is_finite() { (upper - lower) / (half + upper) } else { 1.0 }
    };
    (0..ages.cells()).map(hazard).collect()
}
