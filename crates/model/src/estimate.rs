//! Numbers with their error.

use serde::{Deserialize, Serialize};

/// A value known to lie, at 95 % confidence or with certainty where `low == high`, between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower bound.
    pub low: f64,
    /// The estimate itself.
    pub value: f64,
    /// Upper bound.
    pub high: f64,
}

impl Interval {
    /// A value without error.
    pub const fn exact(value: f64) -> Self {
        Self { low: value, value, high: value }
    }

    /// Half of the distance between the bounds.
    pub fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// Whether `truth` lies within the bounds.
    pub fn covers(&self, truth: f64) -> bool {
        self.low <= truth && truth <= self.high
    }
}

/// A whole number known to lie between two bounds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Lower bound.
    pub low: u64,
    /// Upper bound.
    pub high: u64,
}

impl Range {
    /// A number without error.
    pub const fn exact(value: u64) -> Self {
        Self { low: value, high: value }
    }

    /// Whether both bounds are one.
    pub const fn is_exact(&self) -> bool {
        self.low == self.high
    }
}
