//! The directory of a recording, as its writer has it.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::column::Table;
use crate::error::Error;
use crate::segment::Segment;

/// A directory that this process alone writes to.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Held open for its lock.
    _lock: File,
}

/// What lay in a directory.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Closed segments, with the bytes of their files.
    pub(crate) closed: BTreeMap<Segment, u64>,
    /// Segments that were left open, by number.
    pub(crate) left_open: Vec<u32>,
}

impl Directory {
    /// Makes it, if need be, and its folders, and takes its lock.
    pub(crate) fn claim(path: &Path) -> Result<Self, Error> {
        let make = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path);
        make(path).map_err(Error::system("make the directory", path))?;
        let lock = File::open(path).map_err(Error::system("open", path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { path: path.to_owned() }),
            Err(TryLockError::Error(answer)) => return Err(Error::system("lock", path)(answer)),
        }
        let directory = Self { path: path.to_owned(), _lock: lock };
        directory.check_is_ours()?;
        for table in Table::ALL {
            let folder = directory.folder(table);
            make(&folder).map_err(Error::system("make the directory", &folder))?;
        }
        Ok(directory)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn folder(&self, table: Table) -> PathBuf {
        self.path.join(table.name())
    }

    /// What lies in it.
    pub(crate) fn contents(&self) -> Result<Contents, Error> {
        let mut contents = Contents::default();
        for table in Table::ALL {
            for path in list(&self.folder(table))? {
                let occupied = || Error::Occupied { path: self.path.clone(), found: path.clone() };
                let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(occupied)?;
                let metadata = fs::symlink_metadata(&path).map_err(Error::system("look at", &path))?;
                if !metadata.is_file() {
                    return Err(occupied());
                }
                match (Segment::from_file_name(name), Segment::number_of_open_name(name)) {
                    (Some(segment), _) => *contents.closed.entry(segment).or_default() += metadata.len(),
                    (None, Some(number)) => contents.left_open.push(number),
                    (None, None) => return Err(occupied()),
                }
            }
        }
        contents.left_open.sort_unstable();
        contents.left_open.dedup();
        Ok(contents)
    }

    /// Removes a closed segment.
    pub(crate) fn remove(&self, segment: Segment) -> Result<(), Error> {
        for table in Table::ALL {
            remove(&self.folder(table).join(segment.file_name()))?;
        }
        Ok(())
    }

    /// Removes what was left of an open segment.
    pub(crate) fn remove_open(&self, number: u32) -> Result<(), Error> {
        for table in Table::ALL {
            remove(&self.folder(table).join(Segment::open_name(number)))?;
        }
        Ok(())
    }

    /// Gives the files of a segment, all of which are whole and on the disk, their names.
    pub(crate) fn publish(&self, segment: Segment) -> Result<(), Error> {
        for table in Table::ALL {
            let folder = self.folder(table);
            let open = folder.join(Segment::open_name(segment.number));
            match fs::rename(&open, folder.join(segment.file_name())) {
                // It was given its name before a crash.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                answer => answer.map_err(Error::system("rename", &open))?,
            }
            let sync = || File::open(&folder)?.sync_all();
            sync().map_err(Error::system("bring to the disk", &folder))?;
        }
        Ok(())
    }

    fn check_is_ours(&self) -> Result<(), Error> {
        for path in list(&self.path)? {
            let name = path.file_name().and_then(|name| name.to_str());
            let is_table = name.is_some_and(|name| Table::ALL.iter().any(|table| table.name() == name));
            let is_folder = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
            // A file system's own.
            let is_lost_and_found = name == Some("lost+found");
            if !(is_folder && (is_table || is_lost_and_found)) {
                return Err(Error::Occupied { path: self.path.clone(), found: path });
            }
        }
        Ok(())
    }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let list = || fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>();
    list().map_err(Error::system("list", folder))
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        answer => answer.map_err(Error::system("remove", path)),
    }
}
