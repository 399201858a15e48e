//! A recording's directory, read.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::vec;

use plimsoll_recording::{Change, IdleGap, Life, Origin, TableReading};

use super::file::RecordingFile;
use crate::column::Table;
use crate::error::Error;
use crate::segment::Segment;
use crate::tables::{ChangeColumns, Columns, GapColumns, LifeColumns, ReadingColumns};

/// A recording that is read. Somebody may be writing it: only closed segments are read, those that there were when it
/// was opened.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    origins: Vec<Origin>,
}

impl Archive {
    /// Opens the recording in a directory.
    ///
    /// # Errors
    ///
    /// If there is none, or none of its segments can be read, or a newer version wrote one. What is broken of others the
    /// rows tell.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut names = BTreeSet::new();
        let mut origins: Vec<Origin> = Vec::new();
        let mut broken = None;
        // One file of each segment tells where it comes from; of changes there are the fewest.
        for table in Table::ALL.into_iter().rev() {
            for file in files(path, table)? {
                if !names.insert(file.file_name().map(ToOwned::to_owned)) {
                    continue;
                }
                match unless_gone(RecordingFile::open(&file, table)) {
                    Ok(Some(file)) if !origins.contains(file.origin()) => origins.push(file.origin().clone()),
                    Ok(_) => {}
                    Err(error @ Error::Newer { .. }) => return Err(error),
                    Err(error) => broken = Some(error),
                }
            }
        }
        if origins.is_empty() {
            return Err(broken.unwrap_or_else(|| Error::NoRecording { path: path.to_owned() }));
        }
        origins.sort_by_key(|origin| origin.began_at);
        Ok(Self { path: path.to_owned(), origins })
    }

    /// Where it comes from: one for each time that somebody began to record, in order of time.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// Lives, in the order in which they were written: that of their ends.
    ///
    /// # Errors
    ///
    /// If the folder cannot be listed.
    pub fn lives(&self) -> Result<Rows<Life>, Error> {
        Rows::new::<LifeColumns>(&self.path)
    }

    /// Gaps, in the order in which they were written.
    ///
    /// # Errors
    ///
    /// If the folder cannot be listed.
    pub fn gaps(&self) -> Result<Rows<IdleGap>, Error> {
        Rows::new::<GapColumns>(&self.path)
    }

    /// Readings, in order of time.
    ///
    /// # Errors
    ///
    /// If the folder cannot be listed.
    pub fn readings(&self) -> Result<Rows<TableReading>, Error> {
        Rows::new::<ReadingColumns>(&self.path)
    }

    /// Changes, in the order in which they were written. Each segment begins with the settings that are in force.
    ///
    /// # Errors
    ///
    /// If the folder cannot be listed.
    pub fn changes(&self) -> Result<Rows<Change>, Error> {
        Rows::new::<ChangeColumns>(&self.path)
    }
}

/// Rows of a table, one after the other, from file to file: of one row group at a time a page of each column is in
/// memory. After a file that cannot be read further it goes on with the next one. A file that was removed meanwhile, as
/// a recorder does to keep within its space, is passed over.
pub struct Rows<T> {
    inner: Box<dyn Iterator<Item = Result<T, Error>> + Send>,
}

impl<T> Iterator for Rows<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.inner.next()
    }
}

impl<T> std::fmt::Debug for Rows<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Rows<T> {
    fn new<C>(path: &Path) -> Result<Self, Error>
    where
        C: Columns<Row = T> + Send + 'static,
        C::Cursor: Send,
    {
        let files = files(path, C::TABLE)?.into_iter();
        let reader = TableReader::<C> { files, file: None, group: 0, left: 0, cursor: None, table: PhantomData };
        Ok(Self { inner: Box::new(reader) })
    }
}

struct TableReader<C: Columns> {
    files: vec::IntoIter<PathBuf>,
    file: Option<RecordingFile>,
    /// The row group that comes next.
    group: usize,
    /// Rows left in this one.
    left: u64,
    cursor: Option<C::Cursor>,
    table: PhantomData<C>,
}

impl<C: Columns> TableReader<C> {
    /// The next row; `None` behind the last.
    fn row(&mut self) -> Result<Option<C::Row>, Error> {
        loop {
            if self.left > 0
                && let Some(cursor) = &mut self.cursor
            {
                self.left -= 1;
                return C::next(cursor).map(Some);
            }
            if let Some(group) = self.file.as_ref().and_then(|file| file.group(self.group)) {
                self.group += 1;
                self.left = group.rows()?;
                self.cursor = Some(C::cursor(&group)?);
                continue;
            }
            let Some(path) = self.files.next() else { return Ok(None) };
            self.file = unless_gone(RecordingFile::open(&path, C::TABLE))?;
            self.group = 0;
        }
    }
}

impl<C: Columns> Iterator for TableReader<C> {
    type Item = Result<C::Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.row().transpose();
        if let Some(Err(_)) = row {
            (self.file, self.cursor, self.left) = (None, None, 0);
        }
        row
    }
}

/// The closed files of a table, in the order in which they were written; before them those that were named by others, by
/// their names.
fn files(path: &Path, table: Table) -> Result<Vec<PathBuf>, Error> {
    let folder = path.join(table.name());
    let list = || -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            if !is_hidden && path.extension().is_some_and(|extension| extension == "parquet") {
                files.push(path);
            }
        }
        // By number: a clock may have been set back between two recordings.
        files.sort_by_cached_key(|path| (segment(path), path.clone()));
        Ok(files)
    };
    match list() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        answer => answer.map_err(Error::system("list", &folder)),
    }
}

fn segment(path: &Path) -> Option<Segment> {
    Segment::from_file_name(path.file_name()?.to_str()?)
}

fn unless_gone(opened: Result<RecordingFile, Error>) -> Result<Option<RecordingFile>, Error> {
    match opened {
        Err(Error::System { answer, .. }) if answer.kind() == io::ErrorKind::NotFound => Ok(None),
        answer => answer.map(Some),
    }
}
