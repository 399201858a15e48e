//! Taking entries out (`nf_ct_delete`, `nf_ct_destroy`).

use crate::counters::RemovedBy;
use crate::entry::Phase;
use crate::{EntryId, Twin};

impl Twin {
    /// Removes an entry, as `conntrack -D` would; says whether it was there.
    pub fn delete(&mut self, entry: EntryId) -> bool {
        let is_there = self.slot(entry).is_some();
        if is_there {
            self.remove(entry.slot, RemovedBy::Deletion);
        }
        is_there
    }

    /// The slot of an entry that is in the table.
    pub(crate) fn slot(&self, id: EntryId) -> Option<u32> {
        let is_there = id.slot < self.table.slots() && {
            let entry = self.table.entry(id.slot);
            entry.generation == id.generation && entry.phase().is_in_table()
        };
        is_there.then_some(id.slot)
    }

    /// Takes an entry out of the hash. It is counted on while entries live that its expectations have made.
    pub(crate) fn remove(&mut self, slot: u32, by: RemovedBy) {
        let entry = self.table.entry(slot);
        let (namespace, phase) = (entry.namespace, entry.phase());
        if !phase.is_in_table() {
            return;
        }
        self.table.unlink(slot);
        self.table.forget_lapse(slot);
        let counted = self.namespace_mut(namespace);
        counted.removals.count(by);
        counted.in_table -= 1;
        if self.table.additions(slot).helper.is_some() {
            self.forget_expectations_of(slot);
        }
        if self.expectations.has_children(slot) {
            self.table.entry_mut(slot).set_phase(Phase::Pinned);
        } else {
            self.free(slot);
        }
    }

    /// Gives up an entry that never came into the hash.
    pub(crate) fn discard(&mut self, slot: u32) {
        if self.table.additions(slot).helper.is_some() {
            self.forget_expectations_of(slot);
        }
        self.free(slot);
    }

    /// Frees an entry's memory, and its masters' that were kept for its sake (`nf_conntrack_free`).
    fn free(&mut self, slot: u32) {
        let mut next = Some(slot);
        while let Some(slot) = next {
            self.forget_source(slot);
            let namespace = self.table.entry(slot).namespace;
            self.extension_bytes -= u64::from(self.table.additions(slot).extensions.block_bytes());
            self.namespace_mut(namespace).count -= 1;
            self.table.give_back(slot);
            let bereft = self.expectations.part(slot);
            next = bereft.filter(|master| self.table.entry(*master).phase() == Phase::Pinned);
        }
    }
}
