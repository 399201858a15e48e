//! Between which moments something was, or will be.

use std::time::Duration;

use plimsoll_recording::UnixMicros;

/// What the kernel's clock and ours may differ by: it counts ticks, of at most 10 ms (HZ = 100).
const TICK: Duration = Duration::from_millis(10);

/// Two moments, and something between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: UnixMicros,
    pub(crate) to: UnixMicros,
}

impl Window {
    /// When an entry is going to expire that had so many whole seconds left, rounded down, when it was read.
    pub(crate) fn of_expiry(remaining_secs: u32, read: Self) -> Self {
        let remaining = Duration::from_secs(remaining_secs.into());
        Self {
            from: read.from.plus(remaining).minus(TICK),
            to: read.to.plus(remaining + Duration::from_secs(1) + TICK),
        }
    }

    /// What lies in both; `None` where nothing does.
    pub(crate) fn and(self, other: Self) -> Option<Self> {
        let both = Self { from: self.from.max(other.from), to: self.to.min(other.to) };
        (both.from <= both.to).then_some(both)
    }

    /// Both, and what lies between.
    pub(crate) fn hull(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }

    /// The same, so much earlier.
    pub(crate) fn minus(self, earlier: Duration) -> Self {
        Self { from: self.from.minus(earlier), to: self.to.minus(earlier) }
    }

    pub(crate) fn width(self) -> Duration {
        self.to.since(self.from)
    }

    pub(crate) fn middle(self) -> UnixMicros {
        self.from.plus(self.width() / 2)
    }
}
