//! A table whose entries were read.

use plimsoll_churn::flow;
use plimsoll_model::{Census, Drawn, Entry, NamespaceSnapshot, Snapshot};

use super::part::Part;
use crate::evidence::limit;

/// A namespace with a limit and a census.
pub(super) struct Table<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) ns: &'a NamespaceSnapshot,
    pub(super) census: &'a Census,
    pub(super) capacity: f64,
}

impl<'a> Table<'a> {
    pub(super) fn of(snapshot: &'a Snapshot, ns: &'a NamespaceSnapshot) -> Option<Self> {
        Some(Self { snapshot, ns, census: ns.census.as_ref()?, capacity: limit(ns)?.into() })
    }

    /// Share of the capacity in use.
    pub(super) fn utilization(&self) -> f64 {
        self.ns.utilization().unwrap_or(0.0)
    }

    /// The entries for which something holds; `None` where it holds for none.
    pub(super) fn part(&'a self, holds: impl Fn(&Drawn) -> bool) -> Option<Part<'a>> {
        let drawn: Vec<_> = self.census.drawn.iter().filter(|drawn| holds(drawn)).collect();
        if drawn.is_empty() {
            return None;
        }
        let flow = flow(self.ns, &holds)?;
        Some(Part { table: self, count: self.census.count_drawn(drawn.len()), drawn, flow })
    }

    /// The same, where it is told by the entry alone.
    pub(super) fn entries(&'a self, holds: impl Fn(&Entry) -> bool) -> Option<Part<'a>> {
        self.part(|drawn| holds(&drawn.entry))
    }
}
