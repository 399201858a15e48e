//! Metrics in a file, for `node_exporter`'s textfile collector: it reads whole files that end in `.prom`.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

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
    // The collector takes no file that does not end in `.prom`.
    let beside = path.with_extension("prom.new");
    let written = || -> io::Result<()> {
        // Whoever owns the folder may have laid something there: nothing is followed, and nothing is waited for.
        let _ = fs::remove_file(&beside);
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o644).open(&beside)?;
        // Whatever the umask.
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.write_all(text.as_bytes())?;
        drop(file);
        fs::rename(&beside, path)
    };
    written().map_err(|answered| {
        let _ = fs::remove_file(&beside);
        Error { path: path.to_owned(), answered }
    })
}
