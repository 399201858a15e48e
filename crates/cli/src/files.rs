//! Files that somebody names.

use std::fs::{self, File};
use std::io::Read;

use anyhow::bail;

/// Far more than a text has that is read whole.
const MOST_BYTES: u64 = 1 << 20;

/// Opens a file for reading. What is no regular file may have no end, or be silent for ever.
pub(crate) fn open_regular(name: &str) -> anyhow::Result<File> {
    // Opening a FIFO waits for a writer: asked before.
    if !fs::metadata(name)?.is_file() {
        bail!("it is no regular file")
    }
    Ok(File::open(name)?)
}

/// The text of a file that is not large: a scenario, a document.
pub(crate) fn read_small(name: &str) -> anyhow::Result<String> {
    read_at_most(open_regular(name)?, MOST_BYTES)
}

/// All of a text, if it has no more than so many bytes.
pub(crate) fn read_at_most(from: impl Read, most_bytes: u64) -> anyhow::Result<String> {
    let mut text = String::new();
    if from.take(most_bytes + 1).read_to_string(&mut text)? as u64 > most_bytes {
        bail!("it is larger than such a file may be: {} MiB", most_bytes >> 20)
    }
    Ok(text)
}
