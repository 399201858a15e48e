//! Why the server does not begin, or does not take a configuration.

use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use plimsoll_model::Untrusted;

use crate::file::Fault;

/// What was tried, on what, and what was answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {answer}{}", help_for_address(answer))]
    Tcp {
        /// Which.
        address: SocketAddr,
        /// What the system answered.
        answer: io::Error,
    },
    /// A Unix socket cannot be made.
    #[error("cannot {action} {}: {answer}", shown(path))]
    Unix {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system answered.
        answer: io::Error,
    },
    /// Somebody listens on a Unix socket already.
    #[error("cannot listen on {}: another process does; end it, or name another path", shown(path))]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// What lies at a Unix socket's path is something else.
    #[error("cannot listen on {}: it is there and no socket, so it is left as it is; name another path", shown(path))]
    NotASocket {
        /// Which.
        path: PathBuf,
    },
    /// The server's thread or one of its sockets cannot be made.
    #[error("cannot begin the web server: {answer}")]
    Begin {
        /// What the system answered.
        answer: io::Error,
    },
    /// The web configuration file, or one that it names, cannot be read.
    #[error("cannot read {}: {answer}", shown(path))]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system answered.
        answer: io::Error,
    },
    /// The web configuration file says something that cannot be done.
    #[error("{}, {fault}", shown(path))]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong, and on which line.
        fault: Fault,
    },
}

/// A path, escaped.
pub(crate) fn shown(path: &Path) -> Untrusted {
    Untrusted::from_bytes(path.as_os_str().as_bytes())
}

fn help_for_address(answer: &io::Error) -> &'static str {
    match answer.kind() {
        io::ErrorKind::AddrInUse => "; another process listens there: end it, or name another port",
        io::ErrorKind::AddrNotAvailable => "; this host has no such address",
        io::ErrorKind::PermissionDenied => "; a port below 1024 takes CAP_NET_BIND_SERVICE",
        _ => "",
    }
}
