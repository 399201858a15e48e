//! What the daemon gives up once it has begun.

use plimsoll_confine::{CapabilitySet, Report, confine};

/// To enter network namespaces and list BPF maps, to read tables and set timeouts, to see whose processes they are, and to read the
/// kernel's log.
const KEPT: CapabilitySet = CapabilitySet::SYS_ADMIN
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::SYSLOG);

/// Gives up what it does not need.
pub(super) fn confined() -> Result<Report, plimsoll_confine::Error> {
    confine(KEPT)
}
