//! Many measurements of one thing.

use std::fmt;
use std::time::Duration;

/// How many a second, round by round.
#[derive(Clone, Default)]
pub(crate) struct Rates(Vec<f64>);

impl Rates {
    pub(crate) fn note(&mut self, count: u64, took: Duration) {
        self.0.push(count as f64 / took.as_secs_f64());
    }

    /// The best round: the one that others on the machine disturbed least.
    pub(crate) fn best(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }

    /// The worst round.
    pub(crate) fn worst(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// As a multiple of another thing, by the best rounds of both.
    pub(crate) fn over(&self, other: &Self) -> f64 {
        self.best() / other.best()
    }
}

/// In millions.
impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.2} ({:.2})", self.best() / 1e6, self.worst() / 1e6))
    }
}
