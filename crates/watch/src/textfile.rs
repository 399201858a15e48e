//! Metrics in a file, for `node_exporter`'s textfile collector: it reads whole files that end in `.prom`, and so nothing that is being
//! written beside them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::replace::{Manner, rehearse, replace};

/// The file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("writing metrics to {path}: {answered}; its folder has to be there, and this program's own", path = path.display())]
pub struct Error {
    path: PathBuf,
    #[source]
    answered: io::Error,
}

/// Writes metrics beside the file and puts them in its place, so that whoever reads it reads all of it. Everybody may read it:
/// `node_exporter` runs as another user.
pub fn write(path: &Path, text: &str) -> Result<(), Error> {
    let written = replace(path, Manner::Shown, |file| file.write_all(text.as_bytes()));
    written.map(drop).map_err(|answered| Error { path: path.to_owned(), answered })
}

/// Whether metrics could be written there. Nothing is left of it.
pub fn try_out(path: &Path) -> Result<(), Error> {
    rehearse(path, Manner::Shown).map_err(|answered| Error { path: path.to_owned(), answered })
}
