//! Files that make settings last: written whole or not at all, and never over what somebody else has written.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::record::{FileEdit, Undone};
use crate::state_dir::{make_folder, sync_folder};

/// The folder that paths of files begin at: `/`, or another one for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(PathBuf);

/// A file as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Its absolute path.
    pub path: PathBuf,
    /// What is in it, without the marker. `#` must begin a comment in it.
    pub contents: String,
}

/// What the first line of a file of ours begins with; the checksum of all that follows it comes after.
const MARKER: &str = "# Written by plimsoll, which leaves this file alone once somebody else has changed it; checksum ";

/// No file of ours is as long.
const MOST_BYTES: u64 = 1 << 20;

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// It is not there.
    Absent,
    /// What Plimsoll wrote, marker and all.
    Ours(String),
    /// What somebody else wrote, or changed.
    Theirs,
}

impl Root {
    /// A folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    fn path(&self, absolute: &Path) -> PathBuf {
        self.0.join(absolute.strip_prefix("/").unwrap_or(absolute))
    }
}

impl Default for Root {
    fn default() -> Self {
        Self::at("/")
    }
}

/// What has to be done to have a file. An error where somebody else's is in the way.
pub fn edit(root: &Root, file: &NewFile) -> Result<FileEdit, Error> {
    let before = match content(root, &file.path)? {
        Content::Absent => None,
        Content::Ours(before) => Some(before),
        Content::Theirs => {
            return Err(Error::Refused(format!(
                "{} is not overwritten: it is not as Plimsoll wrote it. Move it away, or put these settings into it yourself and \
                 use --no-persist",
                crate::error::shown(&file.path)
            )));
        }
    };
    Ok(FileEdit { path: file.path.clone(), before, after: marked(&file.contents) })
}

/// What came of writing a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is as it is to be.
    Done,
    /// Somebody has changed it meanwhile: it was left.
    Theirs,
}

/// Writes a file, unless it is so already. Somebody else's is left.
pub fn write(root: &Root, edit: &FileEdit) -> Result<Written, Error> {
    match content(root, &edit.path)? {
        Content::Ours(found) if found == edit.after => {}
        Content::Ours(found) if Some(&found) == edit.before.as_ref() => replace(&root.path(&edit.path), &edit.after)?,
        Content::Absent if edit.before.is_none() => replace(&root.path(&edit.path), &edit.after)?,
        _ => return Ok(Written::Theirs),
    }
    Ok(Written::Done)
}

/// Makes a file what it was before, if it is still what we made of it.
pub fn restore(root: &Root, edit: &FileEdit) -> Undone {
    let restored = || -> Result<Undone, Error> {
        let path = root.path(&edit.path);
        match (content(root, &edit.path)?, &edit.before) {
            (Content::Absent, None) => Ok(Undone::NothingToDo),
            (Content::Ours(found), Some(before)) if found == *before => Ok(Undone::NothingToDo),
            (Content::Ours(found), None) if found == edit.after => {
                fs::remove_file(&path).map_err(Error::system("remove", &path))?;
                sync_folder(path.parent().unwrap_or(Path::new("/")))?;
                Ok(Undone::Restored)
            }
            (Content::Ours(found), Some(before)) if found == edit.after => {
                replace(&path, before)?;
                Ok(Undone::Restored)
            }
            _ => Ok(Undone::Superseded { found: "the file is not as Plimsoll wrote it".to_string() }),
        }
    };
    restored().unwrap_or_else(|error| Undone::Failed { answer: error.to_string() })
}

/// What is in a file now.
pub fn content(root: &Root, absolute: &Path) -> Result<Content, Error> {
    let path = root.path(absolute);
    // A link, a folder or a device is somebody else's, and is not followed.
    match path.symlink_metadata() {
        Ok(metadata) if !metadata.is_file() || metadata.len() > MOST_BYTES => return Ok(Content::Theirs),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Absent),
        Err(error) => return Err(Error::system("look at", &path)(error)),
    }
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes));
    read.map_err(Error::system("read", &path))?;
    Ok(String::from_utf8(bytes).ok().filter(|text| is_ours(text)).map_or(Content::Theirs, Content::Ours))
}

/// The text below the marker.
pub(crate) fn below_marker(ours: &str) -> &str {
    ours.split_once('\n').map_or("", |(_, below)| below)
}

fn marked(contents: &str) -> String {
    format!("{MARKER}{:016x}\n{contents}", checksum(contents))
}

fn is_ours(text: &str) -> bool {
    marked(below_marker(text)) == text
}

/// FNV-1a. It tells whether a person has changed something; who means to deceive could write the file anyway.
fn checksum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Puts a whole file in the place of another, so that whoever reads it, after a crash too, finds one or the other.
fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    make_folder(folder, &DirBuilder::new())?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Neither sysctl.d nor nft's wildcards take a name that begins with a dot.
    let temporary = folder.join(format!(".{name}.plimsoll-new"));
    let put = || -> io::Result<()> {
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o644).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    put().map_err(|answer| {
        let _ = fs::remove_file(&temporary);
        Error::System { action: "write", path: path.to_owned(), answer }
    })?;
    sync_folder(folder)
}
