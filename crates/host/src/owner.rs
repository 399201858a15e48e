//! Whose a namespace is: the oldest process in it.

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
        let start = |pid: &u32| Some((start_ticks(&self.read(&format!("/proc/{pid}/stat")).ok()?)?, *pid));
        let mut by_start: Vec<_> = pids.iter().filter_map(start).collect();
        by_start.sort_unstable();
        by_start.into_iter().map(|(_, pid)| pid).collect()
    }

    /// What can be told of a process; [`Error::is_absent`] if it has ended.
    pub(crate) fn describe(&self, pid: u32) -> Result<Owner, Error> {
        let command = self.command(pid)?;
        // A kernel without control groups has no such file.
        let cgroup = match self.read(&format!("/proc/{pid}/cgroup")) {
            Ok(text) => Some(text),
            Err(error) if error.is_absent() => None,
            Err(error) => return Err(error),
        };
        let paths = cgroup.as_ref().map_or(b"".as_slice(), Text::bytes);
        Ok(Owner { pid, command, container: cgroup::container(paths), pod: cgroup::pod(paths) })
    }

    /// A process's `comm`: 15 bytes that it chose itself.
    pub(crate) fn command(&self, pid: u32) -> Result<Untrusted, Error> {
        Ok(Untrusted::from_bytes(self.read(&format!("/proc/{pid}/comm"))?.bytes()))
    }
}

/// Field 22 of `/proc/<pid>/stat`, in clock ticks since boot (`proc_pid_stat(5)`; the file has no header). The command,
/// field 2, stands in parentheses and may hold parentheses and spaces itself; nothing after it does.
fn start_ticks(stat: &Text) -> Option<u64> {
    let after_command = stat.bytes().rsplit(|byte| *byte == b')').next()?;
    let mut fields = after_command.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    std::str::from_utf8(fields.nth(22 - 3)?).ok()?.parse().ok()
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
    fn a_process_is_described_with_what_there_is() {
        let tree = Tree::new();
        assert!(tree.host().describe(9).unwrap_err().is_absent());
        tree.write("proc/9/comm", b"we\x1b\nb\xff\n");
        let owner = tree.host().describe(9).unwrap();
        assert_eq!(owner.command.as_str(), "we\\u{1b}\\u{a}b\\xff");
        assert_eq!((owner.container, owner.pod), (None, None));
    }
}
