//! Files that somebody names.

use std::fs::{self, File};

use anyhow::bail;

/// Opens a file for reading. What is no regular file may have no end, or be silent for ever.
pub(crate) fn open_regular(name: &str) -> anyhow::Result<File> {
    // Opening a FIFO waits for a writer: asked before.
    if !fs::metadata(name)?.is_file() {
        bail!("it is no regular file")
    }
    Ok(File::open(name)?)
}
