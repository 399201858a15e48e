//! Settings in force: each segment begins with them, so that it can be understood without those before it.

use std::collections::BTreeMap;

use plimsoll_recording::{Change, ChangeKind, UnixMicros};

/// The latest value of each setting.
#[derive(Debug, Default)]
pub(crate) struct Settings(BTreeMap<String, Option<String>>);

impl Settings {
    /// Takes note of a change.
    pub(crate) fn note(&mut self, change: &Change) {
        if change.kind == ChangeKind::Setting {
            self.0.insert(change.what.clone(), change.to.clone());
        }
    }

    /// All that are in force, as changes without a before.
    pub(crate) fn in_force(&self, at: UnixMicros) -> impl Iterator<Item = Change> {
        self.0.iter().map(move |(what, value)| Change {
            at,
            kind: ChangeKind::Setting,
            what: what.clone(),
            from: None,
            to: value.clone(),
        })
    }
}
