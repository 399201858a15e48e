//! How a process was started, and the files that it sees.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use plimsoll_model::Untrusted;
use rustix::fs::OFlags;

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
    /// Reads a file as the process sees it, at most so many bytes, and never waits.
    pub fn read(&self, file: &Path, at_most: usize) -> io::Result<Vec<u8>> {
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(self.place(file))?;
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
    }
}
