//! The open segment: a file for each table, and the rows that wait for it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use plimsoll_recording::Origin;

use super::schema::{properties, schema};
use crate::directory::Directory;
use crate::error::Error;
use crate::footer;
use crate::segment::Segment;
use crate::tables::{ChangeColumns, Columns, GapColumns, LifeColumns, ReadingColumns};

/// Rows of a row group: enough for dictionaries to be of use, few enough to be written in a few tens of milliseconds.
pub(crate) const ROWS_A_GROUP: usize = 32_768;

/// Lives with long paths make a row group of fewer rows: of so many states.
const CELLS_A_GROUP: usize = 8 * ROWS_A_GROUP;

/// The open segment's four tables.
pub(crate) struct OpenSegment {
    pub(crate) segment: Segment,
    pub(crate) lives: TableWriter<LifeColumns>,
    pub(crate) gaps: TableWriter<GapColumns>,
    pub(crate) readings: TableWriter<ReadingColumns>,
    pub(crate) changes: TableWriter<ChangeColumns>,
}

impl OpenSegment {
    pub(crate) fn begin(directory: &Directory, segment: Segment, origin: &Origin) -> Result<Self, Error> {
        Ok(Self {
            segment,
            lives: TableWriter::begin(directory, segment, origin)?,
            gaps: TableWriter::begin(directory, segment, origin)?,
            readings: TableWriter::begin(directory, segment, origin)?,
            changes: TableWriter::begin(directory, segment, origin)?,
        })
    }

    /// Closes this one and begins another, with the memory of this one.
    pub(crate) fn turn(&mut self, directory: &Directory, segment: Segment, origin: &Origin) -> Result<u64, Error> {
        let bytes = self.close(directory)?;
        self.segment = segment;
        self.lives.open(directory, segment, origin)?;
        self.gaps.open(directory, segment, origin)?;
        self.readings.open(directory, segment, origin)?;
        self.changes.open(directory, segment, origin)?;
        Ok(bytes)
    }

    /// Closes it, and tells how many bytes it has.
    pub(crate) fn close(&mut self, directory: &Directory) -> Result<u64, Error> {
        let closed = [self.lives.close()?, self.gaps.close()?, self.readings.close()?, self.changes.close()?];
        directory.publish(self.segment)?;
        // They have other names now.
        let bytes = closed.iter().map(|file| file.bytes).sum();
        closed.into_iter().for_each(ClosedFile::keep);
        Ok(bytes)
    }

    /// Bytes of the files, without what waits.
    pub(crate) fn bytes(&self) -> u64 {
        self.lives.bytes() + self.gaps.bytes() + self.readings.bytes() + self.changes.bytes()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lives.is_empty() && self.gaps.is_empty() && self.readings.is_empty() && self.changes.is_empty()
    }
}

impl fmt::Debug for OpenSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSegment").field("segment", &self.segment).finish_non_exhaustive()
    }
}

/// Whether a row had others written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It waits in memory.
    Waits,
    /// A row group was written.
    Wrote,
}

/// A table's file, and the rows that wait for it.
pub(crate) struct TableWriter<C: Columns> {
    columns: C,
    rows: usize,
    file: Option<OpenFile>,
    path: PathBuf,
}

impl<C: Columns> TableWriter<C> {
    fn begin(directory: &Directory, segment: Segment, origin: &Origin) -> Result<Self, Error> {
        let mut writer = Self { columns: C::default(), rows: 0, file: None, path: PathBuf::new() };
        writer.open(directory, segment, origin)?;
        Ok(writer)
    }

    fn open(&mut self, directory: &Directory, segment: Segment, origin: &Origin) -> Result<(), Error> {
        self.path = directory.folder(C::TABLE).join(Segment::open_name(segment.number));
        let file = create(&self.path).map_err(Error::system("begin", &self.path))?;
        let temporary = Temporary(Some(self.path.clone()));
        let properties = Arc::new(properties::<C>(footer::write(origin, C::TABLE)));
        let writer = schema::<C>().and_then(|schema| SerializedFileWriter::new(file, schema, properties));
        let writer = writer.map_err(|error| failed(&self.path, error))?;
        self.file = Some(OpenFile { writer, temporary });
        Ok(())
    }

    /// Takes a row.
    pub(crate) fn push(&mut self, row: &C::Row) -> Result<Pushed, Error> {
        self.columns.push(row);
        self.rows += 1;
        if self.rows < ROWS_A_GROUP && self.columns.in_lists() < CELLS_A_GROUP {
            return Ok(Pushed::Waits);
        }
        self.flush()?;
        Ok(Pushed::Wrote)
    }

    fn flush(&mut self) -> Result<(), Error> {
        let Some(file) = &mut self.file else { return Err(Error::Over { path: self.path.clone() }) };
        if self.rows == 0 {
            return Ok(());
        }
        let mut write = || {
            let mut group = file.writer.next_row_group()?;
            self.columns.flush(&mut group)?;
            group.close()
        };
        write().map_err(|error| failed(&self.path, error))?;
        self.rows = 0;
        Ok(())
    }

    /// Writes what waits and the footer, and brings both to the disk.
    fn close(&mut self) -> Result<ClosedFile, Error> {
        self.flush()?;
        let Some(mut file) = self.file.take() else { return Err(Error::Over { path: self.path.clone() }) };
        file.writer.finish().map_err(|error| failed(&self.path, error))?;
        file.writer.inner().sync_all().map_err(Error::system("bring to the disk", &self.path))?;
        Ok(ClosedFile { bytes: file.writer.bytes_written() as u64, temporary: file.temporary })
    }

    fn bytes(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| file.writer.bytes_written() as u64)
    }

    fn is_empty(&self) -> bool {
        self.rows == 0 && self.file.as_ref().is_none_or(|file| file.writer.flushed_row_groups().is_empty())
    }
}

struct OpenFile {
    writer: SerializedFileWriter<File>,
    temporary: Temporary,
}

struct ClosedFile {
    bytes: u64,
    temporary: Temporary,
}

impl ClosedFile {
    fn keep(mut self) {
        self.temporary.0 = None;
    }
}

/// A file that is removed unless it is kept (`None`).
struct Temporary(Option<PathBuf>);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What cannot be removed the next recorder finds.
            let _ = fs::remove_file(path);
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn failed(path: &Path, error: ParquetError) -> Error {
    let problem = match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(answer) => return Error::system("write", path)(*answer),
            Err(source) => source.to_string(),
        },
        other => other.to_string(),
    };
    Error::Encoding { path: path.to_owned(), problem }
}
