//! Other programs read a recording as it was written, and what they have rewritten is read here: pyarrow, pandas, `DuckDB`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fmt::Display;
use std::path::Path;
use std::process::Command;

use plimsoll_archive::{Archive, Limits, Table, Writer, columns};
use plimsoll_model::{Counter, Layer4};
use plimsoll_recording::{Began, Change, IdleGap, Life, Row, TableReading, Translation};

use support::{BEGAN, Folder, gap, origin, rows};

/// Runs `readers.py` and gives what it prints.
fn python(arguments: &[&str]) -> String {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = crate_folder.join("../../target/readers/bin/python");
    assert!(python.exists(), "{} is missing: run scripts/test, which installs it", python.display());
    let output = Command::new(python).arg(crate_folder.join("tests/readers.py")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A recording of two segments, and its rows.
fn recording() -> (Folder, Vec<Row>) {
    let folder = Folder::new();
    let mut all = rows(1_000);
    all.push(Row::Gap(IdleGap { weight: 0.125, ..gap(1) }));
    for part in all.chunks(all.len().div_ceil(2)) {
        let (mut writer, _) = Writer::begin(folder.path(), &origin(), Limits::default()).unwrap();
        for row in part {
            let _ = writer.write(row).unwrap();
        }
        let _ = writer.finish(BEGAN).unwrap();
    }
    (folder, all)
}

#[test]
fn others_read_each_row_as_it_was_written() {
    let (folder, rows) = recording();
    let mut expected: Vec<_> = rows.iter().map(shown).collect();
    expected.sort();
    for reader in ["pyarrow", "pandas", "duckdb"] {
        let printed = python(&["show", reader, folder.path().to_str().unwrap()]);
        let mut lines: Vec<_> = printed.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines.len(), expected.len(), "{reader}");
        for (line, expected) in lines.iter().zip(&expected) {
            assert_eq!(line, expected, "{reader}");
        }
    }
}

#[test]
fn the_types_are_those_that_are_documented() {
    let (folder, _) = recording();
    let of_table = |table: Table| {
        let line = move |column: &plimsoll_archive::Column| {
            format!("{}|{}|{}\n", table.name(), column.name, column.sql_type())
        };
        columns(table).iter().map(line)
    };
    let expected: String = Table::ALL.into_iter().flat_map(of_table).collect();
    assert_eq!(python(&["types", folder.path().to_str().unwrap()]), expected);
}

/// The SQL of `docs/record.md`, asked where the recording is called as it is there.
#[test]
fn every_query_in_the_document_has_an_answer() {
    let (recording, _) = recording();
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path()).unwrap();
    std::os::unix::fs::symlink(recording.path(), folder.path().join("web.rec")).unwrap();
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/record.md");
    let text = std::fs::read_to_string(document).unwrap();
    let queries: Vec<_> = text.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(queries.len() >= 6, "{}", queries.len());
    for query in queries {
        let answers: usize = python(&["ask", folder.path().to_str().unwrap(), query]).trim().parse().unwrap();
        // That one asks for silences which the recording has not.
        assert!(answers > 0 || query.contains("longer_than_us >"), "{query}");
    }
}

#[test]
fn what_others_have_rewritten_is_read() {
    let (folder, rows) = recording();
    let rewritten = Folder::new();
    python(&["rewrite", folder.path().to_str().unwrap(), rewritten.path().to_str().unwrap()]);
    for way in ["duckdb", "pyarrow", "pyarrow_v2", "pyarrow_plain"] {
        let archive = Archive::open(&rewritten.path().join(way)).unwrap();
        assert_eq!(archive.origins(), [origin()]);
        let mut read: Vec<Row> = archive.lives().unwrap().map(|row| Row::Life(row.unwrap())).collect();
        read.extend(archive.gaps().unwrap().map(|row| Row::Gap(row.unwrap())));
        read.extend(archive.readings().unwrap().map(|row| Row::Reading(row.unwrap())));
        read.extend(archive.changes().unwrap().map(|row| Row::Change(row.unwrap())));
        assert!(texts(&read) == texts(&rows), "{way}");
    }
}

