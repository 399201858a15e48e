//! A new entry (`init_conntrack`, `__nf_conntrack_alloc`).

use plimsoll_model::{Counter, Tuple};

use crate::entry::Entry;
use crate::memory::Extension;
use crate::table::{Asked, Key};
use crate::tick::Tick;
use crate::tuple::inverted;
use crate::{DropReason, Place, Twin, Verdict};

impl Twin {
    /// Begins an entry for a packet that belongs to none; or says what becomes of the packet without one.
    pub(crate) fn begin(&mut self, now: Tick, place: Place, tuple: &Tuple, asked: &Asked) -> Result<u32, Verdict> {
        let Some(reply) = inverted(tuple) else {
            self.namespace_mut(place.namespace).counters.count(Counter::Invalid);
            return Err(Verdict::Invalid);
        };
        let reply = Key::new(&reply, place.namespace, place.zone);
        let bucket = self.table.bucket_of_hash(asked.hash);
        let Some(slot) = self.allocate(now, place, [&asked.key, &reply], bucket) else {
            self.namespace_mut(place.namespace).counters.count(Counter::Drop);
            return Err(Verdict::Dropped(DropReason::TableFull));
        };
        self.fulfil_expectation(now, place, tuple, slot);
        Ok(slot)
    }

    /// Takes a slot and counts it; `None` where the table is full and nothing could be killed from this bucket on.
    pub(crate) fn allocate(&mut self, now: Tick, place: Place, keys: [&Key; 2], bucket: u32) -> Option<u32> {
        let namespace = self.namespace_mut(place.namespace);
        // Counted first: early_drop's kills are then taken off again.
        namespace.count += 1;
        let is_over = self.host.capacity.limit().is_some_and(|limit| self.namespace(place.namespace).count > limit);
        if is_over && !self.drop_early(now, place.namespace, bucket) {
            self.gc.is_under_pressure = true;
            self.namespace_mut(place.namespace).count -= 1;
            return None;
        }
        let entry = Entry::begun(place.namespace, place.zone, keys[0].protocol());
        let slot = self.table.take(entry, keys);
        for extension in Extension::of_every_entry(&self.namespace(place.namespace).settings, &self.host.capabilities) {
            self.extend(slot, extension);
        }
        Some(slot)
    }
}
