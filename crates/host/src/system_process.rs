//! Processes of the system's own, by the name of their command.

use std::ops::Range;
use std::os::unix::fs::MetadataExt;

use plimsoll_model::Untrusted;

use crate::{Error, HostFs, Partial};

/// Root, and those that daemons run as (`SYS_UID_MAX` of login.defs(5)): RHEL's `ovs-vswitchd` is not root's.
pub(crate) const SYSTEM_ACCOUNTS: Range<u32> = 0..1000;

/// A process that one of the trusted users runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SystemProcess {
    pub(crate) pid: u32,
    /// `comm`.
    pub(crate) command: Untrusted,
}

impl HostFs {
    /// The processes with one of some commands. Only those of some users are believed: anybody may call a process so.
    pub(crate) fn system_processes(&self, commands: &[&str], users: &Range<u32>) -> Partial<Vec<SystemProcess>> {
        let mut found: Partial<Vec<SystemProcess>> = Partial::default();
        let pids = self.process_ids().unwrap_or_else(|error| {
            found.errors.push(error);
            Vec::new()
        });
        for pid in pids {
            match self.system_process(pid, commands, users) {
                Ok(process) => found.read.extend(process),
                Err(error) if error.is_absent() => {}
                Err(error) => found.errors.push(error),
            }
        }
        found
    }

    /// Whose it is is asked only of the few that are called so.
    fn system_process(&self, pid: u32, commands: &[&str], users: &Range<u32>) -> Result<Option<SystemProcess>, Error> {
        let command = self.command(pid)?;
        if !commands.contains(&command.as_str()) {
            return Ok(None);
        }
        let is_trusted = users.contains(&self.metadata(&format!("/proc/{pid}"))?.uid());
        Ok(is_trusted.then_some(SystemProcess { pid, command }))
    }
}
