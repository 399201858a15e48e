//! Tables whose first line names the columns: values are had by name, never by position.

use crate::Error;
use crate::text::Line;

/// The names of a table's columns.
#[derive(Debug)]
pub(crate) struct Columns<'a> {
    names: Vec<&'a [u8]>,
}

/// A line of the table, each value beside its column's name.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    line: Line<'a>,
    cells: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Columns<'a> {
    pub(crate) fn new(names: impl Iterator<Item = &'a [u8]>) -> Self {
        Self { names: names.collect() }
    }

    /// A line under these columns; an error where it has more or fewer values than there are columns.
    pub(crate) fn row(&self, line: Line<'a>) -> Result<Row<'a>, Error> {
        let values: Vec<&[u8]> = line.words().collect();
        if values.len() != self.names.len() {
            return Err(line.error(line.bytes(), "has more or fewer values than the header has columns"));
        }
        Ok(Row { line, cells: self.names.iter().copied().zip(values).collect() })
    }
}

impl<'a> Row<'a> {
    /// Every column's name and value.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.cells.iter().copied()
    }

    /// The value of the one column of that name.
    pub(crate) fn get(&self, name: &'static str) -> Result<&'a [u8], Error> {
        let mut found = self.cells().filter(|(column, _)| *column == name.as_bytes());
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(value),
            (None, _) => Err(self.line.error(name.as_bytes(), "is not among the header's columns")),
            (Some(_), Some(_)) => Err(self.line.error(name.as_bytes(), "heads more than one column")),
        }
    }

    /// That value as a decimal number.
    pub(crate) fn number(&self, name: &'static str) -> Result<u64, Error> {
        self.line.number(self.get(name)?)
    }

    pub(crate) const fn line(&self) -> &Line<'a> {
        &self.line
    }
}
