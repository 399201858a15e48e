//! Entries counted: what goes by state, and what stays by reason.

use std::collections::BTreeMap;

use plimsoll_model::{Entry, StateKey};
use serde::Serialize;

use crate::rule::{Judgement, Left};

/// What was counted of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By protocol and state.
    pub states: BTreeMap<StateKey, OfState>,
    /// Entries that stay, by why.
    pub left: BTreeMap<Left, u64>,
}

/// Entries of one state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OfState {
    /// Read.
    pub read: u64,
    /// Stale.
    pub stale: u64,
}

impl Tally {
    /// Counts an entry.
    pub(crate) fn count(&mut self, entry: &Entry, judgement: Judgement) {
        let of_state = self.states.entry(key(entry)).or_default();
        of_state.read += 1;
        match judgement {
            Judgement::Stale(_) => of_state.stale += 1,
            Judgement::Left(left) => *self.left.entry(left).or_default() += 1,
        }
    }

    /// Entries read.
    pub fn read(&self) -> u64 {
        self.states.values().map(|of_state| of_state.read).sum()
    }

    /// Entries that are stale.
    pub fn stale(&self) -> u64 {
        self.states.values().map(|of_state| of_state.stale).sum()
    }
}

/// The state that an entry counts under.
pub(crate) fn key(entry: &Entry) -> StateKey {
    StateKey { protocol: entry.original.protocol, state: entry.state }
}
