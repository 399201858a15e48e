//! Which processes hold which sockets.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use crate::{Error, HostFs, monotonic_now};

/// Who holds sockets.
#[derive(Debug, Default)]
pub struct Holders {
    /// The process by the socket's inode; of several that share it the one with the smallest number, which is the parent as a rule.
    pub by_inode: HashMap<u64, u32>,
    /// Processes that have sockets.
    pub with_sockets: Vec<u32>,
    /// What was answered of the first process whose files may not be looked at.
    pub first_refusal: Option<Error>,
    /// Whether the search ended for want of time.
    pub is_cut: bool,
}

impl Holders {
    fn note(&mut self, pid: u32, held: impl Iterator<Item = u64>, wanted: &HashSet<u64>) {
        held.filter(|inode| wanted.contains(inode)).for_each(|inode| {
            self.by_inode.entry(inode).or_insert(pid);
        });
    }
}

impl HostFs {
    /// Looks through the open files of every process for these sockets, until `deadline` on the monotonic clock. It takes one readlink(2)
    /// a file.
    pub fn holders(&self, inodes: &HashSet<u64>, deadline: Duration) -> Result<Holders, Error> {
        let mut holders = Holders::default();
        if inodes.is_empty() {
            return Ok(holders);
        }
        let mut pids = self.process_ids()?;
        pids.sort_unstable();
        for pid in pids {
            if monotonic_now() >= deadline {
                holders.is_cut = true;
                break;
            }
            match self.sockets_of(pid) {
                Ok(held) => {
                    let mut held = held.peekable();
                    if held.peek().is_some() {
                        holders.with_sockets.push(pid);
                    }
                    holders.note(pid, held, inodes);
                }
                Err(error) if error.is_absent() => {}
                Err(error) => {
                    holders.first_refusal.get_or_insert(error);
                }
            }
        }
        Ok(holders)
    }

    /// Looks for more sockets, quickly, among the processes that are known to have some.
    pub fn holders_among(&self, holders: &mut Holders, inodes: &HashSet<u64>) {
        if inodes.is_empty() {
            return;
        }
        for pid in holders.with_sockets.clone() {
            if let Ok(held) = self.sockets_of(pid) {
                holders.note(pid, held, inodes);
            }
        }
    }

    /// The inodes of the sockets that a process has open.
    fn sockets_of(&self, pid: u32) -> Result<impl Iterator<Item = u64>, Error> {
        let path = self.path(&format!("/proc/{pid}/fd"));
        let files = path.read_dir().map_err(|source| Error::System { action: "list", path: path.clone(), source })?;
        // A file that is closed meanwhile is passed over.
        Ok(files.filter_map(|file| inode_of_socket(&file.ok()?.path().read_link().ok()?)))
    }
}

/// `socket:[4711]` (`sockfs_dname`).
fn inode_of_socket(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    #[test]
    fn sockets_are_found_among_other_files_and_the_first_process_counts() {
        let tree = Tree::new();
        tree.link("proc/10/fd/0", "/dev/null");
        tree.link("proc/10/fd/3", "socket:[70]");
        tree.link("proc/9/fd/5", "socket:[70]");
        tree.link("proc/9/fd/6", "socket:[x]");
        tree.link("proc/11/fd/3", "socket:[71]");
        tree.write("proc/12/comm", "no fd\n");
        let deadline = monotonic_now() + Duration::from_mins(1);
        let holders = tree.host().holders(&HashSet::from([70, 71, 72]), deadline).unwrap();
        assert_eq!(holders.by_inode, HashMap::from([(70, 9), (71, 11)]));
        assert!(!holders.is_cut && holders.first_refusal.is_none());
        assert_eq!(holders.with_sockets, [9, 10, 11]);
        tree.link("proc/10/fd/4", "socket:[73]");
        let mut holders = holders;
        tree.host().holders_among(&mut holders, &HashSet::from([73]));
        assert_eq!(holders.by_inode.get(&73), Some(&10));
        let late = tree.host().holders(&HashSet::from([70]), Duration::ZERO).unwrap();
        assert!(late.is_cut && late.by_inode.is_empty());
    }
}
