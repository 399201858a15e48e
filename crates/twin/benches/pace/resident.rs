//! The memory that the process has.

/// What the kernel counts as resident (`/proc/self/statm`), in bytes. What a table takes is what this gains: with what the
/// allocator adds, and without what was reserved and never touched.
pub(crate) fn bytes() -> u64 {
    const PAGE_BYTES: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * PAGE_BYTES
}
