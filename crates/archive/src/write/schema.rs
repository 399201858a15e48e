//! A table's schema, and how its columns are laid out.

use std::sync::Arc;

use parquet::basic::{Compression, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::Result;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use crate::column::{Cells, Column, Shape};
use crate::kind::Layout;
use crate::tables::Columns;

/// A table's schema.
pub(crate) fn schema<C: Columns>() -> Result<TypePtr> {
    let fields = C::COLUMNS.iter().map(|column| field(column).map(Arc::new)).collect::<Result<_>>()?;
    Type::group_type_builder(C::TABLE.name()).with_fields(fields).build().map(Arc::new)
}

/// How its files are written.
pub(crate) fn properties<C: Columns>(about: Vec<KeyValue>) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(format!("plimsoll version {}", env!("CARGO_PKG_VERSION")))
        .set_key_value_metadata(Some(about))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true);
    for (column, layout) in C::COLUMNS.iter().zip(C::LAYOUTS) {
        let path = path(column);
        // By which readers pass over row groups: only times are ever near each other.
        if column.cells == Cells::Moment && column.shape == Shape::Required {
            properties = properties.set_column_statistics_enabled(path.clone(), EnabledStatistics::Chunk);
        }
        properties = match layout {
            Layout::Repeating => properties.set_column_dictionary_enabled(path, true),
            Layout::Plain => properties.set_column_dictionary_enabled(path, false),
            Layout::Close => properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
        };
    }
    properties.build()
}

fn field(column: &Column) -> Result<Type> {
    match column.shape {
        Shape::Required => cell(column.name, column.cells, Repetition::REQUIRED),
        Shape::Optional => cell(column.name, column.cells, Repetition::OPTIONAL),
        // Three levels with these names, as the format's LogicalTypes.md wants lists.
        Shape::List => {
            let element = cell("element", column.cells, Repetition::REQUIRED)?;
            let list = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![Arc::new(element)])
                .build()?;
            Type::group_type_builder(column.name)
                .with_repetition(Repetition::REQUIRED)
                .with_logical_type(Some(LogicalType::List))
                .with_fields(vec![Arc::new(list)])
                .build()
        }
    }
}

fn cell(name: &str, cells: Cells, repetition: Repetition) -> Result<Type> {
    let (physical, logical) = match cells {
        Cells::Int32 => (Physical::INT32, None),
        Cells::Int64 => (Physical::INT64, None),
        Cells::Moment => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        Cells::Double => (Physical::DOUBLE, None),
        Cells::Bool => (Physical::BOOLEAN, None),
        Cells::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    Type::primitive_type_builder(name, physical).with_repetition(repetition).with_logical_type(logical).build()
}

fn path(column: &Column) -> ColumnPath {
    let below: &[&str] = match column.shape {
        Shape::Required | Shape::Optional => &[],
        Shape::List => &["list", "element"],
    };
    ColumnPath::new([column.name].iter().chain(below).map(ToString::to_string).collect())
}
