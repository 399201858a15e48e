//! When flows begin.

use std::time::Duration;

/// When flows of one kind begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrivals {
    /// Independently of each other, at a mean rate: a Poisson process.
    Random {
        /// Mean rate at size 1.
        per_sec: f64,
        /// Begin.
        from: Duration,
        /// End.
        until: Duration,
    },
    /// A number, evenly spread; all at once where begin and end are one.
    Spread {
        /// How many at size 1.
        count: u32,
        /// Begin.
        from: Duration,
        /// End.
        until: Duration,
    },
}
