//! What looks tell of idle gaps, and of the flows that have them.

use thiserror::Error;

/// An idle gap of a flow, as far as looks tell its length. All ages are seconds since the flow's last packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gap {
    seen_from_secs: f64,
    after_secs: f64,
    until_secs: Option<f64>,
    weight: Weight,
}

/// Why this is no gap.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum GapError {
    /// An age is negative, infinite or not a number.
    #[error("{0} is no age in seconds")]
    NoAge(f64),
    /// It was seen to last to an age before that at which it was first seen.
    #[error("first seen at an age of {seen_from_secs} s, but last at {after_secs} s")]
    SeenBackwards {
        /// Age at the first look.
        seen_from_secs: f64,
        /// Age at the last look.
        after_secs: f64,
    },
    /// It ended no later than an age at which it still lasted.
    #[error("still there at {after_secs} s, but ended by {until_secs} s")]
    EndsBackwards {
        /// Age at the last look.
        after_secs: f64,
        /// Age by which it had ended.
        until_secs: f64,
    },
    /// A weight that is no positive number.
    #[error("{0} is no weight")]
    NoWeight(f64),
}

impl Gap {
    /// A gap that a packet ended: longer than `after_secs`, at most `until_secs`. It would not be known had it ended
    /// before the age of `seen_from_secs`, at which it was first looked at. `after_secs` is its age at the last look at
    /// which it lasted, `until_secs` what its age would have been at the next look.
    pub fn ended(seen_from_secs: f64, after_secs: f64, until_secs: f64) -> Result<Self, GapError> {
        let gap = Self::lost(seen_from_secs, after_secs)?;
        let until_secs = age(until_secs)?;
        if until_secs <= after_secs {
            return Err(GapError::EndsBackwards { after_secs, until_secs });
        }
        Ok(Self { until_secs: Some(until_secs), ..gap })
    }

    /// A gap that still lasted at `after_secs`, when sight of it was lost or its entry expired (then the timeout in
    /// force).
    pub fn lost(seen_from_secs: f64, after_secs: f64) -> Result<Self, GapError> {
        let (seen_from_secs, after_secs) = (age(seen_from_secs)?, age(after_secs)?);
        if after_secs < seen_from_secs {
            return Err(GapError::SeenBackwards { seen_from_secs, after_secs });
        }
        Ok(Self { seen_from_secs, after_secs, until_secs: None, weight: Weight::ONE })
    }

    /// The same gap as often as `weight` says.
    #[must_use]
    pub const fn times(self, weight: Weight) -> Self {
        Self { weight, ..self }
    }

    /// Age at the first look.
    pub const fn seen_from_secs(&self) -> f64 {
        self.seen_from_secs
    }

    /// The longest age at which it was known to last.
    pub const fn after_secs(&self) -> f64 {
        self.after_secs
    }

    /// The age by which a packet had ended it; `None` where its end was not seen.
    pub const fn until_secs(&self) -> Option<f64> {
        self.until_secs
    }

    /// How often it stands for a gap.
    pub const fn weight(&self) -> Weight {
        self.weight
    }
}

fn age(secs: f64) -> Result<f64, GapError> {
    if secs.is_finite() && secs >= 0.0 { Ok(secs) } else { Err(GapError::NoAge(secs)) }
}

/// How often an observation counts: a weight of 2 is the same as the observation made twice.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Weight(f64);

impl Weight {
    /// Once.
    pub const ONE: Self = Self(1.0);

    /// A positive number.
    pub fn new(weight: f64) -> Result<Self, GapError> {
        if weight.is_finite() && weight > 0.0 { Ok(Self(weight)) } else { Err(GapError::NoWeight(weight)) }
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// A flow with those of its gaps that were seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// Whose flow it is. Flows of one peer may be alike; peers are taken to be independent of each other.
    pub peer: u64,
    /// How many flows it stands for.
    pub weight: Weight,
    /// Its gaps.
    pub gaps: Vec<Gap>,
}

impl Flow {
    /// A flow that stands for itself.
    pub const fn new(peer: u64, gaps: Vec<Gap>) -> Self {
        Self { peer, weight: Weight::ONE, gaps }
    }
}
