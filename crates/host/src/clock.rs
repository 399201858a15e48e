//! The clock that the kernel's log is read against.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC`: time since boot without the time spent suspended.
pub fn monotonic_now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    // The kernel gives neither negative seconds nor a second of nanoseconds here.
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    #[test]
    fn time_passes() {
        let before = super::monotonic_now();
        assert!(!before.is_zero() && super::monotonic_now() >= before);
    }
}
