//! `/proc/<pid>/net`: what a network namespace shows to whoever sees a process in it.
//!
//! Unlike `/proc/<pid>/ns/net` it takes no right over the process: the kernel takes the task's namespace without asking
//! for one (`get_proc_task_net` in `fs/proc/proc_net.c`), and most files may be read by anybody.

use std::fmt;
use std::os::unix::fs::MetadataExt;

use crate::text::Text;
use crate::{Error, HostFs};

/// Through whom the files of a network namespace are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetFiles {
    /// The calling thread: those of the namespace that it is in.
    OfThread,
    /// A process: those of the namespace that it is in *now*, which need not be entered. If it has ended the answer is
    /// [`Error::is_absent`]; if its number has been given to another since, that one's files are read.
    OfProcess(u32),
}

impl fmt::Display for NetFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfThread => f.write_str("/proc/thread-self/net"),
            Self::OfProcess(pid) => write!(f, "/proc/{pid}/net"),
        }
    }
}

/// Tells namespaces apart as their inode does: each registers a `net/dev` of its own, whose inode number is nobody
/// else's as long as the namespace is there. It says nothing outside of one /proc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NetId(u64);

impl HostFs {
    /// Reads a file of `/proc/<pid>/net`.
    pub(crate) fn read_net(&self, from: NetFiles, name: &str) -> Result<Text, Error> {
        self.read(&format!("{from}/{name}"))
    }

    /// The identity of a process's namespace, the process as it is named in /proc: a number, `self`, `thread-self`.
    /// [`Error::is_absent`] if it has ended, whether its parent has waited for it or not.
    pub(crate) fn net_id(&self, process: impl fmt::Display) -> Result<NetId, Error> {
        Ok(NetId(self.metadata(&format!("/proc/{process}/net/dev"))?.ino()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    #[test]
    fn files_are_read_through_whom_was_said() {
        let tree = Tree::new();
        tree.write("proc/thread-self/net/snmp", "Ip: InReceives OutRequests\nIp: 1 2\n");
        tree.write("proc/7/net/snmp", "Ip: InReceives OutRequests\nIp: 30 40\n");
        tree.write("proc/7/net/stat/nf_conntrack", "entries\n0000002a\n");
        let host = tree.host();
        assert_eq!(host.packets(NetFiles::OfThread).unwrap(), 3);
        assert_eq!(host.packets(NetFiles::OfProcess(7)).unwrap(), 70);
        let statistics = host.statistics(NetFiles::OfProcess(7)).unwrap();
        assert_eq!(statistics.occupancy, Some(plimsoll_model::Occupancy(42)));
        assert!(host.statistics(NetFiles::OfThread).unwrap_err().is_absent());
        assert!(host.packets(NetFiles::OfProcess(8)).unwrap_err().is_absent());
    }
}
