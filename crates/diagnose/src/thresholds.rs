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

/// A cause is named where it holds this share of the capacity, or heads for it at its present rate; or this share of the
/// entries of a table that is filling. Below it, it is traffic.
pub const NAMED: f64 = 0.10;

/// A service, or a source, is looked at by itself where it has this share of the entries in question.
pub const WORTH_A_LOOK: f64 = 0.05;

/// So many sources are few: those of a proxy and its twins.
pub const FEW_SOURCES: usize = 4;

/// Few sources are behind something if so much of it comes from them.
pub const MOSTLY: f64 = 0.8;

/// A source scans if so many of its unanswered connections go each to a service of its own.
pub const SCATTERED: f64 = 0.5;

/// A source that scans was seen to ask so many services.
pub const FEWEST_SCANNED: usize = 10;

/// A flood has a target that is worth telling where so much of it goes there.
pub const TARGETED: f64 = 0.2;

/// Sources are taken for spoofed where each has hardly more entries than one, on average.
pub const ENTRIES_A_SPOOFED_SOURCE: f64 = 1.5;

/// A connection is idle for long when it has certainly seen no packet for this time.
pub const LONG_IDLE_SECS: u32 = 3600;

/// Ports that source translation chooses from for a source port of 1024 or more (`nf_nat_l4proto_unique_tuple` in
/// `nf_nat_core.c`: 1024 to 65535), unless the rule says otherwise.
pub const NAT_PORTS: u32 = 64_512;

/// Share of the translated ports in use from which they run out.
pub const NAT_PORTS_SHORT: f64 = 0.8;

/// So many ports in a row, nearly all in use, are a range that a rule gave, where flows fail meanwhile.
pub const NAT_RANGE: u32 = 256;

/// What is nearly all: the kernel tries no more than 128 ports for a new flow, fewer with each round.
pub const NAT_PORTS_GONE: f64 = 0.98;

/// Occupancy over capacity at which gc under pressure begins to kill (`gc_worker` in `nf_conntrack_core.c`).
pub const GC_PRESSURE: f64 = 0.95;

/// Share of `nf_conntrack_expect_max` in use from which helpers run out of expectations.
pub const EXPECTATIONS_SHORT: f64 = 0.75;

/// Occupancy over capacity below which entries that could not be read hide nothing that matters yet.
pub const NEARLY_EMPTY: f64 = 0.01;

/// Seconds of `TIME_WAIT`'s timeout below which retransmissions on slow paths come too late for it: TCP's own doubles
/// from 200 ms on, and six of them take 13 s.
pub const SHORT_TIME_WAIT_SECS: u32 = 15;

/// A connection that has been silent for this share of ESTABLISHED's timeout is one that the timeout may strike.
pub const SILENT_SHARE: f64 = 0.5;

/// Seconds that RFC 5382 (REQ-5) asks a NAT to keep an established connection at least: 2 h 4 min.
pub const NAT_ESTABLISHED_SECS: u32 = 7440;

/// Share of the entries that are half-open, and their number, from which a listener may need SYN cookies.
pub const HALF_OPEN_SHARE: f64 = 0.10;

/// See [`HALF_OPEN_SHARE`]: a handful of handshakes is a share of a small table, and no flood.
pub const HALF_OPEN_ENTRIES: u64 = 1000;

/// Lost first packets a second from which clashes are felt: each costs its client a retry, a resolver 5 s.
pub const CLASHES_PER_SEC: f64 = 1.0;

/// Invalid packets a second that are worth a note: fewer are the late resets and scans that every host sees.
pub const INVALID_NOTED_PER_SEC: f64 = 1.0;

/// Invalid packets a second from which flows are hit, if they are [`INVALID_SHARE`] of all packets too.
pub const INVALID_PER_SEC: f64 = 10.0;

/// Share of all packets that are invalid from which flows are hit: late resets and scans stay far below one in a hundred.
pub const INVALID_SHARE: f64 = 0.01;

/// Connections a second to one port of a pod that probes may be: a container has three kinds of probes, each at most once a second.
pub const PROBES_PER_SEC: f64 = 3.0;

/// Connections come steadily where of those that are over so much more or less than half closed in the later half of the time that they
/// are held.
pub const PROBES_STEADY: f64 = 0.1;

/// Share of the entries from which one workload, or one source, holds most of a table.
pub const ONE_TENANT: f64 = 0.5;

/// Share of the entries from which others beside it make it a matter of tenants: a machine with one purpose has one, and `ssh`.
pub const OTHER_TENANTS: f64 = 0.05;

/// Share of the entries of UDP that are DNS by a translated address from which clashes are DNS's.
pub const DNS_SHARE: f64 = 0.5;
