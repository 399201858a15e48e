//! How a process was started, and the files that it sees.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use plimsoll_model::Untrusted;

use crate::rooted::{Root, read_start};
use crate::{Error, HostFs};

/// How a process was started, and the files that it sees.
#[derive(Debug)]
pub struct Started {
    /// Its arguments, its name first. The process can write over them, as nginx does.
    pub arguments: Vec<String>,
    /// Its working folder, as it sees it.
    pub folder: PathBuf,
    /// Where its files are.
    root: Root,
    /// Where its program is for others: `/proc/<pid>/exe`.
    program: PathBuf,
}

/// What is read of a command line: a process can make its own as long as it likes.
const MOST_COMMAND_BYTES: usize = 256 << 10;
const MOST_ARGUMENTS: usize = 4096;

impl HostFs {
    /// How a process was started. Its folder and files take the right to look at it: root, or `CAP_SYS_PTRACE`.
    ///
    /// Where a process has changed its root since it was started, as `HAProxy` does, its files are those that it saw before.
    pub fn started(&self, pid: u32) -> Result<Started, Error> {
        let of = |what: &str| self.path(&format!("/proc/{pid}/{what}"));
        let command = of("cmdline");
        let text = File::open(&command).and_then(|file| read_start(file, MOST_COMMAND_BYTES));
        let text = text.map_err(failed("read", &command))?;
        let arguments = text.split(|byte| *byte == 0).take(MOST_ARGUMENTS);
        let mut arguments: Vec<_> = arguments.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        // Each ends with a zero, and a title that was written over the first may leave many.
        while arguments.last().is_some_and(String::is_empty) {
            arguments.pop();
        }
        let (root, folder) = root_and_folder(of)?;
        Ok(Started { arguments, folder, root, program: of("exe") })
    }
}

impl Started {
    /// Reads a regular file as the process sees it, at most so many bytes. Nothing else is opened: neither a device nor a FIFO, nor what
    /// the kernel makes up while it is read.
    pub fn read(&self, file: &Path, at_most: usize) -> io::Result<Vec<u8>> {
        self.root.read(file, at_most)
    }

    /// The names in a folder that the process sees, at most so many.
    pub fn names(&self, folder: &Path, at_most: usize) -> io::Result<Vec<OsString>> {
        self.root.names(folder, at_most)
    }

    /// The file of its program, also where that is no longer there.
    pub fn program(&self) -> io::Result<File> {
        File::open(&self.program)
    }

    /// Its name, and what it was given, for people.
    pub fn shown(&self) -> Untrusted {
        Untrusted::from(self.arguments.join(" ").as_str())
    }
}

/// Where the files are that a process was started with, and its folder there.
fn root_and_folder(of: impl Fn(&str) -> PathBuf) -> Result<(Root, PathBuf), Error> {
    let link = |what: &str| of(what).read_link().map_err(failed("read the link", &of(what)));
    let root = Root::open(&of("root")).map_err(failed("open", &of("root")))?;
    let folder = link("cwd")?;
    // Links of /proc tell a place from the top of its mount namespace, or from Plimsoll's own root.
    let below = match of("root").read_link() {
        Ok(place) => place,
        // In a captured tree it is a folder.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => PathBuf::from("/"),
        Err(error) => return Err(failed("read the link", &of("root"))(error)),
    };
    if below == Path::new("/") {
        return Ok((root, folder));
    }
    if let Some(before) = link("exe").ok().and_then(|program| before_chroot(&root, &below, &program, &of("exe"))) {
        return Ok((before, folder));
    }
    let folder = folder.strip_prefix(&below).map_or(folder.clone(), |inside| Path::new("/").join(inside));
    Ok((root, folder))
}

/// The root that a process had when it was started, if that was another one: its program is there, and not below the root that it has now.
/// A process that was started below its root has no program outside, so it cannot make Plimsoll look there.
fn before_chroot(root: &Root, below: &Path, program: &Path, exe: &Path) -> Option<Root> {
    if program.starts_with(below) {
        return None;
    }
    let before = root.above(below.components().count()).ok()?;
    let (there, runs) = (before.state(program).ok()?, exe.metadata().ok()?);
    (there.st_dev == runs.dev() && there.st_ino == runs.ino()).then_some(before)
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::System { action, path: path.clone(), source }
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
        assert_eq!(started.names(Path::new("/etc"), 9).unwrap(), ["x.conf"]);
        assert!(started.read(Path::new("/etc/y"), 6).is_err());
        assert!(tree.host().started(8).unwrap_err().is_absent());
    }

    #[test]
    fn a_command_line_without_end_is_cut() {
        let tree = Tree::new();
        tree.write("proc/7/cmdline", "x\0".repeat(MOST_COMMAND_BYTES));
        tree.link("proc/7/cwd", "/");
        tree.write("proc/7/root/x", "");
        assert_eq!(tree.host().started(7).unwrap().arguments.len(), MOST_ARGUMENTS);
    }

    #[test]
    fn a_root_that_was_changed_later_hides_nothing() {
        let tree = Tree::new();
        let place = |path: &str| tree.host().path(path);
        let started = |folder: &str, program: &str| {
            for (link, to) in [("root", "/jail"), ("cwd", folder), ("exe", program)] {
                drop(std::fs::remove_file(place(&format!("proc/7/{link}"))));
                tree.link(&format!("proc/7/{link}"), place(to));
            }
            tree.host().started(7).unwrap()
        };
        tree.write("proc/7/cmdline", "haproxy\0");
        tree.write("jail/bin/haproxy", "inside");
        tree.write("bin/haproxy", "outside");
        tree.write("etc/x.cfg", "global\n");
        let after = started("/jail", "/bin/haproxy");
        assert_eq!(after.read(&place("/etc/x.cfg"), 6).unwrap(), b"global");
        assert_eq!(after.folder, place("/jail"));
        // Started below it: nothing outside is shown, and places are told from there.
        let inside = started("/jail/srv", "/jail/bin/haproxy");
        assert_eq!(inside.read(Path::new("/bin/haproxy"), 6).unwrap(), b"inside");
        assert!(inside.read(&place("/etc/x.cfg"), 6).is_err());
        assert_eq!(inside.folder, Path::new("/srv"));
        // A program that is nowhere, as one of memfd_create(2) is.
        let nowhere = started("/jail", "/memfd:haproxy (deleted)");
        assert!(nowhere.read(&place("/etc/x.cfg"), 6).is_err());
    }
}
