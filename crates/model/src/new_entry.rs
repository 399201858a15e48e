//! An entry that nobody has sent a packet for yet.

use crate::{Status, TcpState, Tuple, Zone};

/// An entry to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// From the side that opens.
    pub original: Tuple,
    /// As answers come.
    pub reply: Tuple,
    /// Zone.
    pub zone: Zone,
    /// `SEEN_REPLY`, `ASSURED` and the like; `CONFIRMED` is added. The kernel passes over the bits of NAT and of
    /// offloading, and refuses `EXPECTED` and `DYING`.
    pub status: Status,
    /// State, for TCP; the kernel passes over it for others, and takes TCP without one as `NONE`.
    pub tcp_state: Option<TcpState>,
    /// Seconds until it expires.
    pub timeout_secs: u32,
}
