//! Whose packets were dropped.

use std::net::IpAddr;
use std::time::Duration;

/// A source whose packets were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The source.
    pub source: IpAddr,
    /// How many, since it was noted.
    pub packets: u64,
    /// When the last one came, since boot (`CLOCK_BOOTTIME`).
    pub last: Duration,
}
