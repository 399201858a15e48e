//! What a flow carried, where the kernel counts it.

use plimsoll_ctnetlink::{DumpedEntry, Traffic};
use plimsoll_recording::{Counts, Volume};

/// Both directions' counts; `None` where the kernel counts nothing (`nf_conntrack_acct`).
#[inline]
pub(crate) fn volume(dumped: &DumpedEntry<'_>) -> Option<Volume> {
    let counts = |Traffic { packets, bytes }| Counts { packets, bytes };
    let (original, reply) = (dumped.original_traffic.map(counts), dumped.reply_traffic.map(counts));
    (original.is_some() || reply.is_some())
        .then(|| Volume { original: original.unwrap_or_default(), reply: reply.unwrap_or_default() })
}
