//! Names that are a lab's own, and what labs that are gone have left under theirs.
//!
//! A name by itself proves nothing: anybody may call a namespace as a lab does, and in another PID namespace a process id
//! is another process. So a lab holds a lock (flock(2)) on a file of its own for as long as it lives. The kernel drops it
//! when the process ends, whatever ended it, and it counts in every PID namespace. The file is closed on exec, so
//! programs that the lab starts do not hold the lock on.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Error;

/// Where named network namespaces are, by ip-netns(8).
pub(crate) const NAMESPACES: &str = "/run/netns";

/// Where labs have their lock files, and their servers' folders.
const DIRECTORY: &str = "/run/plimsoll-lab";
const PREFIX: &str = "plimsoll-lab-";

/// A name that no other lab takes while this is there.
#[derive(Debug)]
pub(crate) struct Claim {
    name: String,
    /// Open, and thereby locked.
    _lock: File,
}

impl Claim {
    /// Takes a name that nobody has.
    pub(crate) fn take() -> Result<Self, Error> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        own_directory().map_err(|answer| failed(Path::new(DIRECTORY), &answer))?;
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{PREFIX}{}-{number}", std::process::id());
            // Another lab's, or somebody else's: what is there was not made by this one.
            if Path::new(NAMESPACES).join(&name).symlink_metadata().is_ok() {
                continue;
            }
            let path = lock_of(&name);
            let file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(answer) => return Err(failed(&path, &answer)),
            };
            // A sweep may have come between.
            if let Some(lock) = locked(file, &path).map_err(|answer| failed(&path, &answer))? {
                return Ok(Self { name, _lock: lock });
            }
        }
    }

    /// The name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A folder of this name's own, which need not be there.
    pub(crate) fn folder(&self) -> PathBuf {
        Path::new(DIRECTORY).join(&self.name)
    }

    /// The same, made where it is not there yet.
    pub(crate) fn own_folder(&self) -> Result<PathBuf, Error> {
        let folder = self.folder();
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(answer) if answer.kind() != ErrorKind::AlreadyExists => Err(failed(&folder, &answer)),
            _ => Ok(folder),
        }
    }

    /// Gives the name up, once nothing is left under it but the folder.
    pub(crate) fn release(&self) {
        let removed = fs::remove_dir_all(self.folder());
        // Where it was never made there is nothing to remove.
        if let Err(answer) = removed
            && answer.kind() != ErrorKind::NotFound
        {
            return eprintln!("the lab could not remove {}: {answer}", self.folder().display());
        }
        // Last, while the lock is held: until then a later lab finds what is left.
        drop(fs::remove_file(lock_of(&self.name)));
    }
}

/// The names of labs that are gone, with all that they left.
pub(crate) fn left_behind() -> Vec<Claim> {
    let Ok(directory) = own_directory().and_then(|()| fs::read_dir(DIRECTORY)) else { return Vec::new() };
    let files = directory.flatten().filter_map(|entry| {
        let file = entry.file_name();
        let name = file.to_str()?.strip_suffix(".lock").filter(|name| is_name(name))?.to_string();
        let path = entry.path();
        let lock = locked(File::open(&path).ok()?, &path).ok()??;
        Some(Claim { name, _lock: lock })
    });
    files.collect()
}

/// Whether a namespace of this name is a lab's.
pub(crate) fn is_of_a_lab(name: &str) -> bool {
    is_name(name) && lock_of(name).exists()
}

fn is_name(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
    numbers.is_some_and(|(pid, number)| is_number(pid) && is_number(number))
}

fn lock_of(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(format!("{name}.lock"))
}

/// The file with its lock, if nobody else has it and it is still the one at this path: who holds the lock may have
/// removed it meanwhile.
fn locked(file: File, path: &Path) -> io::Result<Option<File>> {
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    let of = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let is_there = match path.symlink_metadata() {
        Ok(metadata) => of(metadata) == of(file.metadata()?),
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    Ok(is_there.then_some(file))
}

/// Sees to it that the directory is there, and nobody else's: who can write to it could have namespaces removed.
fn own_directory() -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(DIRECTORY) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let there = fs::symlink_metadata(DIRECTORY)?;
    let is_own = there.is_dir() && there.uid() == rustix::process::geteuid().as_raw() && there.mode() & 0o022 == 0;
    if is_own {
        Ok(())
    } else {
        Err(io::Error::other("it is not a directory to which only its owner, root, can write"))
    }
}

fn failed(path: &Path, answer: &io::Error) -> Error {
    Error::Claim { path: path.to_path_buf(), answer: answer.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_and_a_number_are_a_name() {
        assert!(is_name("plimsoll-lab-4711-0"));
        for other in
            ["plimsoll-lab-mydemo", "plimsoll-lab-4711", "plimsoll-lab-4711-", "plimsoll-lab--0", "plimsoll-lab-1-0-0"]
        {
            assert!(!is_name(other), "{other}");
        }
    }
}
