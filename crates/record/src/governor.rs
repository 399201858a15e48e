//! How much of what happens is followed, so that recording stays cheap and bounded. Pure.

use std::time::Duration;

use plimsoll_ctnetlink::SampleShare;

/// A share is doubled only after so long a calm: what comes in bursts is not to be sampled differently in each.
const CALM: Duration = Duration::from_secs(30);

/// What is borne.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Events a second.
    pub events_per_sec: u64,
    /// Flows that are followed at a time.
    pub followed: u64,
}

/// Decides on the share of all entries whose events are received.
#[derive(Debug)]
pub(crate) struct Governor {
    bounds: Bounds,
    share: SampleShare,
    calm_since: Option<Duration>,
}

/// What was seen within a second or so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) events_per_sec: f64,
    pub(crate) followed: usize,
    pub(crate) losses: u64,
}

impl Governor {
    pub(crate) const fn new(bounds: Bounds) -> Self {
        Self { bounds, share: SampleShare::ALL, calm_since: None }
    }

    pub(crate) const fn share(&self) -> SampleShare {
        self.share
    }

    /// Another share, if it should be another.
    pub(crate) fn judge(&mut self, now: Duration, load: Load) -> Option<SampleShare> {
        let most = self.bounds.events_per_sec as f64;
        let followed = load.followed as f64;
        let most_followed = self.bounds.followed as f64;
        let before = self.share;
        if load.losses > 0 || load.events_per_sec > most || followed > most_followed {
            self.calm_since = None;
            self.share = self.share.half();
        } else if load.events_per_sec < most / 4.0 && followed < most_followed / 4.0 && before != SampleShare::ALL {
            let calm_since = *self.calm_since.get_or_insert(now);
            if now.saturating_sub(calm_since) >= CALM {
                self.calm_since = None;
                self.share = self.share.double();
            }
        } else {
            self.calm_since = None;
        }
        (self.share != before).then_some(self.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Load = Load { events_per_sec: 10.0, followed: 10, losses: 0 };

    fn governor() -> Governor {
        Governor::new(Bounds { events_per_sec: 1000, followed: 500 })
    }

    #[test]
    fn what_is_too_much_halves_the_share_at_once() {
        let second = Duration::from_secs(1);
        for load in
            [Load { events_per_sec: 1001.0, ..QUIET }, Load { followed: 501, ..QUIET }, Load { losses: 1, ..QUIET }]
        {
            assert_eq!(governor().judge(second, load).map(SampleShare::one_in), Some(2), "{load:?}");
        }
        assert_eq!(governor().judge(second, QUIET), None);
    }

    #[test]
    fn a_long_calm_doubles_it_again_and_a_short_one_does_not() {
        let mut governor = governor();
        governor.judge(Duration::ZERO, Load { losses: 1, ..QUIET });
        let changes: Vec<_> = (1..=120_u64)
            .filter_map(|second| {
                // Not calm, though not too much, in the 20th second.
                let load = if second == 20 { Load { events_per_sec: 600.0, ..QUIET } } else { QUIET };
                Some((second, governor.judge(Duration::from_secs(second), load)?.one_in()))
            })
            .collect();
        assert_eq!(changes, [(51, 1)]);
    }
}
