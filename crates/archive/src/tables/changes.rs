//! What changed, and what happened to the recording.

use plimsoll_recording::{Change, ChangeKind};

use super::{Columns, columns};
use crate::column::{Column, Table};
use crate::error::Error;
use crate::kind::{Layout, Moment, Of, Text};
use crate::read::Group;
use crate::write::GroupWriter;

columns! { ChangeColumns and ChangeCursor:
    /// When it was seen. Each segment begins with the settings in force at its beginning, with no value_before.
    seen_at: Required<Moment>;
    /// Of what kind: setting, began, events_lost, resynchronised, share, resized, clock_stepped, segments_removed, not_read or ended.
    kind: Required<Of<ChangeKind>>;
    /// What changed: a sysctl's name, or in words what happened.
    what: Required<Text>;
    /// What it was before; null if there was no before.
    value_before: Optional<Text>;
    /// What it is now; null if there is no now.
    value_now: Optional<Text>;
}

impl Columns for ChangeColumns {
    type Row = Change;
    type Cursor = ChangeCursor;
    const TABLE: Table = Table::Changes;
    const COLUMNS: &'static [Column] = Self::LIST;
    const LAYOUTS: &'static [Layout] = Self::LAYOUT_LIST;

    fn push(&mut self, change: &Change) {
        self.seen_at.push(change.at);
        self.kind.push(change.kind);
        self.what.push(change.what.clone());
        self.value_before.push(change.from.clone());
        self.value_now.push(change.to.clone());
    }

    fn flush(&mut self, group: &mut GroupWriter<'_>) -> Result<(), parquet::errors::ParquetError> {
        self.write_each(group)
    }

    fn cursor(group: &Group<'_>) -> Result<ChangeCursor, Error> {
        ChangeCursor::open(group)
    }

    fn next(cursor: &mut ChangeCursor) -> Result<Change, Error> {
        Ok(Change {
            at: cursor.seen_at.next()?,
            kind: cursor.kind.next()?,
            what: cursor.what.next()?,
            from: cursor.value_before.next()?,
            to: cursor.value_now.next()?,
        })
    }
}
