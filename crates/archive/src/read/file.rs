//! A file of a recording: its footer, and its row groups.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::schema::types::Type;
use plimsoll_model::Untrusted;
use plimsoll_recording::Origin;
use rustix::fs::OFlags;

use super::cells::Place;
use super::page::{Levels, Pages};
use crate::column::{Cells, Table};
use crate::error::{Error, Problem};
use crate::footer;

/// No footer that is read is longer: a row group of lives takes about 4 kB in it.
const MOST_FOOTER_BYTES: u64 = 16 << 20;

/// No row group that is read has more rows: usual ones have at most a million, and a few bytes can claim any number.
const MOST_ROWS_A_GROUP: u64 = 1 << 26;

/// A closed file of a recording.
#[derive(Debug)]
pub(crate) struct RecordingFile {
    file: Arc<File>,
    path: Arc<PathBuf>,
    metadata: ParquetMetaData,
    origin: Origin,
}

impl RecordingFile {
    /// Opens one and reads its footer.
    pub(crate) fn open(path: &Path, table: Table) -> Result<Self, Error> {
        let file = open_regular(path)?;
        let broken = |problem| Error::Broken { path: path.to_owned(), column: None, problem };
        let length = file.metadata().map_err(Error::system("look at", path))?.len();
        check_footer(&file, length).map_err(broken)?;
        let parsed = ParquetMetaDataReader::new().parse_and_finish(&file);
        let metadata =
            parsed.map_err(|error| broken(Problem::Metadata(Untrusted::from_bytes(error.to_string().as_bytes()))))?;
        let none = Vec::new();
        let pairs = metadata.file_metadata().key_value_metadata().unwrap_or(&none);
        let version = footer::version(pairs).map_err(broken)?;
        if version > footer::VERSION {
            return Err(Error::Newer { path: path.to_owned(), version });
        }
        let origin = footer::read(pairs, table).map_err(broken)?;
        Ok(Self { file: Arc::new(file), path: Arc::new(path.to_owned()), metadata, origin })
    }

    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// A row group, counted from 0.
    pub(crate) fn group(&self, index: usize) -> Option<Group<'_>> {
        Some(Group { file: self, metadata: self.metadata.row_groups().get(index)? })
    }
}

/// A row group of a file.
pub(crate) struct Group<'a> {
    file: &'a RecordingFile,
    metadata: &'a RowGroupMetaData,
}

/// Where a column of a row group lies, and how.
pub(crate) struct Chunk {
    pub(crate) pages: Pages,
    pub(crate) levels: Levels,
    pub(crate) physical: Physical,
}

impl Group<'_> {
    pub(crate) fn rows(&self) -> Result<u64, Error> {
        let broken = |problem| Error::Broken { path: self.file.path.to_path_buf(), column: None, problem };
        match u64::try_from(self.metadata.num_rows()) {
            Ok(rows) if rows <= MOST_ROWS_A_GROUP => Ok(rows),
            Ok(_) => Err(broken(Problem::TooMany { what: "rows of a row group", most: MOST_ROWS_A_GROUP })),
            Err(_) => Err(broken(Problem::Damaged("the number of rows"))),
        }
    }

    pub(crate) fn place(&self, column: &'static str) -> Place {
        Place { path: Arc::clone(&self.file.path), column }
    }

    /// The column of a place; `None` where there is none.
    pub(crate) fn column(&self, place: &Place, cells: Cells) -> Result<Option<Chunk>, Error> {
        let is_it = |name: Option<&String>| name.is_some_and(|name| name == place.column);
        let mut found = self.metadata.columns().iter().enumerate();
        let Some((index, chunk)) = found.find(|(_, chunk)| is_it(chunk.column_path().parts().first())) else {
            return Ok(None);
        };
        let wrong = || place.fault(Problem::Type);
        let descriptor = chunk.column_descr();
        let physical = descriptor.physical_type();
        if !fits(cells, physical, descriptor.logical_type_ref()) {
            return Err(wrong());
        }
        let schema = self.metadata.schema_descr();
        let root = (index < schema.num_columns()).then(|| schema.get_column_root(index));
        let levels = root.and_then(levels).ok_or_else(wrong)?;
        let pages = Pages::new(Arc::clone(&self.file.file), chunk, levels);
        Ok(Some(Chunk { pages: pages.map_err(|problem| place.fault(problem))?, levels, physical }))
    }
}

/// Nothing waits for a pipe's other end, and nothing is read from a device.
fn open_regular(path: &Path) -> Result<File, Error> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(Error::system("open", path))?;
    let metadata = file.metadata().map_err(Error::system("look at", path))?;
    if metadata.is_file() { Ok(file) } else { Err(Error::NotAFile { path: path.to_owned() }) }
}

fn check_footer(file: &File, length: u64) -> Result<(), Problem> {
    let mut end = [0; 8];
    let at = length.checked_sub(8).ok_or(Problem::NotParquet)?;
    file.read_exact_at(&mut end, at).map_err(|_| Problem::NotParquet)?;
    let [a, b, c, d, magic @ ..] = end;
    if magic != *b"PAR1" {
        return Err(Problem::NotParquet);
    }
    let says = u64::from(u32::from_le_bytes([a, b, c, d]));
    let most = MOST_FOOTER_BYTES.min(at);
    if says > most { Err(Problem::Footer { says, most }) } else { Ok(()) }
}

fn fits(cells: Cells, physical: Physical, logical: Option<&LogicalType>) -> bool {
    match cells {
        // Other programs may choose the other width, and values are checked one by one.
        Cells::Int32 | Cells::Int64 => matches!(physical, Physical::INT32 | Physical::INT64),
        Cells::Moment => {
            physical == Physical::INT64
                && matches!(logical, Some(LogicalType::Timestamp(time)) if time.unit == TimeUnit::MICROS)
        }
        Cells::Double => physical == Physical::DOUBLE,
        Cells::Bool => physical == Physical::BOOLEAN,
        Cells::Text => physical == Physical::BYTE_ARRAY,
    }
}

/// The levels of a column of one cell, or of a list; `None` for anything deeper.
fn levels(root: &Type) -> Option<Levels> {
    let mut levels = Levels { present: 0, element: 0, repeated: 0 };
    let mut node = root;
    loop {
        let info = node.get_basic_info();
        match info.has_repetition().then(|| info.repetition()) {
            Some(Repetition::OPTIONAL) => levels.present += 1,
            Some(Repetition::REPEATED) => {
                levels.present += 1;
                levels.repeated += 1;
                levels.element = levels.present;
            }
            Some(Repetition::REQUIRED) | None => {}
        }
        if node.is_primitive() {
            return (levels.repeated <= 1).then_some(levels);
        }
        let [child] = node.get_fields() else { return None };
        node = child;
    }
}
