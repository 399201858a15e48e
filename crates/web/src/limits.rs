//! What is the most that a client gets.

use std::time::Duration;

/// Bounds on what clients may use. `Limits::default()` suits a daemon that one or two scrapers and a few browsers look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, of which one peer may hold half; more are answered with 503 at once.
    pub connections: usize,
    /// Bytes of a request's line and headers; at least 8192.
    pub head_bytes: usize,
    /// From a request's first byte to the first of its answer; also for the whole of a TLS handshake.
    pub request: Duration,
    /// Between two requests of a connection, and before the first.
    pub idle: Duration,
    /// How long an answer, or an event, may wait for the client to take it.
    pub taking: Duration,
}

impl Default for Limits {
    /// 64 connections, 16 KiB, 10 s, 3 min, 30 s: so a scraper that comes every minute keeps its connection, which still
    /// works when no new one can be tracked.
    fn default() -> Self {
        Self {
            connections: 64,
            head_bytes: 16 * 1024,
            request: Duration::from_secs(10),
            idle: Duration::from_mins(3),
            taking: Duration::from_secs(30),
        }
    }
}
