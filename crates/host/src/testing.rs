//! Trees to read in tests: the fixtures beside the crate, and small ones made by a test.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::HostFs;

/// A captured tree under `tests/fixtures`.
pub(crate) fn fixture(name: &str) -> HostFs {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    assert!(root.is_dir(), "no fixture {name}");
    HostFs::at(root)
}

/// A tree of a test's own, removed when it is dropped.
pub(crate) struct Tree(TempDir);

impl Tree {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn host(&self) -> HostFs {
        HostFs::at(self.0.path())
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::write(self.place(path), content).unwrap();
    }

    pub(crate) fn link(&self, path: &str, to: impl AsRef<Path>) {
        std::os::unix::fs::symlink(to, self.place(path)).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.0.path().join(path)).unwrap();
    }

    /// Makes the tree's files those that its machine boots with.
    pub(crate) fn be_the_hosts(&self) {
        self.write("proc/sys/net/core/somaxconn", "128\n");
        self.link("proc/self/ns/pid", "pid:[4026531836]");
        self.link("proc/self/ns/mnt", "mnt:[4026531841]");
        self.link("proc/1/ns/mnt", "mnt:[4026531841]");
        self.link("proc/1/root", "../..");
    }

    fn place(&self, path: &str) -> PathBuf {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }
}
