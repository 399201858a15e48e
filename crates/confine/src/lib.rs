//! Takes from this process what it does not need, for good: capabilities, new privileges, system calls.
//!
//! What the kernel does not offer is reported ([`Report`]), not an error: a daemon on an old kernel is better confined in part
//! than not running. All of it holds for the calling thread and what it starts from then on, so it must be called while
//! there is no other.
//!
//! Files are not restricted. Landlock, which could do that, lets no process of its domain look into one outside of it, whatever
//! its capabilities: `/proc/<pid>/ns` would be closed, and with it every network namespace that has no file.

mod capabilities;
mod error;
mod report;
mod system_calls;

use std::fs;

pub use error::Error;
pub use report::{Held, Report};
pub use rustix::thread::CapabilitySet;

/// Confines this process, which must have one thread. It keeps these capabilities; those that it does not have now it does not get.
pub fn confine(kept: CapabilitySet) -> Result<Report, Error> {
    require_one_thread()?;
    // Capabilities go first as far as new programs are concerned, and last for this one: they are needed on the way.
    let bounding = capabilities::bound(kept);
    rustix::thread::set_no_new_privs(true)
        .map_err(|answer| Error::System { action: "forbid new privileges", answer })?;
    Ok(Report { system_calls: system_calls::refuse()?, capabilities: capabilities::keep(kept, bounding)? })
}

/// The kernel's calls act on a thread; another one would go on as it was.
fn require_one_thread() -> Result<(), Error> {
    let threads = fs::read_dir("/proc/self/task").map_err(|answer| Error::Threads { answer })?.count();
    if threads == 1 { Ok(()) } else { Err(Error::TooLate { threads }) }
}
