//! Metrics in a file, for `node_exporter`'s textfile collector: it reads whole files that end in `.prom`, and so nothing that is being
//! written beside them.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::replace::{Manner, rehearse, replace};

/// What could not be done with the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Writing it.
    #[error("writing metrics to {}: {answered}; its folder has to be there, and this program's own", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system answered.
        #[source]
        answered: io::Error,
    },
    /// Removing it.
    #[error(
        "removing metrics from {}: {answered}; they are not written any more, and node_exporter tells them until you remove the file",
        path.display()
    )]
    Remove {
        /// Which.
        path: PathBuf,
        /// What the system answered.
        #[source]
        answered: io::Error,
    },
}

/// Writes metrics beside the file and puts them in its place, so that whoever reads it reads all of it. Everybody may read it:
/// `node_exporter` runs as another user.
pub fn write(path: &Path, text: &str) -> Result<(), Error> {
    let written = replace(path, Manner::Shown, |file| file.write_all(text.as_bytes()));
    written.map(drop).map_err(|answered| Error::Write { path: path.to_owned(), answered })
}

/// Whether metrics could be written there. Nothing is left of it.
pub fn try_out(path: &Path) -> Result<(), Error> {
    rehearse(path, Manner::Shown).map_err(|answered| Error::Write { path: path.to_owned(), answered })
}

/// Removes the file, if it is there.
pub fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(answered) if answered.kind() != io::ErrorKind::NotFound => {
            Err(Error::Remove { path: path.to_owned(), answered })
        }
        _ => Ok(()),
    }
}
