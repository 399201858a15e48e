//! Names for what a test makes on the machine that outlives a process that is killed, such as namespaces.

use std::sync::LazyLock;
use std::time::Duration;

use plimsoll_host::monotonic_now;

/// A name that is this process's alone: its id comes again, but not with the same time since boot, and what has such a name is gone
/// with the next boot.
pub(crate) fn own(purpose: &str) -> String {
    static BEGAN: LazyLock<Duration> = LazyLock::new(monotonic_now);
    format!("plimsoll-{purpose}-{}-{}", std::process::id(), BEGAN.as_millis())
}
