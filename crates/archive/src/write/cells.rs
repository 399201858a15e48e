//! Cells of a column that wait to be written, as small as they can be; their memory is used again and again.

use std::fs::File;

use parquet::data_type::DataType;
use parquet::errors::{ParquetError, Result};
use parquet::file::writer::{SerializedColumnWriter, SerializedRowGroupWriter};

use crate::kind::Kind;

/// A row group that is being written.
pub(crate) type GroupWriter<'a> = SerializedRowGroupWriter<'a, File>;

/// So many cells are made into what the encoder takes at once: few enough to stay in the processor's cache.
const BATCH: usize = 1024;

/// A column with one cell a row.
pub(crate) struct Required<K: Kind> {
    values: Vec<K::Value>,
}

/// A column with a cell a row, or none.
pub(crate) struct Optional<K: Kind> {
    /// For each row, up to the last that has one, whether it has: Parquet's definition level.
    levels: Vec<i16>,
    rows: usize,
    values: Vec<K::Value>,
}

/// A column with any number of cells a row.
pub(crate) struct List<K: Kind> {
    lengths: Vec<u32>,
    values: Vec<K::Value>,
}

impl<K: Kind> Required<K> {
    pub(crate) fn push(&mut self, value: K::Value) {
        self.values.push(value);
    }

    /// Writes all cells as the row group's next column, and forgets them.
    pub(crate) fn write(&mut self, group: &mut GroupWriter<'_>) -> Result<()> {
        let mut column = next(group)?;
        let mut batch = Vec::with_capacity(BATCH);
        for values in self.values.chunks(BATCH) {
            write::<K>(&mut column, values, None, None, &mut batch)?;
        }
        self.values.clear();
        column.close()
    }
}

impl<K: Kind> Optional<K> {
    pub(crate) fn push(&mut self, value: Option<K::Value>) {
        // Most columns that may be empty are: the zeros can wait.
        if let Some(value) = value {
            self.levels.resize(self.rows, 0);
            self.levels.push(1);
            self.values.push(value);
        }
        self.rows += 1;
    }

    /// Writes all cells as the row group's next column, and forgets them.
    pub(crate) fn write(&mut self, group: &mut GroupWriter<'_>) -> Result<()> {
        let mut column = next(group)?;
        let mut batch = Vec::with_capacity(BATCH);
        self.levels.resize(self.rows, 0);
        let mut rest = self.values.as_slice();
        for levels in self.levels.chunks(BATCH) {
            let present = levels.iter().filter(|level| **level == 1).count();
            let (values, behind) = rest.split_at(present);
            rest = behind;
            write::<K>(&mut column, values, Some(levels), None, &mut batch)?;
        }
        self.levels.clear();
        self.values.clear();
        self.rows = 0;
        column.close()
    }
}

impl<K: Kind> List<K> {
    pub(crate) fn push(&mut self, values: impl Iterator<Item = K::Value>) {
        let before = self.values.len();
        self.values.extend(values);
        self.lengths.push(u32::try_from(self.values.len() - before).unwrap_or(u32::MAX));
    }

    /// Cells that wait.
    pub(crate) fn cells(&self) -> usize {
        self.values.len()
    }

    /// Writes all cells as the row group's next column, and forgets them.
    pub(crate) fn write(&mut self, group: &mut GroupWriter<'_>) -> Result<()> {
        let mut column = next(group)?;
        let mut batch = Vec::with_capacity(BATCH);
        let (mut definitions, mut repetitions) = (Vec::new(), Vec::new());
        let mut rest = self.values.as_slice();
        for lengths in self.lengths.chunks(BATCH) {
            definitions.clear();
            repetitions.clear();
            for length in lengths {
                repetitions.push(0);
                definitions.push(i16::from(*length > 0));
                for _ in 1..*length {
                    repetitions.push(1);
                    definitions.push(1);
                }
            }
            let present = lengths.iter().map(|length| *length as usize).sum();
            let (values, behind) = rest.split_at(present);
            rest = behind;
            write::<K>(&mut column, values, Some(&definitions), Some(&repetitions), &mut batch)?;
        }
        self.lengths.clear();
        self.values.clear();
        column.close()
    }
}

impl<K: Kind> Default for Required<K> {
    fn default() -> Self {
        Self { values: Vec::new() }
    }
}

impl<K: Kind> Default for Optional<K> {
    fn default() -> Self {
        Self { levels: Vec::new(), rows: 0, values: Vec::new() }
    }
}

impl<K: Kind> Default for List<K> {
    fn default() -> Self {
        Self { lengths: Vec::new(), values: Vec::new() }
    }
}

fn next<'g>(group: &'g mut GroupWriter<'_>) -> Result<SerializedColumnWriter<'g>> {
    let column = group.next_column()?;
    column.ok_or_else(|| ParquetError::General("the schema has fewer columns than the table".to_string()))
}

fn write<K: Kind>(
    column: &mut SerializedColumnWriter<'_>,
    values: &[K::Value],
    definitions: Option<&[i16]>,
    repetitions: Option<&[i16]>,
    batch: &mut Vec<<K::Physical as DataType>::T>,
) -> Result<()> {
    batch.clear();
    K::encode(values, batch);
    column.typed::<K::Physical>().write_batch(batch, definitions, repetitions)?;
    Ok(())
}
