//! Every figure by which findings are judged.

/// Occupancy over capacity from which a table is filling (the founding guide: act above 70–80 %).
pub const FILLING: f64 = 0.75;

/// Occupancy over capacity from which a table is as good as full: gc under pressure begins at 95 % of the limit, a
/// storm fills the last tenth within seconds.
pub const FULL: f64 = 0.90;

/// Share of new flows that a full table may refuse before that is critical.
pub const TOLERABLE_LOSS: f64 = 0.01;

/// A line in the kernel's log counts as "now" for this long. The log is limited to ten lines in five seconds over all of
/// networking, so a line may be missing while packets are dropped.
pub const LOG_IS_RECENT_SECS: u64 = 300;

/// Nodes in a mean chain beyond the classic sizing of four entries (eight nodes) a bucket at capacity.
pub const LONG_CHAIN_NODES: f64 = 8.0;

/// The kernel's chain cap is drawn for each insert from this range (`MIN_CHAINLEN`, `MAX_CHAINLEN` in
/// `nf_conntrack_core.c`, 5.15 and later).
pub const CHAIN_CAP: std::ops::Range<u32> = 50..80;

/// Bytes of an entry's slab object where the slab cannot be read: measured 256 on 6.1 to 6.18, 320 before.
pub const OBJECT_BYTES: std::ops::RangeInclusive<u64> = 256..=320;

/// Bytes of an entry's extensions: none, or one block of 128 to 192.
pub const EXTENSION_BYTES: std::ops::RangeInclusive<u64> = 0..=192;

/// Bytes of a bucket.
pub const BUCKET_BYTES: u64 = 8;

/// Share of the memory that is available which a full table may take before that is a risk.
pub const MEMORY_SHARE: f64 = 1.0;

/// A capacity that is proposed leaves this much above what is there now.
pub const ROOM_FACTOR: u32 = 2;
