//! Cells of a column, row by row.

use std::path::PathBuf;
use std::sync::Arc;

use parquet::basic::Type as Physical;

use super::file::{Chunk, Group};
use super::hybrid::Hybrid;
use super::page::{Levels, Page, Pages};
use super::values::{Values, dictionary};
use crate::error::{Error, Problem};
use crate::kind::Kind;

/// No row's list that is read is longer: a few bytes can claim that many cells.
const MOST_IN_A_LIST: usize = 1 << 20;

/// A column with one cell a row.
pub(crate) enum Required<K: Kind> {
    /// In the file.
    There(Box<Cells<K>>),
    /// Not in the file: the same for each row.
    Otherwise(K::Value),
}

/// A column with a cell a row, or none; `None` where the file has no such column.
pub(crate) struct Optional<K: Kind>(Option<Cells<K>>);

/// A column with any number of cells a row.
pub(crate) struct List<K: Kind> {
    /// `None` where the file has no such column.
    cells: Option<Cells<K>>,
    /// The first cell of the next row, which had to be read to know that a row has ended.
    ahead: Option<Cell<K::Value>>,
    values: Vec<K::Value>,
    place: Place,
}

impl<K: Kind> Required<K> {
    pub(crate) fn open(group: &Group<'_>, name: &'static str, otherwise: Option<K::Value>) -> Result<Self, Error> {
        match (Cells::open(group, name)?, otherwise) {
            (Some(cells), _) => Ok(Self::There(Box::new(cells))),
            (None, Some(value)) => Ok(Self::Otherwise(value)),
            (None, None) => Err(group.place(name).fault(Problem::NoColumn)),
        }
    }

    pub(crate) fn next(&mut self) -> Result<K::Value, Error> {
        match self {
            Self::Otherwise(value) => Ok(value.clone()),
            Self::There(cells) => cells.single()?.ok_or_else(|| cells.place.fault(Problem::Absent)),
        }
    }
}

impl<K: Kind> Optional<K> {
    pub(crate) fn open(group: &Group<'_>, name: &'static str, _: Option<K::Value>) -> Result<Self, Error> {
        Cells::open(group, name).map(Self)
    }

    pub(crate) fn next(&mut self) -> Result<Option<K::Value>, Error> {
        self.0.as_mut().map_or(Ok(None), Cells::single)
    }
}

impl<K: Kind> List<K> {
    pub(crate) fn open(group: &Group<'_>, name: &'static str, _: Option<K::Value>) -> Result<Self, Error> {
        let cells = Cells::open(group, name)?;
        Ok(Self { cells, ahead: None, values: Vec::new(), place: group.place(name) })
    }

    /// The next row's cells.
    pub(crate) fn next(&mut self) -> Result<&[K::Value], Error> {
        self.values.clear();
        let Some(cells) = &mut self.cells else { return Ok(&self.values) };
        let ended = || self.place.fault(Problem::Damaged("a column with fewer rows than its row group"));
        let first = match self.ahead.take() {
            Some(cell) => cell,
            None => cells.cell()?.ok_or_else(ended)?,
        };
        match first.value {
            Some(value) => self.values.push(value),
            None if first.definition < cells.levels.element => {}
            None => return Err(self.place.fault(Problem::Absent)),
        }
        while let Some(cell) = cells.cell()? {
            if !cell.goes_on {
                self.ahead = Some(cell);
                break;
            }
            if self.values.len() == MOST_IN_A_LIST {
                return Err(self
                    .place
                    .fault(Problem::TooMany { what: "values of a list", most: MOST_IN_A_LIST as u64 }));
            }
            self.values.push(cell.value.ok_or_else(|| self.place.fault(Problem::Absent))?);
        }
        Ok(&self.values)
    }

    /// What is wrong with a row.
    pub(crate) fn fault(&self, problem: Problem) -> Error {
        self.place.fault(problem)
    }
}

/// A file and a column of it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) path: Arc<PathBuf>,
    pub(crate) column: &'static str,
}

impl Place {
    pub(crate) fn fault(&self, problem: Problem) -> Error {
        Error::Broken { path: self.path.to_path_buf(), column: Some(self.column), problem }
    }
}

/// A cell, there or not.
struct Cell<V> {
    value: Option<V>,
    definition: u32,
    /// Whether it belongs to the same row as the one before.
    goes_on: bool,
}

/// A column's cells in a row group.
pub(crate) struct Cells<K: Kind> {
    pages: Pages,
    levels: Levels,
    physical: Physical,
    place: Place,
    /// Cells left of the page.
    left: u64,
    repetitions: Option<Hybrid>,
    definitions: Option<Hybrid>,
    dictionary: Option<Arc<[K::Value]>>,
    values: Values<K>,
}

impl<K: Kind> Cells<K> {
    fn open(group: &Group<'_>, name: &'static str) -> Result<Option<Self>, Error> {
        let place = group.place(name);
        let Some(Chunk { pages, levels, physical }) = group.column(&place, K::CELLS)? else { return Ok(None) };
        let dictionary = None;
        let (repetitions, definitions, values) = (None, None, Values::None);
        Ok(Some(Self { pages, levels, physical, place, left: 0, repetitions, definitions, dictionary, values }))
    }

    /// The one cell of a row.
    fn single(&mut self) -> Result<Option<K::Value>, Error> {
        match self.cell()? {
            Some(cell) => Ok(cell.value),
            None => Err(self.place.fault(Problem::Damaged("a column with fewer rows than its row group"))),
        }
    }

    fn cell(&mut self) -> Result<Option<Cell<K::Value>>, Error> {
        while self.left == 0 {
            match self.turn_page() {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(problem) => return Err(self.place.fault(problem)),
            }
        }
        self.left -= 1;
        self.take().map(Some).map_err(|problem| self.place.fault(problem))
    }

    fn take(&mut self) -> Result<Cell<K::Value>, Problem> {
        const BAD: Problem = Problem::Damaged("a page of levels");
        let level = |levels: &mut Option<Hybrid>| levels.as_mut().map(|levels| levels.next().ok_or(BAD)).transpose();
        let goes_on = level(&mut self.repetitions)?.unwrap_or(0) > 0;
        let definition = level(&mut self.definitions)?.unwrap_or(self.levels.present);
        let is_there = definition == self.levels.present;
        let value = is_there.then(|| self.values.next()).transpose()?;
        Ok(Cell { value, definition, goes_on })
    }

    /// Whether there was another page.
    fn turn_page(&mut self) -> Result<bool, Problem> {
        match self.pages.next()? {
            None => Ok(false),
            Some(Page::Dictionary { values, count }) => {
                self.dictionary = Some(dictionary::<K>(self.physical, values, count)?);
                Ok(true)
            }
            Some(Page::Data { cells, repetitions, definitions, values, encoding }) => {
                self.values = Values::new(self.physical, encoding, values, self.dictionary.as_ref())?;
                (self.left, self.repetitions, self.definitions) = (cells, repetitions, definitions);
                Ok(true)
            }
        }
    }
}
