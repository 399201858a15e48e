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
