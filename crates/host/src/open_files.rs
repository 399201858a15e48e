//! How many files this process may hold open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Lets this process open as many files as it may: each namespace that is found costs one, and the usual soft limit of
/// 1,024 is fewer than a large host has containers. It is this process's own limit; nothing of the host's changes.
pub fn allow_many_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it cannot be raised, namespaces beyond it are reported as not seen.
    let _ = setrlimit(Resource::Nofile, limit);
}
