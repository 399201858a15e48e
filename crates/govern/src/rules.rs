//! What a governor goes by.

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll_model::Timeout;

/// The least that each timeout may become, in seconds. A timeout that has no floor is not governed. Who gives them answers for them:
/// a profile's or measured ones, with the guard rails of this host.
pub type Floors = BTreeMap<Timeout, u32>;

/// When a governor acts, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// The share of capacity from which timeouts shrink.
    pub start: f64,
    /// The share of capacity at which they would be 0, if they had no floors. It may lie above 1, where no table comes.
    pub end: f64,
    /// Timeouts are changed once in this time, at most.
    pub at_most_every: Duration,
    /// For so long the table must have asked for less before timeouts grow again; up to 16 times as long, where they shrank again
    /// soon after they had grown.
    pub restore_after: Duration,
    /// Entries are trimmed once in this time, at most, while the table is not fuller than [`Rules::start`]; then the sooner again the
    /// less room is left. Less often where trimming takes long.
    pub trim_every: Duration,
}

impl Default for Rules {
    /// pf's shares.
    fn default() -> Self {
        Self {
            start: 0.6,
            end: 1.2,
            at_most_every: Duration::from_secs(10),
            restore_after: Duration::from_mins(2),
            trim_every: Duration::from_secs(15),
        }
    }
}

/// Why rules make no sense.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BadRules {
    /// The shares.
    #[error(
        "timeouts cannot shrink between {start} and {end} of capacity: it takes 0 < start < end, and start below 1"
    )]
    Shares {
        /// [`Rules::start`].
        start: f64,
        /// [`Rules::end`].
        end: f64,
    },
}

impl Rules {
    /// The same, if they make sense.
    pub fn checked(self) -> Result<Self, BadRules> {
        let Self { start, end, .. } = self;
        let sensible = start > 0.0 && start < 1.0 && start < end && end.is_finite();
        if sensible { Ok(self) } else { Err(BadRules::Shares { start, end }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_that_make_no_sense_are_refused() {
        Rules::default().checked().unwrap();
        for (start, end) in [(0.0, 1.0), (0.6, 0.6), (0.7, 0.6), (1.0, 1.2), (f64::NAN, 1.0), (0.5, f64::INFINITY)] {
            let refused = Rules { start, end, ..Rules::default() }.checked().unwrap_err();
            assert!(refused.to_string().contains("start < end"), "{refused}");
        }
    }
}
