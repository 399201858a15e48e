//! What was seen before anything was changed, kept for afterwards.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A document of more bytes is not kept: a host with tens of thousands of namespaces.
const MOST_BYTES: usize = 8 << 20;
/// Older ones are removed.
const MOST_FILES: usize = 16;

/// Writes a document into the folder's `evidence`, and says where. Nothing waits for the disk: what comes next is worth more.
pub(super) fn save(state_dir: &Path, taken_at_unix_secs: u64, document: &Value) -> io::Result<PathBuf> {
    let bytes = serde_json::to_vec_pretty(document)?;
    if bytes.len() > MOST_BYTES {
        return Err(io::Error::other(format!("{} bytes are more than are kept", bytes.len())));
    }
    let folder = state_dir.join("evidence");
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let (path, mut file) = create(&folder, taken_at_unix_secs)?;
    file.write_all(&bytes)?;
    drop(remove_old(&folder, &path));
    Ok(path)
}

/// A new file. A clock may be set back, and two may ask within a second: what is there stays, and what comes later has a higher number.
fn create(folder: &Path, taken_at_unix_secs: u64) -> io::Result<(PathBuf, File)> {
    let there = fs::read_dir(folder)?.filter_map(|entry| order(&entry.ok()?.path()));
    let of_this_second = there.filter(|(at, _)| *at == taken_at_unix_secs).map(|(_, number)| number);
    let mut number = of_this_second.max().unwrap_or(0).saturating_add(1);
    loop {
        let path = folder.join(format!("relieve-{taken_at_unix_secs}-{number}.json"));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Keeps the newest, and the one that was just saved: its clock may have been set back.
fn remove_old(folder: &Path, saved: &Path) -> io::Result<()> {
    let paths = fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path());
    let others = paths.filter(|path| path != saved).filter_map(|path| Some((order(&path)?, path)));
    let mut others: Vec<_> = others.collect();
    others.sort();
    let too_many = (others.len() + 1).saturating_sub(MOST_FILES);
    others.iter().take(too_many).try_for_each(|(_, path)| fs::remove_file(path))
}

/// When a file was saved, and the how manieth in its second; `None` if it is none of these.
fn order(path: &Path) -> Option<(u64, u64)> {
    let (at, number) = path.file_name()?.to_str()?.strip_prefix("relieve-")?.strip_suffix(".json")?.split_once('-')?;
    Some((at.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept_for_their_owner_alone() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let save = |at| save(folder.path(), at, &serde_json::json!({ "at": at })).unwrap();
        let files: Vec<_> = (0..20).map(|number| save(1_700_000_000 + number)).collect();
        let there: Vec<_> = files.iter().map(|file| file.exists()).collect();
        assert_eq!(there.iter().filter(|there| **there).count(), MOST_FILES);
        assert!(!there[3] && there[4] && there[19]);
        assert_eq!(files[19].metadata().unwrap().mode() & 0o777, 0o600);
        let large = Value::String("x".repeat(MOST_BYTES));
        assert!(super::save(folder.path(), 1, &large).is_err());
    }

    #[test]
    fn what_was_saved_in_the_same_second_stays() {
        let folder = tempfile::tempdir().unwrap();
        let files = [1, 2, 3].map(|what| save(folder.path(), 1_700_000_000, &what.into()).unwrap());
        assert_eq!(files.map(|file| fs::read_to_string(file).unwrap()), ["1", "2", "3"]);
    }

    #[test]
    fn what_was_just_saved_stays_wherever_the_clock_stands() {
        let folder = tempfile::tempdir().unwrap();
        let save = |at| save(folder.path(), at, &Value::Null).unwrap();
        let in_one_second: Vec<_> = (0..MOST_FILES + 2).map(|_| save(1_700_000_000)).collect();
        let there: Vec<_> = in_one_second.iter().map(|file| file.exists()).collect();
        assert!(!there[0] && !there[1] && there[2..].iter().all(|there| *there), "{there:?}");
        assert!(save(1_600_000_000).exists(), "its clock was set back");
    }
}
