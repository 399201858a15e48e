//! The answer of a probe for a capability.

use serde::Serialize;

/// What a probe found out about something that the kernel or this process may or may not be able to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// It is there.
    Yes,
    /// It is not there; `needs` tells what would be needed.
    No {
        /// A module, a kernel version, a right.
        needs: String,
    },
    /// It could not be found out.
    Inconclusive {
        /// What stood in the way.
        because: String,
    },
}

/// What this process can do on this kernel, as far as a reading needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// Dump entries by ctnetlink.
    pub read_entries: Answer,
    /// List netfilter's hooks, which tells whether packets are tracked where the table is empty.
    pub list_hooks: Answer,
    /// Enter other network namespaces.
    pub enter_namespaces: Answer,
    /// Read the kernel's log.
    pub read_kernel_log: Answer,
}

impl Capabilities {
    /// Each by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Answer)> {
        [
            ("read entries", &self.read_entries),
            ("list hooks", &self.list_hooks),
            ("enter namespaces", &self.enter_namespaces),
            ("read the kernel's log", &self.read_kernel_log),
        ]
        .into_iter()
    }
}
