//! A Unix socket's file: made with its mode, never in the way, removed at the end.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Type};

use crate::Error;

/// The file of a socket that is listened on; removed with it, if it is still the same.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// Binds beside the path, sets the mode, and moves the socket to the path: so nobody can connect before the mode holds.
pub(crate) fn bind(path: &Path, mode: u32) -> Result<(UnixListener, SocketFile), Error> {
    require_free(path)?;
    let beside = beside(path);
    // It is there where a process of the same id was killed right here: ids come again, in a container at once.
    require_free(&beside)?;
    let _ = fs::remove_file(&beside);
    let system = |action| move |answer| Error::Unix { action, path: path.to_owned(), answer };
    let socket = UnixListener::bind(&beside).map_err(system("listen on"))?;
    let file = fs::set_permissions(&beside, Permissions::from_mode(mode))
        .map_err(system("set the mode of"))
        .and_then(|()| identity(&beside).map_err(system("look at")))
        .and_then(|identity| fs::rename(&beside, path).map(|()| identity).map_err(system("put a socket at")));
    match file {
        Ok(identity) => Ok((socket, SocketFile { path: path.to_owned(), identity })),
        Err(error) => {
            // What went wrong is told already.
            let _ = fs::remove_file(&beside);
            Err(error)
        }
    }
}

impl SocketFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // Nobody is left to be told; the next to listen there finds that nobody does, and replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether there is nothing at the path, or a socket that nobody listens on.
fn require_free(path: &Path) -> Result<(), Error> {
    let system = |action| move |answer| Error::Unix { action, path: path.to_owned(), answer };
    match fs::symlink_metadata(path) {
        Err(answer) if answer.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(answer) => return Err(system("look at")(answer)),
        Ok(found) if !found.file_type().is_socket() => return Err(Error::NotASocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    match connect(path) {
        Err(answer) if answer.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(answer) if answer.kind() != io::ErrorKind::WouldBlock => {
            Err(system("find out whether anybody listens on")(answer))
        }
        // Connected, or its queue is full.
        _ => Err(Error::InUse { path: path.to_owned() }),
    }
}

/// Connects without waiting for room in the queue of whoever listens.
fn connect(path: &Path) -> io::Result<()> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

/// A path in the same folder that no other process uses.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    path.with_file_name(name)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}
