//! Whether this process and the kernel mean the same by a time.

use crate::error::Error;

/// A program reads the kernel's own `CLOCK_BOOTTIME`, a process in a time namespace one that is shifted
/// (`kernel/time/namespace.c`), so it would be told a wrong end. Where the file is missing there are no such namespaces.
pub(crate) fn ensure_kernels_own() -> Result<(), Error> {
    match std::fs::read_to_string("/proc/self/timens_offsets") {
        Ok(offsets) if is_shifted(&offsets) => Err(Error::TimeNamespace),
        _ => Ok(()),
    }
}

/// Each line is a clock, seconds and nanoseconds.
fn is_shifted(offsets: &str) -> bool {
    let boottime = offsets.lines().find_map(|line| line.strip_prefix("boottime"));
    boottime.is_some_and(|offset| offset.split_whitespace().any(|number| number != "0"))
}

#[cfg(test)]
mod tests {
    use super::is_shifted;

    #[test]
    fn only_the_clock_that_runs_on_while_suspended_matters() {
        assert!(!is_shifted("monotonic           0         0\nboottime            0         0\n"));
        assert!(!is_shifted("monotonic          70         0\nboottime            0         0\n"));
        assert!(is_shifted("monotonic           0         0\nboottime      8640000         0\n"));
        assert!(is_shifted("monotonic           0         0\nboottime           -1 500000000\n"));
        assert!(!is_shifted(""));
    }
}
