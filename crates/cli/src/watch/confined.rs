//! What the daemon gives up once it has begun.

use plimsoll_confine::{CapabilitySet, Keep, Ports, Report, Writable, confine};

/// To enter network namespaces and list BPF maps, to read tables and set timeouts, to see whose processes they are, and to read the
/// kernel's log.
const KEPT: CapabilitySet = CapabilitySet::SYS_ADMIN
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::SYSLOG);

/// Gives up what it does not need. Files and signals stay: Landlock would keep it from the namespaces of processes.
pub(super) fn confined() -> Result<Report, plimsoll_confine::Error> {
    confine(&Keep { capabilities: KEPT, writable: Writable::Any, listen: Ports::Any, connect: Ports::Any })
}
