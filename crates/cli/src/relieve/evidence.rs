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
    drop(remove_old(&folder));
    Ok(path)
}

/// A new file. A clock may be set back, and two may ask within a second: what is there stays.
fn create(folder: &Path, taken_at_unix_secs: u64) -> io::Result<(PathBuf, File)> {
    let mut number = 1;
    loop {
        let path = folder.join(format!("relieve-{taken_at_unix_secs}-{number}.json"));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Their names begin with the time, in as many digits for the next centuries.
fn remove_old(folder: &Path) -> io::Result<()> {
    let names = fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path());
    let is_ours = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("relieve-"));
    let mut files: Vec<_> = names.filter(is_ours).collect();
    files.sort();
    let too_many = files.len().saturating_sub(MOST_FILES);
    files.iter().take(too_many).try_for_each(fs::remove_file)
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
}