/// Without the order: `DuckDB` keeps to none.
fn texts(rows: &[Row]) -> Vec<String> {
    let mut all: Vec<_> = rows.iter().map(|row| format!("{row:?}")).collect();
    all.sort();
    all
}

/// The text that the script makes of a row.
fn shown(row: &Row) -> String {
    let (table, cells) = match row {
        Row::Life(life) => ("lives", life_cells(life)),
        Row::Gap(gap) => ("gaps", gap_cells(gap)),
        Row::Reading(reading) => ("readings", reading_cells(reading)),
        Row::Change(change) => ("changes", change_cells(change)),
    };
    format!("{table}|{}", cells.join("|"))
}

fn life_cells(life: &Life) -> Vec<String> {
    let (client_port, server_port, icmp_id) = match life.original.layer4 {
        Layer4::Ports { source, destination } => (Some(source), Some(destination), None),
        Layer4::Icmp { id, .. } => (None, None, Some(id)),
        Layer4::None => (None, None, None),
    };
    let is_translated = life.reply != life.original.mirrored();
    vec![
        one(life.key.0),
        protocol(life.original.protocol),
        one(life.original.source),
        maybe(client_port),
        one(life.original.destination),
        maybe(server_port),
        maybe(icmp_id),
        one(life.zone),
        one(Translation::of(life.status).name()),
        maybe(is_translated.then_some(life.reply.source)),
        one(life.began.first_seen().0),
        one(matches!(life.began, Began::At(_))),
        list(life.steps.iter().map(|step| one(step.state))),
        list(life.steps.iter().map(|step| one(step.at.0))),
        one(life.ended_at.0),
        one(life.end.name()),
        one(life.sight.name()),
        one(life.status.0),
        maybe(life.volume.map(|volume| volume.original.packets)),
        maybe(life.volume.map(|volume| volume.original.bytes)),
        maybe(life.volume.map(|volume| volume.reply.packets)),
        maybe(life.volume.map(|volume| volume.reply.bytes)),
        one(life.weight),
    ]
}

fn gap_cells(gap: &IdleGap) -> Vec<String> {
    vec![
        one(gap.key.0),
        protocol(gap.protocol),
        one(gap.client),
        one(gap.server),
        maybe(gap.port),
        one(gap.held_by.sysctl().unwrap()),
        one(gap.armed_secs),
        one(gap.began_at.0),
        one(gap.began_within.as_micros()),
        one(gap.seen_from.as_micros()),
        one(gap.longer_than.as_micros()),
        maybe(gap.at_most.map(|at_most| at_most.as_micros())),
        one(gap.end.name()),
        one(gap.weight),
    ]
}

fn reading_cells(reading: &TableReading) -> Vec<String> {
    let counter = |counter: Counter| maybe(reading.counters[counter as usize]);
    vec![
        one(reading.at.0),
        maybe(reading.occupancy.map(|entries| entries.0)),
        maybe(reading.capacity.map(|capacity| capacity.0)),
        maybe(reading.buckets.map(|buckets| buckets.0)),
        counter(Counter::Drop),
        counter(Counter::Insert),
        counter(Counter::InsertFailed),
        one(reading.events),
        one(reading.share),
        one(reading.followed),
    ]
}

fn change_cells(change: &Change) -> Vec<String> {
    vec![
        one(change.at.0),
        one(change.kind.name()),
        change.what.clone(),
        maybe(change.from.as_ref()),
        maybe(change.to.as_ref()),
    ]
}

fn protocol(protocol: plimsoll_model::Protocol) -> String {
    protocol.name().map_or_else(|| one(protocol.0), one)
}

fn one(value: impl Display) -> String {
    value.to_string()
}

fn maybe(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_string(), one)
}

fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(" "))
}
