//! What is written is what is read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use plimsoll_archive::{Archive, Event, Limits, Writer};
use plimsoll_recording::{Change, IdleGap, Life, Row, TableReading};

use support::{BEGAN, Folder, origin, rows};

/// All rows of a recording.
fn read(folder: &Folder) -> (Vec<Life>, Vec<IdleGap>, Vec<TableReading>, Vec<Change>) {
    let archive = Archive::open(folder.path()).unwrap();
    (
        archive.lives().unwrap().map(Result::unwrap).collect(),
        archive.gaps().unwrap().map(Result::unwrap).collect(),
        archive.readings().unwrap().map(Result::unwrap).collect(),
        archive.changes().unwrap().map(Result::unwrap).collect(),
    )
}

fn assert_holds(folder: &Folder, rows: &[Row]) {
    let (lives, gaps, readings, changes) = read(folder);
    assert!(lives.iter().eq(rows.iter().filter_map(|row| if let Row::Life(life) = row { Some(life) } else { None })));
    assert!(gaps.iter().eq(rows.iter().filter_map(|row| if let Row::Gap(gap) = row { Some(gap) } else { None })));
    assert!(readings.iter().eq(rows.iter().filter_map(|row| if let Row::Reading(row) = row {
        Some(row)
    } else {
        None
    })));
    assert!(changes.iter().eq(rows.iter().filter_map(|row| if let Row::Change(row) = row { Some(row) } else { None })));
}

#[test]
fn every_row_comes_back_over_several_row_groups() {
    let folder = Folder::new();
    let rows = rows(70_000);
    let (mut writer, events) = Writer::begin(folder.path(), &origin(), Limits::default()).unwrap();
    assert_eq!(events, []);
    for row in &rows {
        assert_eq!(writer.write(row).unwrap(), []);
    }
    let events = writer.finish(BEGAN).unwrap();
    assert!(matches!(events[..], [Event::Closed { .. }]), "{events:?}");
    assert_eq!(folder.names("lives"), ["20261126T020304Z-000001.parquet"]);
    assert_eq!(Archive::open(folder.path()).unwrap().origins(), [origin()]);
    assert_holds(&folder, &rows);
}
