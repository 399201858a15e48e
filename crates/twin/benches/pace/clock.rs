//! The time that the processor spends on this thread: what others do on the machine is not counted.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// When something began, by that clock.
#[derive(Clone, Copy)]
pub(crate) struct Begun(Duration);

impl Begun {
    pub(crate) fn now() -> Self {
        Self(spent())
    }

    pub(crate) fn elapsed(self) -> Duration {
        spent().saturating_sub(self.0)
    }
}

fn spent() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("no negative time")
}
