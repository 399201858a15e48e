//! The root to read from, and the few ways of reading under it.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::Error;
use crate::text::Text;

/// The host's /proc, /sys, /dev, /run and /lib under one root: `/`, or where a tree like it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFs {
    root: PathBuf,
}

/// What could be read, and what went wrong with the rest.
#[derive(Debug, Default)]
pub struct Partial<T> {
    /// What could be read.
    pub read: T,
    /// One error for each part that could not.
    pub errors: Vec<Error>,
}

impl HostFs {
    /// This machine's own.
    pub fn new() -> Self {
        Self::at("/")
    }

    /// A tree under another root: the host's as a container has it mounted, or a captured one.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where an absolute path lies under the root.
    pub(crate) fn path(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    /// Where a mount point lies. The kernel tells it as Plimsoll sees it, so one under the root is that already; a
    /// captured tree has it as the captured machine saw it.
    pub(crate) fn place_of(&self, mount_point: &Path) -> PathBuf {
        if mount_point.starts_with(&self.root) {
            return mount_point.to_owned();
        }
        self.root.join(mount_point.strip_prefix("/").unwrap_or(mount_point))
    }

    /// Reads a whole file.
    pub(crate) fn read(&self, absolute: &str) -> Result<Text, Error> {
        read_file(self.path(absolute))
    }

    /// Whether something is there; an error where that cannot be told.
    pub(crate) fn exists(&self, absolute: &str) -> Result<bool, Error> {
        match self.metadata(absolute) {
            Ok(_) => Ok(true),
            Err(error) if error.is_absent() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What stat(2) tells, links followed.
    pub(crate) fn metadata(&self, absolute: &str) -> Result<Metadata, Error> {
        let path = self.path(absolute);
        path.metadata().map_err(|source| Error::System { action: "look at", path, source })
    }

    /// The names in a directory that are process ids; all that `/proc` shows.
    pub(crate) fn process_ids(&self) -> Result<Vec<u32>, Error> {
        let path = self.path("/proc");
        let list = || -> io::Result<Vec<u32>> {
            let mut pids = Vec::new();
            for entry in path.read_dir()? {
                pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
            }
            Ok(pids)
        };
        list().map_err(|source| Error::System { action: "list", path: path.clone(), source })
    }
}

impl Default for HostFs {
    fn default() -> Self {
        Self::new()
    }
}

/// More than any file here has: `/proc/thread-self/net/netlink` of a host with 100,000 sockets has 10 MiB.
const MAX_FILE_BYTES: u64 = 32 << 20;

/// Reads a whole file whose place is known.
pub(crate) fn read_file(path: PathBuf) -> Result<Text, Error> {
    match read_bounded(&path) {
        Ok(content) => Ok(Text::new(path, content)),
        Err(source) => Err(Error::System { action: "read", path, source }),
    }
}

/// Never waits: what is in the place of a file (a FIFO, a terminal) gives an error instead.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let mut content = Vec::new();
    let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
    if u64::try_from(read).is_ok_and(|read| read <= MAX_FILE_BYTES) {
        Ok(content)
    } else {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {MAX_FILE_BYTES} bytes")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_file_is_refused_and_a_directory_is_no_file() {
        assert_eq!(read_bounded(Path::new("/dev/zero")).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_bounded(Path::new("/proc")).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn a_missing_file_is_an_error_that_names_it() {
        let error = HostFs::at("/nowhere").read("/proc/x").unwrap_err();
        assert!(error.is_absent());
        assert_eq!(error.path(), Path::new("/nowhere/proc/x"));
    }
}
