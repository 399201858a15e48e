//! What the daemon gives up once it has begun.

use std::path::{Path, PathBuf};

use plimsoll_confine::{CapabilitySet, Keep, Ports, Report, confine};
use plimsoll_notify::Target;

use super::settings::{HistoryIn, Settings, Where};

/// To enter network namespaces and list BPF maps, to read tables and set timeouts, to see whose processes they are, and to read the
/// kernel's log.
const KEPT: CapabilitySet = CapabilitySet::SYS_ADMIN
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::SYSLOG);

/// Gives up what it does not need.
pub(super) fn confined(settings: &Settings) -> Result<Report, plimsoll_confine::Error> {
    let keep = Keep { capabilities: KEPT, writable: writable(settings), listen: Ports::Any, connect: Ports::Any };
    confine(&keep)
}

/// Where it writes.
fn writable(settings: &Settings) -> Vec<PathBuf> {
    if settings.targets.iter().any(|target| matches!(target, Target::Command(_))) {
        // What somebody's program writes, and where, is its own affair.
        return vec![PathBuf::from("/")];
    }
    let above = |path: &Path| path.parent().map(Path::to_path_buf);
    let mut writable = Vec::new();
    if settings.history == HistoryIn::File || settings.govern.is_some() {
        writable.push(settings.state_dir.clone());
    }
    writable.extend(settings.textfile.as_deref().and_then(above));
    writable.extend(settings.listen.iter().filter_map(|place| match place {
        Where::Unix(path) => above(path),
        Where::Tcp(_) => None,
    }));
    if settings.govern.is_some() {
        writable.push(PathBuf::from("/proc/sys/net/netfilter"));
    }
    writable
}
