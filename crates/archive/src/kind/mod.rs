//! What a cell can be: how it is kept in memory, written and read.

mod numbers;
mod texts;

use std::fmt;

use parquet::data_type::DataType;

use crate::column::Cells;
use crate::error::Problem;

pub(crate) use numbers::{Amount, Count, Count32, Micros, Moment, Name64, ScatteredPort, Small, Whether};
pub(crate) use texts::{Address, Of, ProtocolName, Text};

/// A kind of cells.
pub(crate) trait Kind: 'static {
    /// As which a cell is kept in memory.
    type Value: Clone + fmt::Debug + Send + Sync + 'static;
    /// As which it lies in files.
    type Physical: DataType;
    /// What documentation and schema call it.
    const CELLS: Cells;
    /// How its values lie in files.
    const LAYOUT: Layout = Layout::Repeating;

    /// Appends values as they lie in files.
    fn encode(values: &[Self::Value], to: &mut Vec<<Self::Physical as DataType>::T>);

    /// Takes a value from a file.
    fn decode(raw: Raw<'_>) -> Result<Self::Value, Problem>;
}

/// What is expected of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// They repeat: a dictionary.
    Repeating,
    /// They are numbers near each other, or that have far fewer bits than their type: differences, bit-packed.
    Close,
    /// Neither.
    Plain,
}

/// A cell as it lies in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Raw<'a> {
    Int(i64),
    Double(f64),
    Bool(bool),
    Bytes(&'a [u8]),
}

impl<'a> Raw<'a> {
    fn int(self) -> Result<i64, Problem> {
        match self {
            Self::Int(value) => Ok(value),
            _ => Err(Problem::Type),
        }
    }

    fn text(self) -> Result<&'a str, Problem> {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|_| Problem::text(bytes, "text in UTF-8")),
            _ => Err(Problem::Type),
        }
    }
}
