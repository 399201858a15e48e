//! Making room in a full table (`early_drop` in `nf_conntrack_core.c`).

use plimsoll_model::{Counter, Status};

use crate::counters::RemovedBy;
use crate::table::Node;
use crate::tick::Tick;
use crate::{NamespaceId, Twin};

/// Buckets that are looked through (`NF_CT_EVICTION_RANGE`).
const RANGE: u32 = 8;

impl Twin {
    /// Looks through buckets from the new entry's on, and stops at the first in which something could be killed; says
    /// whether there was one.
    pub(crate) fn drop_early(&mut self, now: Tick, namespace: NamespaceId, bucket: u32) -> bool {
        let buckets = self.table.buckets();
        (0..RANGE).any(|further| {
            let killed = self.kill_in_bucket(now, namespace, (bucket + further) % buckets);
            self.namespace_mut(namespace).counters.add(Counter::EarlyDrop, killed);
            killed > 0
        })
    }

    /// Kills every entry of the namespace in a bucket that is not assured, and returns how many. Expired ones are removed
    /// too, whosever they are, and do not count.
    fn kill_in_bucket(&mut self, now: Tick, namespace: NamespaceId, bucket: u32) -> u64 {
        let mut killed = 0;
        // Removing one changes the chain, and both tuples of one may lie in it.
        while let Some((slot, by)) = self.table.chain(bucket).find_map(|Node { slot, .. }| {
            let entry = self.table.entry(slot);
            if entry.expires.is_over(now) {
                Some((slot, RemovedBy::Expiry))
            } else if entry.namespace == namespace && !entry.status().has(Status::ASSURED) {
                Some((slot, RemovedBy::EarlyDrop))
            } else {
                None
            }
        }) {
            self.remove(slot, by);
            killed += u64::from(by == RemovedBy::EarlyDrop);
        }
        killed
    }
}
