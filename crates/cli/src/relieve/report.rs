//! What was seen, what is to be done, and what came of it.

use std::path::PathBuf;

use plimsoll_diagnose::words::rounded;
use plimsoll_model::{NamespaceSnapshot, Snapshot, StateKey};
use plimsoll_model::{Protocol, ProtocolState};
use plimsoll_plan::{Relief, Stale};
use plimsoll_trim::Acted;

use super::raise::Raised;

/// Everything that is told.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) before: &'a Snapshot,
    pub(super) ns: &'a NamespaceSnapshot,
    pub(super) relief: &'a Relief,
    pub(super) is_needed: bool,
    pub(super) done: Option<Done>,
    /// The namespace, read again; `None` where it could not be.
    pub(super) after: Option<Snapshot>,
}

/// What was done.
#[derive(Debug)]
pub(super) struct Done {
    /// Where what was seen is kept, or why it is not.
    pub(super) evidence: Result<PathBuf, String>,
    /// The limit; `None` where it stays.
    pub(super) raised: Option<Raised>,
    /// What was trimmed: of the states that go at once, and of those that go unless a packet comes; or why nothing was.
    pub(super) swept: Result<Vec<Acted>, String>,
}

impl<'a> Report<'a> {
    pub(super) fn new(before: &'a Snapshot, ns: &'a NamespaceSnapshot, relief: &'a Relief) -> Self {
        Self { before, ns, relief, is_needed: true, done: None, after: None }
    }

    /// The namespace as it is afterwards.
    pub(super) fn ns_after(&self) -> Option<&NamespaceSnapshot> {
        self.after.as_ref()?.namespaces.first()
    }

    pub(super) fn utilization_after(&self) -> Option<f64> {
        self.ns_after()?.utilization()
    }

    /// About how many entries of a state have certainly been silent for so long, by what was read before; `None` where none was.
    pub(super) fn stale(&self, of: Stale) -> Option<u64> {
        let census = self.ns.census.as_ref()?;
        let key = StateKey { protocol: Protocol::TCP, state: ProtocolState::Tcp(of.state) };
        let is_stale = |drawn: &&plimsoll_model::Drawn| {
            drawn.entry.state == key.state
                && drawn.entry.original.protocol == key.protocol
                && drawn.idle.low_secs > of.silent_secs
        };
        let share = census.count_drawn(census.drawn.iter().filter(is_stale).count()).share;
        // A sample knows shares; of how many, the kernel's count tells.
        Some(rounded(share.value * f64::from(self.ns.occupancy?.0)))
    }
}

impl Done {
    /// What was trimmed, as far as anything was.
    pub(super) fn acted(&self) -> impl Iterator<Item = &Acted> {
        self.swept.iter().flatten()
    }

    /// Entries that were trimmed.
    pub(super) fn trimmed(&self) -> u64 {
        self.acted().map(Acted::changed).sum()
    }
}
