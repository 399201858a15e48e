//! Whether entries are replicated to another host.

use crate::system_process::SYSTEM_ACCOUNTS;
use crate::{Error, HostFs};

impl HostFs {
    /// Whether conntrackd runs, which replicates entries to a peer and takes its. `comm` keeps 15 bytes, and its name has 10.
    pub fn is_replicated(&self) -> Result<bool, Error> {
        let found = self.system_processes(&["conntrackd"], &SYSTEM_ACCOUNTS);
        match found.errors.into_iter().next() {
            Some(error) if found.read.is_empty() => Err(error),
            _ => Ok(!found.read.is_empty()),
        }
    }
}
