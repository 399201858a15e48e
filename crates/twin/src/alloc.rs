//! A new entry (`init_conntrack`, `__nf_conntrack_alloc`).

use plimsoll_model::Counter;

use crate::entry::Entry;
use crate::table::{Asked, Key};
use crate::tick::Tick;
use crate::{DropReason, Place, Twin, Verdict};

impl Twin {
    /// Begins an entry for a packet that belongs to none; or says what becomes of the packet without one.
    pub(crate) fn begin(&mut self, now: Tick, asked: &Asked) -> Result<u32, Verdict> {
        let place = asked.place();
        if asked.key.answer().is_none() {
            self.namespace_mut(place.namespace).counters.count(Counter::Invalid);
            return Err(Verdict::Invalid);
        }
        let bucket = self.table.bucket_of_hash(asked.hash);
        let Some(slot) = self.allocate(now, place, &asked.key, bucket) else {
            self.namespace_mut(place.namespace).counters.count(Counter::Drop);
            return Err(Verdict::Dropped(DropReason::TableFull));
        };
        if self.namespace(place.namespace).expected > 0 {
            self.fulfil_expectation(now, place, &asked.tuple(), slot);
        }
        Ok(slot)
    }

    /// Takes a slot, for an entry whose reply tuple mirrors the original one, and counts it; `None` where the table is full and nothing could be killed from this bucket on.
    pub(crate) fn allocate(&mut self, now: Tick, place: Place, original: &Key, bucket: u32) -> Option<u32> {
        let namespace = self.namespace_mut(place.namespace);
        // Counted first: early_drop's kills are then taken off again.
        namespace.count += 1;
        let is_over = self.host.capacity.limit().is_some_and(|limit| self.namespace(place.namespace).count > limit);
        if is_over && !self.drop_early(now, place.namespace, bucket) {
            self.gc.is_under_pressure = true;
            self.namespace_mut(place.namespace).count -= 1;
            return None;
        }
        let entry = Entry::begun(place.namespace, place.zone, original.protocol());
        let slot = self.table.take(entry, original);
        self.extend_new(slot, place.namespace);
        Some(slot)
    }
}
