//! Opening a namespace's file.

use std::os::fd::OwnedFd;
use std::path::Path;

use plimsoll_model::Inode;
use rustix::fs::{Mode, OFlags, StatFs};

use crate::Error;

/// `include/uapi/linux/magic.h`.
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// Opens a namespace's file, and nothing else: a device in its place is not opened.
pub(crate) fn open_namespace(path: &Path) -> Result<(Inode, OwnedFd), Error> {
    let failed =
        |action| move |errno: rustix::io::Errno| Error::System { action, path: path.into(), source: errno.into() };
    let is_namespace = |file_system: StatFs| {
        let problem = "is not a namespace";
        match u64::try_from(file_system.f_type) {
            Ok(NSFS_MAGIC) => Ok(()),
            _ => Err(Error::Malformed { path: path.into(), line: None, item: Vec::new(), problem }),
        }
    };
    is_namespace(rustix::fs::statfs(path).map_err(failed("look at"))?)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(failed("open"))?;
    // It may have been unmounted in between.
    is_namespace(rustix::fs::fstatfs(&file).map_err(failed("look at"))?)?;
    let stat = rustix::fs::fstat(&file).map_err(failed("look at"))?;
    Ok((Inode(stat.st_ino), file))
}
