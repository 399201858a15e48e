//! When a flow was silent while it stayed in one state.

use std::time::Duration;

/// Which timeout an entry was armed with before a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Armed {
    /// Its state's own.
    Own,
    /// The cap for data that nobody has acknowledged.
    Unacknowledged,
}

/// A silence, counted from when the flow came to the state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    after_ms: u32,
    /// [`FOR_GOOD`] where no packet is known to have ended it.
    lasts_ms: u32,
    pub(super) armed: Armed,
}

const FOR_GOOD: u32 = u32::MAX;

impl Silence {
    pub(super) fn new(after: Duration, lasts: Option<Duration>, armed: Armed) -> Self {
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(FOR_GOOD - 1).min(FOR_GOOD - 1);
        Self { after_ms: ms(after), lasts_ms: lasts.map_or(FOR_GOOD, ms), armed }
    }
}

/// The silences of a stay in a state: a flow's own, or another's like it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern {
    /// Which of all.
    pub(super) first: u32,
    pub(super) count: u32,
    /// What times are multiplied by.
    pub(super) factor: f32,
    /// A stay that goes on for longer than this begins the pattern anew; [`Duration::MAX`] for never.
    pub(super) repeats: Duration,
    /// No silence of it is longer: whose it is lent to was there, under the timeouts in force.
    pub(super) longest: Duration,
}

impl Pattern {
    /// Its silences.
    pub(super) fn of<'a>(&self, silences: &'a [Silence]) -> &'a [Silence] {
        let first = self.first as usize;
        silences.get(first..first.saturating_add(self.count as usize)).unwrap_or_default()
    }

    /// When one of its silences begins.
    pub(super) fn after(&self, silence: &Silence) -> Duration {
        Duration::from_millis(silence.after_ms.into()).mul_f32(self.factor)
    }

    /// How long one lasts; `None` where it is until the flow's state changes.
    pub(super) fn lasts(&self, silence: &Silence) -> Option<Duration> {
        if silence.lasts_ms == FOR_GOOD {
            return (self.longest != Duration::MAX).then_some(self.longest);
        }
        Some(Duration::from_millis(silence.lasts_ms.into()).mul_f32(self.factor).min(self.longest))
    }
}
