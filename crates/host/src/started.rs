//! How a process was started, and the files that it sees.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use plimsoll_model::Untrusted;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;

use crate::{Error, HostFs};

/// How a process was started, and the files that it sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its arguments, its name first. The process can write over them, as nginx does.
    pub arguments: Vec<String>,
    /// Its working folder, as it sees it.
    pub folder: PathBuf,
    /// Where its root is for others: `/proc/<pid>/root`.
    root: PathBuf,
}

impl HostFs {
    /// How a process was started. Its folder and files take the right to look at it: root, or `CAP_SYS_PTRACE`.
    pub fn started(&self, pid: u32) -> Result<Started, Error> {
        let text = self.read(&format!("/proc/{pid}/cmdline"))?;
        let arguments = text.bytes().split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
        let mut arguments: Vec<_> = arguments.collect();
        // Each ends with a zero, and a title that was written over the first may leave many.
        while arguments.last().is_some_and(String::is_empty) {
            arguments.pop();
        }
        let path = self.path(&format!("/proc/{pid}/cwd"));
        let folder = path.read_link().map_err(|source| Error::System { action: "read the link", path, source })?;
        Ok(Started { arguments, folder, root: self.path(&format!("/proc/{pid}/root")) })
    }
}

impl Started {
    /// Reads a file as the process sees it, at most so many bytes.
    ///
    /// What is no plain file is an error and is not opened: a pipe would wait, and some devices act when they are opened.
    pub fn read(&self, file: &Path, at_most: usize) -> io::Result<Vec<u8>> {
        let found = self.find(file)?;
        if FileType::from_raw_mode(fstat(&found)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it is no plain file"));
        }
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let found = format!("/proc/self/fd/{}", found.as_raw_fd());
        let file: File = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(found)?;
        let mut content = Vec::new();
        file.take(u64::try_from(at_most).unwrap_or(u64::MAX)).read_to_end(&mut content)?;
        Ok(content)
    }

    /// The names in a folder that the process sees.
    pub fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        self.place(folder).read_dir()?.map(|entry| Ok(entry?.file_name())).collect()
    }

    /// Its name, and what it was given, for people.
    pub fn shown(&self) -> Untrusted {
        Untrusted::from(self.arguments.join(" ").as_str())
    }

    /// A file by its place alone. Links lead from the process's root and not out of it; before Linux 5.6, or where a filter of system calls
    /// does not know openat2(2), an absolute one leads from the reader's.
    fn find(&self, file: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let root = open(&self.root, flags | OFlags::DIRECTORY, Mode::empty())?;
        match openat2(&root, file, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
            Err(Errno::NOSYS | Errno::PERM) => Ok(open(self.place(file), flags, Mode::empty())?),
            found => Ok(found?),
        }
    }

    /// Below its root, whatever the path climbs to. A link that is absolute leads from the reader's root, where that is another: such a
    /// file is not found, or is the reader's own.
    fn place(&self, path: &Path) -> PathBuf {
        let mut place = self.root.clone();
        for component in path.components() {
            match component {
                Component::Normal(name) => place.push(name),
                Component::ParentDir if place != self.root => drop(place.pop()),
                _ => {}
            }
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    #[test]
    fn a_process_tells_its_arguments_and_shows_its_files() {
        let tree = Tree::new();
        tree.write("proc/7/cmdline", "nginx: master process nginx -c /etc/x.conf\0\0\0");
        tree.link("proc/7/cwd", "/srv");
        tree.write("proc/7/root/etc/x.conf", "events {}\n");
        let started = tree.host().started(7).unwrap();
        assert_eq!(started.arguments, ["nginx: master process nginx -c /etc/x.conf"]);
        assert_eq!(started.folder, Path::new("/srv"));
        assert_eq!(started.read(Path::new("/etc/../../etc/./x.conf"), 6).unwrap(), b"events");
        assert_eq!(started.names(Path::new("/etc")).unwrap(), ["x.conf"]);
        assert!(started.read(Path::new("/etc/y"), 6).is_err());
        assert!(tree.host().started(8).unwrap_err().is_absent());

        // Links are the process's own, and lead nowhere else.
        tree.link("proc/7/root/etc/absolute", "/etc/x.conf");
        tree.link("proc/7/root/etc/out", "../../../../../../../../../../etc/passwd");
        tree.link("proc/7/root/etc/null", "/dev/null");
        assert_eq!(started.read(Path::new("/etc/absolute"), 6).unwrap(), b"events");
        assert!(started.read(Path::new("/etc/out"), 6).is_err());
        assert!(started.read(Path::new("/etc/null"), 6).is_err());
        let folder = started.read(Path::new("/etc"), 6).unwrap_err();
        assert_eq!(folder.to_string(), "it is no plain file");
    }
}
