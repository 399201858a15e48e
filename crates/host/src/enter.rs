//! Doing something in another network namespace.

use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Error;

/// Runs a closure in a thread of its own that has moved into a network namespace, and waits for it. The caller's thread
/// stays where it is; a panic of the closure goes on in the caller.
///
/// A thread takes with it, within that namespace: what it opens under `/proc/thread-self/net` and `/proc/sys/net`, and
/// the sockets that it makes. It keeps its mounts, so `/sys/class/net` still shows the namespace that sysfs was mounted
/// in. EPERM where `CAP_SYS_ADMIN` is missing, EINVAL where the file is no network namespace.
pub fn in_namespace<T: Send>(namespace: impl AsFd, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
    let namespace = namespace.as_fd();
    let moved = move || {
        move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))
            .map_err(|errno| Error::Enter { source: errno.into() })?;
        Ok(work())
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("plimsoll-netns".to_owned()).spawn_scoped(scope, moved);
        let thread = thread.map_err(|source| Error::System {
            action: "start a thread for the",
            path: "network namespace".into(),
            source,
        })?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}
