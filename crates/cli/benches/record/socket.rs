//! The socket that listens to events, as the kernel shows it to others.

use std::fs;

use anyhow::Context;

/// A row of `/proc/net/netlink`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Socket {
    /// Bytes that wait in its receive buffer.
    pub(crate) waiting_bytes: u64,
    /// Messages that found no room.
    pub(crate) drops: u64,
}

/// `NETLINK_NETFILTER`, and the groups of all three kinds of events.
const LISTENING: [(&str, &str); 2] = [("Eth", "12"), ("Groups", "00000007")];

/// The socket that listens in the calling thread's network namespace; `None` where none does.
pub(crate) fn listening() -> anyhow::Result<Option<Socket>> {
    let text = fs::read_to_string("/proc/thread-self/net/netlink")?;
    let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let header = lines.next().context("no header")?;
    let cell = |row: &[&str], name: &str| {
        let column = header.iter().position(|word| *word == name)?;
        row.get(column).map(ToString::to_string)
    };
    let is = |row: &[&str]| LISTENING.iter().all(|(name, value)| cell(row, name).as_deref() == Some(value));
    let Some(row) = lines.find(|row| is(row)) else { return Ok(None) };
    let number = |name| cell(&row, name).and_then(|word| word.parse().ok()).with_context(|| format!("no {name}"));
    Ok(Some(Socket { waiting_bytes: number("Rmem")?, drops: number("Drops")? }))
}
