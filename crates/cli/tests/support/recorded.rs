//! Recordings of lives and gaps that are written by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

#[path = "../../../simulate/tests/support/recording.rs"]
pub(crate) mod rows;

use std::path::PathBuf;

use plimsoll_archive::{Limits, Writer};
use plimsoll_model::Occupancy;
use plimsoll_recording::{
    Addresses, Change, ChangeKind, IdleGap, Life, Origin, Row, Sources, TableReading, UnixMicros,
};
use tempfile::TempDir;

/// The kernel on which they are made.
pub(crate) const RELEASE: &str = "6.12.0-9-amd64";

/// A recording in a folder of its own, which is gone when the test is.
#[derive(Debug)]
pub(crate) struct Recorded {
    path: PathBuf,
    _around: TempDir,
}

impl Recorded {
    pub(crate) fn new(rows: impl IntoIterator<Item = Row>) -> Self {
        let folder = Self::nothing();
        let origin = Origin {
            written_by: "0.1.0".to_string(),
            kernel: RELEASE.to_string(),
            host: None,
            namespace: "host".to_string(),
            began_at: rows::BEGIN,
            sources: Sources::EventsAndLooks,
            addresses: Addresses::Plain,
        };
        let (mut writer, _) = Writer::begin(&folder.path, &origin, Limits::default()).unwrap();
        for row in rows {
            writer.write(&row).unwrap();
        }
        writer.finish(rows::at(1000.0)).unwrap();
        folder
    }

    /// A folder's name, and no folder.
    pub(crate) fn nothing() -> Self {
        let around = tempfile::tempdir().unwrap();
        Self { path: around.path().join("web.rec"), _around: around }
    }

    pub(crate) fn path(&self) -> &str {
        self.path.to_str().expect("UTF-8")
    }
}

pub(crate) fn lives(lives: &[Life]) -> impl Iterator<Item = Row> {
    lives.iter().cloned().map(Row::Life)
}

pub(crate) fn gaps(gaps: &[IdleGap]) -> impl Iterator<Item = Row> {
    gaps.iter().cloned().map(Row::Gap)
}

/// The kernel counts so many all the time.
pub(crate) fn counted(entries: u32) -> impl Iterator<Item = Row> {
    let counted = move |reading| TableReading { occupancy: Some(Occupancy(entries)), ..reading };
    rows::readings().into_iter().map(counted).map(Row::Reading)
}

pub(crate) fn setting(name: &str, value: u32) -> Row {
    changed(rows::BEGIN, name, None, value)
}

pub(crate) fn changed(at: UnixMicros, name: &str, from: Option<u32>, to: u32) -> Row {
    Row::Change(Change {
        at,
        kind: ChangeKind::Setting,
        what: format!("nf_conntrack_{name}"),
        from: from.map(|from| from.to_string()),
        to: Some(to.to_string()),
    })
}
