//! Bounds of a share that is estimated from a number of cases.

use serde::Serialize;
use statrs::distribution::{Beta, ContinuousCDF};
use thiserror::Error;

/// A share above 0 and below 1: a coverage, or a rate that is permitted.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
pub struct Share(f64);

/// A number that is no [`Share`].
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("{0} is not above 0 and below 1")]
pub struct ShareError(f64);

impl Share {
    /// 95 %.
    pub const NINETEEN_OF_TWENTY: Self = Self(0.95);

    /// A share above 0 and below 1.
    pub fn new(share: f64) -> Result<Self, ShareError> {
        if share > 0.0 && share < 1.0 { Ok(Self(share)) } else { Err(ShareError(share)) }
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// An estimate and its bounds at a stated coverage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Band {
    /// Lower bound.
    pub low: f64,
    /// The estimate.
    pub value: f64,
    /// Upper bound.
    pub high: f64,
}

impl Band {
    /// Whether `truth` lies within the bounds.
    pub fn covers(&self, truth: f64) -> bool {
        self.low <= truth && truth <= self.high
    }
}

/// How many flows of different peers, none of which is harmed, it takes to say that the rate of harm is at most this,
/// at 95 %: the smallest n with (1 - rate)ⁿ ≤ 0.05.
pub fn flows_without_harm_for(rate: Share) -> u64 {
    let flows = ((1.0 - Share::NINETEEN_OF_TWENTY.get()).ln() / (-rate.get()).ln_1p()).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive; too many saturates")]
    let flows = flows as u64;
    flows
}

/// The upper bound of Clopper and Pearson (1934), one-sided; numbers need not be whole.
pub(crate) fn share_upper(events: f64, of: f64, coverage: f64) -> f64 {
    if of <= 0.0 || events >= of {
        return 1.0;
    }
    if events <= 0.0 {
        return -((1.0 - coverage).ln() / of).exp_m1();
    }
    Beta::new(events + 1.0, of - events).map_or(1.0, |beta| beta.inverse_cdf(coverage))
}

/// The lower bound.
pub(crate) fn share_lower(events: f64, of: f64, coverage: f64) -> f64 {
    1.0 - share_upper(of - events, of, coverage)
}

/// Of values in order, the one that at most `share` of them are below, a little outward.
pub(crate) fn low_quantile(sorted: &[f64], share: f64) -> Option<f64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
    let place = ((sorted.len() + 1) as f64 * share).floor() as usize;
    sorted.get(place.saturating_sub(1)).copied()
}

/// Of values in order, the one that at most `share` of them are above, a little outward.
pub(crate) fn high_quantile(sorted: &[f64], share: f64) -> Option<f64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
    let place = ((sorted.len() + 1) as f64 * share).floor() as usize;
    sorted.get(sorted.len().checked_sub(place.max(1))?).copied()
}
