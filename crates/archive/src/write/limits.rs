//! How much a recording may take.

use std::time::Duration;

/// How large and how long segments are, and how much all of them may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A segment is closed when its files have so many bytes together. A row group of each table may come on top: some
    /// megabytes. No more than a quarter of `total_bytes` is used.
    pub segment_bytes: u64,
    /// A segment is closed when so much time has passed since it began.
    pub segment_lasts: Duration,
    /// When all segments have more bytes than this, the oldest closed ones are removed. What is written between two
    /// looks, a row group, may come on top.
    pub total_bytes: u64,
}

impl Default for Limits {
    /// 256 MiB, an hour, 4 GiB.
    fn default() -> Self {
        Self { segment_bytes: 256 << 20, segment_lasts: Duration::from_hours(1), total_bytes: 4 << 30 }
    }
}
