//! Files that settings come from, and whether they have changed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files, each as it was just before it was read.
#[derive(Debug, Default)]
pub(crate) struct Files(Vec<(PathBuf, Stamp)>);

/// What changes when a file does; `None` while there is none: device, inode, size, and when it last changed.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

impl Files {
    /// To be called before a file is read, so that no change is missed.
    pub(super) fn note(&mut self, path: &Path) {
        self.0.push((path.to_owned(), stamp(path)));
    }

    /// Whether any has changed since.
    pub(crate) fn have_changed(&self) -> bool {
        self.0.iter().any(|(path, before)| *before != stamp(path))
    }
}

fn stamp(path: &Path) -> Stamp {
    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.size(), file.ctime(), file.ctime_nsec()))
}
