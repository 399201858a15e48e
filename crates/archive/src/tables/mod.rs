//! The four tables: each a list of columns, a row into them, and a row out of them.

mod changes;
mod gaps;
mod lives;
mod readings;

use crate::column::{Column, Table};
use crate::error::Error;
use crate::read::Group;
use crate::write::GroupWriter;

pub(crate) use changes::ChangeColumns;
pub(crate) use gaps::GapColumns;
pub(crate) use lives::LifeColumns;
pub(crate) use readings::ReadingColumns;

/// Rows of a table that wait to be written.
pub(crate) trait Columns: Default {
    /// A row.
    type Row;
    /// Reads rows.
    type Cursor;
    /// Which table.
    const TABLE: Table;
    /// Its columns.
    const COLUMNS: &'static [Column];
    /// How each is laid out, in the same order.
    const LAYOUTS: &'static [crate::kind::Layout];

    /// Takes a row.
    fn push(&mut self, row: &Self::Row);

    /// Cells that wait in the longest list; 0 where there are no lists.
    fn in_lists(&self) -> usize {
        0
    }

    /// Writes all that waits as a row group.
    fn flush(&mut self, group: &mut GroupWriter<'_>) -> Result<(), parquet::errors::ParquetError>;

    /// Begins to read a row group.
    fn cursor(group: &Group<'_>) -> Result<Self::Cursor, Error>;

    /// Reads the next row.
    fn next(cursor: &mut Self::Cursor) -> Result<Self::Row, Error>;
}

/// A table's columns: `name: Shape<Kind>`, or `name: Shape<Kind> = what is read where a file has no such column`; the
/// comment on each is its description for users.
macro_rules! columns {
    ($name:ident and $cursor:ident: $($(#[doc = $doc:literal])+ $field:ident: $shape:ident<$kind:ty> $(= $otherwise:expr)?;)*) => {
        /// Rows that wait to be written.
        #[derive(Default)]
        pub(crate) struct $name {
            $($field: crate::write::$shape<$kind>,)*
        }

        /// A row group that is being read.
        pub(crate) struct $cursor {
            $($field: crate::read::$shape<$kind>,)*
        }

        impl $name {
            const LIST: &'static [crate::column::Column] = &[$(crate::column::Column {
                name: stringify!($field),
                cells: <$kind as crate::kind::Kind>::CELLS,
                shape: crate::column::Shape::$shape,
                description: concat!($($doc),+).trim_ascii(),
                otherwise: columns!(@shown $($otherwise)?),
            },)*];

            const LAYOUT_LIST: &'static [crate::kind::Layout] = &[$(<$kind as crate::kind::Kind>::LAYOUT,)*];

            fn write_each(
                &mut self,
                group: &mut crate::write::GroupWriter<'_>,
            ) -> Result<(), parquet::errors::ParquetError> {
                $(self.$field.write(group)?;)*
                Ok(())
            }
        }

        impl $cursor {
            fn open(group: &crate::read::Group<'_>) -> Result<Self, crate::error::Error> {
                Ok(Self {
                    $($field: crate::read::$shape::open(group, stringify!($field), columns!(@value $($otherwise)?))?,)*
                })
            }
        }
    };
    (@shown $otherwise:expr) => { Some(stringify!($otherwise)) };
    (@shown) => { None };
    (@value $otherwise:expr) => { Some($otherwise) };
    (@value) => { None };
}
use columns;
