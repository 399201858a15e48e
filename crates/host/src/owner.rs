//! Whose a namespace is: the oldest process in it.

use std::os::unix::fs::MetadataExt;

use plimsoll_model::{Owner, Untrusted};

use crate::text::Text;
use crate::{Error, HostFs, cgroup};

impl HostFs {
    /// The processes given, oldest first. Process 1 is older than any other that its /proc shows, so where it is among
    /// them (usually in the largest namespace by far) nothing is read. Processes that have ended are left out.
    pub(crate) fn oldest_first(&self, pids: &[u32]) -> Vec<u32> {
        if pids.contains(&1) {
            return vec![1];
        }
        let start = |pid: &u32| Some((self.start_ticks(*pid)?, *pid));
        let mut by_start: Vec<_> = pids.iter().filter_map(start).collect();
        by_start.sort_unstable();
        by_start.into_iter().map(|(_, pid)| pid).collect()
    }

    /// What can be told of a process; [`Error::is_absent`] if it has ended.
    pub fn describe(&self, pid: u32) -> Result<Owner, Error> {
        let command = self.command(pid)?;
        // A kernel without control groups has no such file.
        let cgroup = match self.read(&format!("/proc/{pid}/cgroup")) {
            Ok(text) => Some(text),
            Err(error) if error.is_absent() => None,
            Err(error) => return Err(error),
        };
        let paths = cgroup.as_ref().map_or(b"".as_slice(), Text::bytes);
        let container = cgroup::container(paths);
        let unit = if container.is_none() { cgroup::unit(paths) } else { None };
        let called = container.as_ref().and_then(|id| self.container_name(id.as_str()));
        Ok(Owner { pid, command, unit, container, pod: cgroup::pod(paths), called })
    }

    /// The process that stands for a program: the process itself, or the one from which it and others are forked, as the workers of a
    /// server are. A name alone does not make a worker, for each process chooses its own: its parent has to run the same file in the same
    /// control group, too.
    pub(crate) fn head_of(&self, pid: u32) -> u32 {
        const MOST_GENERATIONS: usize = 16;
        let mut head = pid;
        for _ in 0..MOST_GENERATIONS {
            let stat = self.read(&format!("/proc/{head}/stat"));
            let Some(parent) = stat.ok().as_ref().and_then(|stat| field(stat, PARENT)?.try_into().ok()) else { break };
            let (Ok(own), Ok(parents)) = (self.image(head), self.image(parent)) else { break };
            if own != parents {
                break;
            }
            head = parent;
        }
        head
    }

    /// When a process was started, in clock ticks since boot; with its number it is no other's. `None` where it has ended.
    pub(crate) fn start_ticks(&self, pid: u32) -> Option<u64> {
        field(&self.read(&format!("/proc/{pid}/stat")).ok()?, START_TICKS)
    }

    fn image(&self, pid: u32) -> Result<Image, Error> {
        let cgroup = match self.read(&format!("/proc/{pid}/cgroup")) {
            Ok(text) => text.bytes().to_vec(),
            Err(error) if error.is_absent() => Vec::new(),
            Err(error) => return Err(error),
        };
        let file = self.metadata(&format!("/proc/{pid}/exe"))?;
        Ok(Image { command: self.command(pid)?, cgroup, file: (file.dev(), file.ino()) })
    }

    /// A process's `comm`: 15 bytes that it chose itself.
    pub(crate) fn command(&self, pid: u32) -> Result<Untrusted, Error> {
        Ok(Untrusted::from_bytes(self.read(&format!("/proc/{pid}/comm"))?.bytes()))
    }
}

/// What a process runs, and where.
#[derive(PartialEq, Eq)]
struct Image {
    command: Untrusted,
    cgroup: Vec<u8>,
    /// The device and inode of its executable.
    file: (u64, u64),
}

/// Fields of `/proc/<pid>/stat` (`proc_pid_stat(5)`; the file has no header): the parent, and when it was started, in clock ticks since
/// boot.
const PARENT: usize = 4;
const START_TICKS: usize = 22;

/// A field, by its number from 1. The command, field 2, stands in parentheses and may hold parentheses and spaces itself; nothing after
/// it does.
fn field(stat: &Text, number: usize) -> Option<u64> {
    let after_command = stat.bytes().rsplit(|byte| *byte == b')').next()?;
    let mut fields = after_command.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    std::str::from_utf8(fields.nth(number - 3)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::testing::Tree;

    fn stat(command: &str, start: u64) -> String {
        format!("7 ({command}) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 {start} 100 200 18446744073709551615 1\n")
    }

    #[test]
    fn a_command_cannot_forge_its_age() {
        let tree = Tree::new();
        tree.write("proc/20/stat", stat("x) S 1 7 7 0 -1 1 1 1 1 1 1 1 1 1 1 1 1 1 0 0 (", 500));
        tree.write("proc/30/stat", stat("a b", 400));
        tree.write("proc/40/stat", stat(")))", 600));
        tree.write("proc/50/stat", "50 (short) S 1\n");
        tree.write("proc/60/stat", b"\xff\xfe");
        tree.write("proc/70/stat", "");
        assert_eq!(tree.host().oldest_first(&[20, 30, 40, 50, 60, 70, 80]), [30, 20, 40]);
        assert_eq!(tree.host().oldest_first(&[20, 1]), [1]);
    }

    #[test]
    fn workers_are_their_parents() {
        let tree = Tree::new();
        tree.write("bin/init", "");
        tree.write("bin/nginx", "");
        tree.write("bin/other", "");
        for (pid, command, parent, file, unit) in [
            (1, "init", 0, "init", "init.scope"),
            (5, "nginx", 1, "nginx", "nginx.service"),
            (6, "nginx", 5, "nginx", "nginx.service"),
            (7, "sh", 1, "other", "nginx.service"),
            (8, "nginx", 7, "nginx", "nginx.service"),
            // Each of these has its parent's name.
            (9, "nginx", 5, "other", "nginx.service"),
            (10, "nginx", 5, "nginx", "other.service"),
        ] {
            tree.write(&format!("proc/{pid}/comm"), format!("{command}\n"));
            tree.write(&format!("proc/{pid}/stat"), format!("{pid} ({command}) S {parent} 7 7 0\n"));
            tree.write(&format!("proc/{pid}/cgroup"), format!("0::/system.slice/{unit}\n"));
            tree.link(&format!("proc/{pid}/exe"), format!("../../bin/{file}"));
        }
        let head = |pid| tree.host().head_of(pid);
        assert_eq!([head(5), head(6), head(8), head(1), head(99)], [5, 5, 8, 1, 99]);
        assert_eq!([head(9), head(10)], [9, 10]);
    }

    #[test]
    fn a_process_is_described_with_what_there_is() {
        let tree = Tree::new();
        assert!(tree.host().describe(9).unwrap_err().is_absent());
        tree.write("proc/9/comm", b"we\x1b\nb\xff\n");
        let owner = tree.host().describe(9).unwrap();
        assert_eq!(owner.command.as_str(), "we\\u{1b}\\u{a}b\\xff");
        assert_eq!((owner.unit, owner.container, owner.pod, owner.called), (None, None, None, None));
    }
}
