//! The kernel's clocks that nobody can set.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC`: time since boot without the time spent suspended.
pub fn monotonic_now() -> Duration {
    now(ClockId::Monotonic)
}

/// `CLOCK_BOOTTIME`: time since boot, that spent suspended among it. Deadlines are kept by it: nobody can set it, and it
/// does not stand still while a laptop sleeps.
pub fn boottime_now() -> Duration {
    now(ClockId::Boottime)
}

/// `CLOCK_THREAD_CPUTIME_ID`: the time that the calling thread has had a processor.
pub fn thread_processor_time() -> Duration {
    now(ClockId::ThreadCPUTime)
}

fn now(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    // The kernel gives neither negative seconds nor a second of nanoseconds here.
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    #[test]
    fn time_passes() {
        let before = super::monotonic_now();
        assert!(!before.is_zero() && super::monotonic_now() >= before);
        assert!(super::boottime_now() >= before, "suspended time is only added");
        let before = super::thread_processor_time();
        while super::thread_processor_time() == before {}
        assert!(super::thread_processor_time() > before);
    }
}
