//! Where the server listens. Sockets are bound apart from serving, so that privileges can be dropped between the two.

mod unix;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use self::unix::SocketFile;
use crate::Error;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// On an address and port; port 0 is any that is free.
    Tcp(SocketAddr),
    /// On a Unix socket.
    Unix {
        /// Its path. A socket that lies there is replaced if nobody listens on it.
        path: PathBuf,
        /// Its mode: who may write to the file may connect.
        mode: u32,
    },
}

/// A socket that is bound and not yet served. It listens: who connects waits. Dropping it, or the server that it was given
/// to, removes a Unix socket's file.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: Socket,
    pub(crate) file: Option<SocketFile>,
}

/// A listener's socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// What a listener is reached by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An address and port.
    Tcp(SocketAddr),
    /// A path, or none where the socket was handed in without one.
    Unix(Option<PathBuf>),
}

impl Listen {
    /// The mode of a Unix socket that only its owner and group may connect to.
    pub const GROUP: u32 = 0o660;

    /// Binds.
    pub fn bind(&self) -> Result<Listener, Error> {
        match self {
            Self::Tcp(address) => TcpListener::bind(address)
                .map(Listener::from)
                .map_err(|answer| Error::Tcp { address: *address, answer }),
            Self::Unix { path, mode } => {
                let (socket, file) = unix::bind(path, *mode)?;
                Ok(Listener { socket: Socket::Unix(socket), file: Some(file) })
            }
        }
    }
}

impl Listener {
    /// Where it listens; `None` if the system does not tell.
    pub fn address(&self) -> Option<Address> {
        match &self.socket {
            Socket::Tcp(socket) => socket.local_addr().ok().map(Address::Tcp),
            Socket::Unix(socket) => match &self.file {
                Some(file) => Some(Address::Unix(Some(file.path().to_owned()))),
                None => Some(Address::Unix(socket.local_addr().ok()?.as_pathname().map(PathBuf::from))),
            },
        }
    }
}

/// A socket that listens already, such as one that systemd hands over.
impl From<TcpListener> for Listener {
    fn from(socket: TcpListener) -> Self {
        Self { socket: Socket::Tcp(socket), file: None }
    }
}

/// A socket that listens already. Its file is left to whoever made it.
impl From<UnixListener> for Listener {
    fn from(socket: UnixListener) -> Self {
        Self { socket: Socket::Unix(socket), file: None }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(Some(path)) => crate::error::shown(path).fmt(f),
            Self::Unix(None) => f.write_str("a Unix socket without a path"),
        }
    }
}
