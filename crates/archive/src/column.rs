//! The tables of a recording, and their columns: one list each, from which files are written, read and documented.

use crate::tables::{ChangeColumns, Columns, GapColumns, LifeColumns, ReadingColumns};

/// A table of a recording: one folder of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Lives of flows.
    Lives,
    /// Silences inside them.
    Gaps,
    /// The conntrack table at moments.
    Readings,
    /// What changed, and what happened to the recording.
    Changes,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Lives, Self::Gaps, Self::Readings, Self::Changes];

    /// Its name: that of its folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lives => "lives",
            Self::Gaps => "gaps",
            Self::Readings => "readings",
            Self::Changes => "changes",
        }
    }
}

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What its cells are.
    pub cells: Cells,
    /// How many a row has.
    pub shape: Shape,
    /// What it tells, in one sentence.
    pub description: &'static str,
    /// What is read, as code, where a file has no such column. A column with neither this nor [`Shape::Optional`] or
    /// [`Shape::List`] must be there.
    pub otherwise: Option<&'static str>,
}

impl Column {
    /// Its type as `DuckDB` calls it.
    pub fn sql_type(&self) -> String {
        let one = match self.cells {
            Cells::Int32 => "INTEGER",
            Cells::Int64 => "BIGINT",
            Cells::Moment => "TIMESTAMP WITH TIME ZONE",
            Cells::Double => "DOUBLE",
            Cells::Bool => "BOOLEAN",
            Cells::Text => "VARCHAR",
        };
        match self.shape {
            Shape::Required | Shape::Optional => one.to_string(),
            Shape::List => format!("{one}[]"),
        }
    }
}

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cells {
    /// INT32.
    Int32,
    /// INT64.
    Int64,
    /// INT64, TIMESTAMP(MICROS, UTC).
    Moment,
    /// DOUBLE.
    Double,
    /// BOOLEAN.
    Bool,
    /// `BYTE_ARRAY`, STRING.
    Text,
}

/// How many cells a row has in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One.
    Required,
    /// One or none (null).
    Optional,
    /// Any number, none of them null.
    List,
}

/// A table's columns, in their order in files.
pub const fn columns(table: Table) -> &'static [Column] {
    match table {
        Table::Lives => LifeColumns::COLUMNS,
        Table::Gaps => GapColumns::COLUMNS,
        Table::Readings => ReadingColumns::COLUMNS,
        Table::Changes => ChangeColumns::COLUMNS,
    }
}
