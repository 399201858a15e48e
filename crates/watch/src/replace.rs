//! Whole files in the place of others: whoever reads one, after a crash too, finds the old one or the new one.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It is this program's own, and has to outlast a crash: it is on the disk before it has its name, and its name is before this returns.
    Kept,
    /// It is for everybody to read, whatever the umask, and is written anew in seconds.
    Shown,
}

impl Manner {
    fn mode(self) -> u32 {
        match self {
            Self::Kept => 0o600,
            Self::Shown => 0o644,
        }
    }
}

/// Writes a file beside another, and puts it in its place; returns how many bytes it has.
pub(crate) fn replace(
    path: &Path,
    manner: Manner,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<u64> {
    let beside = beside(path);
    let put = || -> io::Result<u64> {
        let file = written(&beside, manner, write)?;
        if manner == Manner::Kept {
            file.sync_all()?;
        }
        let bytes = file.metadata()?.len();
        fs::rename(&beside, path)?;
        if manner == Manner::Kept {
            File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()?;
        }
        Ok(bytes)
    };
    // Half of it is of no use, and takes room that a full disk has not.
    put().inspect_err(|_| drop(fs::remove_file(&beside)))
}

/// Whether a file could be put there: all of it but the last step.
pub(crate) fn rehearse(path: &Path, manner: Manner) -> io::Result<()> {
    let beside = beside(path);
    let rehearsed = written(&beside, manner, |_| Ok(())).map(drop);
    let _ = fs::remove_file(&beside);
    rehearsed
}

fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".new");
    name.into()
}

fn written(
    beside: &Path,
    manner: Manner,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<File> {
    // Whoever owns the folder may have laid something there: nothing is followed, and nothing is waited for.
    let _ = fs::remove_file(beside);
    let file = OpenOptions::new().create_new(true).write(true).mode(manner.mode()).open(beside)?;
    if manner == Manner::Shown {
        // Whatever the umask.
        file.set_permissions(Permissions::from_mode(manner.mode()))?;
    }
    let mut writer = BufWriter::new(file);
    write(&mut writer)?;
    writer.into_inner().map_err(io::IntoInnerError::into_error)
}
