//! The list of columns is whole and fit for people.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::collections::BTreeSet;

use plimsoll_archive::{Table, columns};
use plimsoll_model::Counter;

#[test]
fn every_column_has_a_plain_name_and_a_sentence() {
    for table in Table::ALL {
        let mut names = BTreeSet::new();
        for column in columns(table) {
            let name = column.name;
            assert!(names.insert(name), "{name} is twice in {}", table.name());
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            let description = column.description;
            assert!(
                description.ends_with('.') && description.starts_with(|first: char| first.is_uppercase()),
                "{name}"
            );
        }
    }
}

#[test]
fn every_counter_has_its_column() {
    let readings: BTreeSet<_> = columns(Table::Readings).iter().map(|column| column.name).collect();
    assert!(Counter::ALL.iter().all(|counter| readings.contains(counter.name())));
}
