//! A scenario for a longer or shorter time than it was written for.

use std::time::Duration;

use crate::{Arrivals, Scenario, Size};

impl Scenario {
    /// The scenario, ending at another time. What comes until its end comes until the new one, at the same rate; what ends
    /// before ends when it did.
    #[must_use]
    pub fn lasting(mut self, lasts: Duration) -> Self {
        let written = self.play.lasts;
        for traffic in &mut self.traffic {
            traffic.arrivals = traffic.arrivals.within(written, lasts);
        }
        self.play.check_at = self.play.check_at.min(lasts);
        self.play.lasts = lasts;
        self
    }

    /// How many flows are to come, about: arrivals are drawn, and a flow may open others.
    pub fn flows_about(&self, size: Size) -> f64 {
        let of = |arrivals: Arrivals| match arrivals {
            Arrivals::Random { per_sec, from, until } => per_sec * until.saturating_sub(from).as_secs_f64(),
            Arrivals::Spread { count, .. } => count.into(),
        };
        self.traffic.iter().map(|traffic| of(traffic.arrivals) * size.factor()).sum()
    }
}

impl Arrivals {
    fn within(self, written: Duration, lasts: Duration) -> Self {
        let end = |until: Duration| if until == written { lasts } else { until.min(lasts) };
        match self {
            Self::Random { per_sec, from, until } => {
                Self::Random { per_sec, from: from.min(lasts), until: end(until).max(from.min(lasts)) }
            }
            // All at once.
            Self::Spread { count, from, until } if from == until => Self::Spread {
                count: if from < lasts { count } else { 0 },
                from: from.min(lasts),
                until: from.min(lasts),
            },
            Self::Spread { count, from, until } => {
                let (from, now_until) = (from.min(lasts), end(until).max(from.min(lasts)));
                let share = now_until.saturating_sub(from).div_duration_f64(until.saturating_sub(from));
                Self::Spread { count: scaled(count, share), from, until: now_until }
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn scaled(count: u32, share: f64) -> u32 {
    (f64::from(count) * share).round() as u32
}
