//! Takes from this process what it does not need, for good: capabilities, files that it could write, ports, system calls.
//!
//! What the kernel does not offer is reported ([`Report`]), not an error: a daemon on an old kernel is better confined in part
//! than not running. All of it holds for the calling thread and what it starts from then on, so it must be called while
//! there is no other.
//!
//! Reading is not restricted. Files of other namespaces are read through `/proc/<pid>/root`, whose paths do not lead to this
//! process's root, so that no Landlock rule could allow them; file permissions and the capabilities kept are the bound.

mod capabilities;
mod error;
mod landlocked;
mod report;
mod system_calls;

use std::fs;
use std::path::PathBuf;

pub use error::Error;
pub use report::{Held, Report};
pub use rustix::thread::CapabilitySet;

/// What a process keeps.
#[derive(Clone, Debug)]
pub struct Keep {
    /// Capabilities; those that it does not have now it does not get.
    pub capabilities: CapabilitySet,
    /// What may be written.
    pub writable: Writable,
    /// Ports that may be listened on over TCP. Sockets that listen already are not affected.
    pub listen: Ports,
    /// Ports that may be connected to over TCP.
    pub connect: Ports,
}

/// Files that may be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writable {
    /// All, and any process may be sent signals. Landlock lets no process of a restricted domain look into one outside of it
    /// (`ptrace` access, as `/proc/<pid>/ns` takes), whatever its capabilities: who has to, must not be restricted so.
    Any,
    /// These folders, with what is below, and files; `/dev/null` too. Signals go to processes that are restricted alike.
    Only(Vec<PathBuf>),
}

/// TCP ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// All.
    Any,
    /// These alone.
    Only(Vec<u16>),
}

/// Confines this process. It must have one thread.
pub fn confine(keep: &Keep) -> Result<Report, Error> {
    require_one_thread()?;
    // Capabilities go first as far as new programs are concerned, and last for this one: they are needed on the way.
    let bounding = capabilities::bound(keep.capabilities);
    rustix::thread::set_no_new_privs(true)
        .map_err(|answer| Error::System { action: "forbid new privileges", answer })?;
    Ok(Report {
        files: landlocked::files(&keep.writable)?,
        ports: landlocked::ports(&keep.listen, &keep.connect)?,
        signals: landlocked::signals(&keep.writable)?,
        system_calls: system_calls::refuse()?,
        capabilities: capabilities::keep(keep.capabilities, bounding)?,
    })
}

/// The kernel's calls act on a thread; another one would go on as it was.
fn require_one_thread() -> Result<(), Error> {
    let threads = fs::read_dir("/proc/self/task").map_err(|answer| Error::Threads { answer })?.count();
    if threads == 1 { Ok(()) } else { Err(Error::TooLate { threads }) }
}
