//! Where the picture goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, bail};
use plimsoll_model::Untrusted;

/// The picture goes there if this is its file's name.
pub(crate) const STANDARD_OUTPUT: &str = "-";

/// Where it goes.
#[derive(Debug)]
pub(crate) enum Picture {
    None,
    ToStandardOutput,
    ToFile(PictureFile),
}

/// A file that can be written.
#[derive(Debug)]
pub(crate) struct PictureFile {
    name: String,
    file: File,
    held: Held,
}

/// What the file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// Nothing: it was made for the picture, and is removed if there is none.
    Nothing,
    /// The picture, or what was in it before.
    Something,
}

impl Picture {
    /// Opens what it is to be written to, by `--svg`: none of the files that are read, and nothing in a recording's folder.
    /// What is in the file stays until there is a picture.
    pub(crate) fn begin(name: Option<&str>, read: &[&str], recording: Option<&Path>) -> anyhow::Result<Self> {
        let Some(name) = name else { return Ok(Self::None) };
        if name == STANDARD_OUTPUT {
            return Ok(Self::ToStandardOutput);
        }
        for read in read {
            if is_one_file(name, read) {
                bail!("--svg {} would be written over what is read: name another file", Untrusted::from(name))
            }
        }
        if recording.is_some_and(|recording| is_within(name, recording)) {
            let name = Untrusted::from(name);
            bail!("--svg {name} lies within the recording, where nothing else may be: name a file elsewhere")
        }
        let made = OpenOptions::new().write(true).create_new(true).open(name);
        let (file, held) = match made {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                (OpenOptions::new().write(true).open(name), Held::Something)
            }
            made => (made, Held::Nothing),
        };
        let file = file.with_context(|| format!("writing {}", Untrusted::from(name)))?;
        Ok(Self::ToFile(PictureFile { name: name.to_string(), file, held }))
    }
}

impl PictureFile {
    /// Writes it.
    pub(crate) fn write(mut self, svg: &str) -> anyhow::Result<()> {
        self.replace(svg).with_context(|| format!("writing {}", Untrusted::from(self.name.as_str())))
    }

    fn replace(&mut self, svg: &str) -> io::Result<()> {
        // A pipe has no length.
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        self.held = Held::Something;
        self.file.write_all(svg.as_bytes())
    }
}

impl Drop for PictureFile {
    fn drop(&mut self) {
        if self.held == Held::Nothing {
            // Why there is no picture is what is said.
            let _ = fs::remove_file(&self.name);
        }
    }
}

/// Whether a file lies within a folder, or would if it were made.
pub(crate) fn is_within(name: &str, folder: &Path) -> bool {
    let parent = Path::new(name).parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = fs::canonicalize(parent.unwrap_or(Path::new(".")));
    parent.ok().zip(fs::canonicalize(folder).ok()).is_some_and(|(parent, folder)| parent.starts_with(folder))
}

/// Whether two names are those of one file that is there.
pub(crate) fn is_one_file(one: &str, other: &str) -> bool {
    let place = |name: &str| fs::metadata(name).ok().map(|file| (file.dev(), file.ino()));
    place(one).is_some_and(|place_of_one| place(other) == Some(place_of_one))
}
