//! Files below another process's root.
//!
//! Who may start a program decides what is there, and Plimsoll looks at it as root. So no link leads out of that root, as none does for
//! the process, and nothing is opened but regular files and folders: to open a device, a FIFO or a terminal, or to read what the kernel
//! makes up while it is read, can do something.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, FileType, FsWord, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, Stat};
use rustix::io::Errno;

/// The root of a process. It stays what it is, also once the process has ended.
#[derive(Debug)]
pub(crate) struct Root(OwnedFd);

impl Root {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
    }

    /// The root of the mount namespace, so many folders further up: climbing ends there, or at Plimsoll's own root.
    pub(crate) fn above(&self, folders: usize) -> io::Result<Self> {
        let up: PathBuf = std::iter::repeat_n("..", folders).collect();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(&self.0, &up, flags, Mode::empty())?))
    }

    /// Reads a regular file, at most so many bytes.
    pub(crate) fn read(&self, file: &Path, at_most: usize) -> io::Result<Vec<u8>> {
        let found = self.find(file, OFlags::PATH)?;
        let state = rustix::fs::fstat(&found)?;
        if FileType::from_raw_mode(state.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no regular file, so it was not opened"));
        }
        if MADE_UP.contains(&rustix::fs::fstatfs(&found)?.f_type) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "made up by the kernel, so it was not opened"));
        }
        // Other file systems of the kernel's own have no size for what they make up.
        if state.st_size == 0 {
            return Ok(Vec::new());
        }
        // The very file that was looked at, whatever has its name by now.
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let place = format!("/proc/self/fd/{}", found.as_raw_fd());
        let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(place)?;
        read_start(file, at_most)
    }

    /// The names in a folder, at most so many.
    pub(crate) fn names(&self, folder: &Path, at_most: usize) -> io::Result<Vec<OsString>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
        let mut names = Vec::new();
        for entry in Dir::new(self.find(folder, flags)?)? {
            let entry = entry?;
            match entry.file_name().to_bytes() {
                b"." | b".." => {}
                _ if names.len() == at_most => break,
                name => names.push(OsStr::from_bytes(name).to_os_string()),
            }
        }
        Ok(names)
    }

    /// What stat(2) tells of what is there.
    pub(crate) fn state(&self, path: &Path) -> io::Result<Stat> {
        Ok(rustix::fs::fstat(self.find(path, OFlags::PATH)?)?)
    }

    fn find(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        /// A path with `..` is answered EAGAIN where anything on the machine was renamed or mounted meanwhile (openat2(2)).
        const MOST_TRIES: usize = 32;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let open = || rustix::fs::openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
        let mut answers = std::iter::repeat_with(open).take(MOST_TRIES);
        match answers.find(|answer| !matches!(answer, Err(Errno::AGAIN))).unwrap_or(Err(Errno::AGAIN)) {
            Err(Errno::NOSYS) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "files of a process are read with Linux 5.6 or newer"))
            }
            answer => Ok(answer?),
        }
    }
}

/// Reads at most so many bytes of what is open.
pub(crate) fn read_start(file: File, at_most: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(u64::try_from(at_most).unwrap_or(u64::MAX)).read_to_end(&mut content)?;
    Ok(content)
}

/// File systems of the kernel's own whose files have a size all the same (`linux/magic.h`): proc (`kcore`), sysfs, configfs, debugfs, tracefs.
const MADE_UP: [FsWord; 5] = [PROC_SUPER_MAGIC, 0x6265_6572, 0x6265_6570, 0x6462_6720, 0x7472_6163];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    #[test]
    fn links_lead_nowhere_but_below_the_root() {
        let tree = Tree::new();
        tree.write("secret", "the host's");
        tree.write("root/etc/sites-available/default", "the container's");
        tree.link("root/etc/sites-enabled/default", "/etc/sites-available/default");
        tree.link("root/etc/up", "../../secret");
        tree.link("root/etc/absolute", "/etc/passwd");
        let root = Root::open(&tree.host().path("/root")).unwrap();
        let read = |path: &str| root.read(Path::new(path), 100);
        assert_eq!(read("/etc/sites-enabled/default").unwrap(), b"the container's");
        assert_eq!(read("etc/../../../etc/./sites-available/default").unwrap(), b"the container's");
        for out in ["/etc/up", "/etc/absolute", "/../secret"] {
            assert_eq!(read(out).unwrap_err().kind(), io::ErrorKind::NotFound, "{out}");
        }
        assert_eq!(root.names(Path::new("/../etc/sites-enabled"), 9).unwrap(), ["default"]);
        assert_eq!(root.names(Path::new("/etc"), 2).unwrap().len(), 2);
        let above = root.above(1).unwrap();
        assert_eq!(above.read(Path::new("/secret"), 3).unwrap(), b"the");
    }

    /// A FIFO that is opened for reading lets a writer go on who waits for that: a writer who does not wait sees that nobody reads.
    #[test]
    fn what_acts_is_not_opened() {
        let tree = Tree::new();
        tree.write("empty", "");
        let fifo = tree.host().path("/fifo");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let both = File::options().read(true).write(true).open(&fifo).unwrap();
        io::Write::write_all(&mut &both, b"kept").unwrap();
        let root = Root::open(&tree.host().path("/")).unwrap();
        assert_eq!(root.read(Path::new("/fifo"), 9).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let mut left = [0; 4];
        (&both).read_exact(&mut left).unwrap();
        assert_eq!(&left, b"kept");
        assert_eq!(root.read(Path::new("/empty"), 9).unwrap(), b"");
        let machine = Root::open(Path::new("/")).unwrap();
        for path in ["/dev/null", "/proc/sys/kernel/ostype", "/proc/self/fd/0", "/sys/kernel/uevent_seqnum", "/tmp"] {
            assert!(machine.read(Path::new(path), 9).is_err(), "{path}");
        }
    }
}
