//! `docs/record.md` lists every column as it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::fs;
use std::path::Path;

use plimsoll_archive::{Shape, Table, columns};

/// A table's columns, as the document has them.
fn listed(table: Table) -> String {
    let mut text = "| column | type | is |\n|---|---|---|\n".to_string();
    for column in columns(table) {
        let null = if column.shape == Shape::Optional { ", or null" } else { "" };
        text.push_str(&format!("| `{}` | {}{null} | {} |\n", column.name, column.sql_type(), column.description));
    }
    text
}

#[test]
fn every_column_is_in_the_document_as_it_is_in_the_files() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/record.md");
    let text = fs::read_to_string(document).unwrap();
    for table in Table::ALL {
        let listed = listed(table);
        assert!(text.contains(&listed), "docs/record.md should have for {}:\n{listed}", table.name());
    }
}
