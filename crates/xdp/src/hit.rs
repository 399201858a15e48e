//! Whose packets were dropped.

use std::net::IpAddr;
use std::time::Duration;

/// A source whose packets were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The source.
    pub source: IpAddr,
    /// How many, since the last time that there was none for a minute.
    pub packets: u64,
    /// When the last one came, since boot (`CLOCK_BOOTTIME`).
    pub last: Duration,
}

/// Packets that were dropped when there was no room to note whose they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unnoted {
    /// How many, since the last time that there was none for a minute.
    pub packets: u64,
    /// When the last one came, since boot (`CLOCK_BOOTTIME`).
    pub last: Duration,
}
