//! What has expired: in which buckets it lies, and how much of it there is.
//!
//! Entries wait on the wheel. At each tick those that have come due are taken from it, and marks tell look-ups and gc where they lie.

use super::Table;
use super::line::Line;
use super::marks::Marks;
use super::wheel::{Turn, Wheel};
use crate::NamespaceId;
use crate::aside::Aside;
use crate::entry::Phase;
use crate::tick::Tick;

impl Table {
    /// Sets when an entry expires. Of one that is in the table, the wheel will know in time; before, it is a span.
    #[inline]
    pub(crate) fn arm(&mut self, slot: u32, expires: Tick) {
        if self.lines[slot].is_armed_by(expires) {
            self.await_expiry(slot, expires);
        }
    }

    /// Arms an entry of the table once more for one packet: what the first time was past may have been counted.
    pub(crate) fn rearm(&mut self, slot: u32, expires: Tick) {
        if !self.lines[slot].turn.is_out() {
            self.forget_lapse(slot);
        }
        self.arm(slot, expires);
    }

    pub(super) fn await_expiry(&mut self, slot: u32, expires: Tick) {
        self.wheel.put(&mut self.lines, slot, expires);
        // The wheel has no bin for what is past.
        if expires.is_over(self.wheel.now()) {
            self.mark_expired(self.buckets_of(slot));
            self.count_lapse(slot);
        }
    }

    /// Lets the wheel's moment come nearer: marks where entries lie that have expired. gc's walk goes on from a bucket.
    pub(crate) fn mark_until(&mut self, now: Tick, walk: u32) {
        while let Some(slot) = self.wheel.pop(&mut self.lines, now) {
            let entry = self.entry(slot);
            let expires = entry.expires;
            if !entry.phase().is_in_table() {
                continue;
            }
            if expires.is_over(now) {
                let buckets = self.buckets_of(slot);
                self.mark_expired(buckets);
                self.mark_due(buckets, walk);
                // It may have been past when it was put in.
                if expires.since(self.wheel.now()) >= 0 {
                    self.count_lapse(slot);
                }
            } else {
                self.arm(slot, expires);
            }
        }
    }

    /// An entry in the table has expired.
    fn count_lapse(&mut self, slot: u32) {
        let namespace = self.entry(slot).namespace;
        self.lapsed.put(namespace.0.into(), self.lapsed(namespace) + 1);
    }

    /// Entries of a namespace that are in the table and have expired, if no packet has come late.
    pub(crate) fn lapsed(&self, namespace: NamespaceId) -> u32 {
        self.lapsed.get(namespace.0.into())
    }

    /// An entry goes out of the table: it is none of those that have expired there.
    pub(crate) fn forget_lapse(&mut self, slot: u32) {
        let Line { entry, turn, .. } = &self.lines[slot];
        if !turn.is_by(entry.expires) {
            let namespace = entry.namespace;
            // A packet that came late has saved one that was counted.
            self.lapsed.put(namespace.0.into(), self.lapsed(namespace).saturating_sub(1));
        }
    }

    /// Marks what has expired where it lies now: buckets have other numbers.
    pub(super) fn mark_anew(&mut self, walk: u32) {
        self.expired = Marks::new(self.buckets());
        self.due = Marks::new(self.buckets());
        for slot in 0..self.slots() {
            let Line { entry, turn, .. } = &self.lines[slot];
            let (is_over, has_come_due) = (entry.expires.is_over(self.wheel.now()), turn.is_out());
            if !entry.phase().is_in_table() {
                continue;
            }
            if is_over {
                self.mark_expired(self.buckets_of(slot));
            }
            if has_come_due {
                self.mark_due(self.buckets_of(slot), walk);
            }
        }
    }

    /// Marks the buckets in which look-ups meet an entry.
    fn mark_expired(&mut self, buckets: [u32; 2]) {
        for bucket in buckets {
            self.expired.set(bucket);
        }
    }

    /// Marks the bucket in which the walk meets an entry first; if it has passed both, then the next walk.
    fn mark_due(&mut self, [original, reply]: [u32; 2], walk: u32) {
        let is_ahead = |bucket: u32| bucket >= walk;
        let bucket = if is_ahead(original) == is_ahead(reply) { original.min(reply) } else { original.max(reply) };
        self.due.set(bucket);
    }

    /// The buckets in which an entry is met.
    #[inline]
    fn buckets_of(&self, slot: u32) -> [u32; 2] {
        let [original, reply] = self.hashes_of(slot).map(|hash| self.bucket_of_hash(hash));
        match self.entry(slot).phase() {
            Phase::InTable => [original, reply],
            _ => [reply, reply],
        }
    }

    /// The first bucket in which something is due, from this one on.
    pub(crate) fn first_due(&self, from: u32) -> Option<u32> {
        self.due.first_from(from)
    }

    /// Takes a bucket's marks, for nothing in it has expired.
    pub(crate) fn unmark(&mut self, bucket: u32) {
        self.expired.clear(bucket);
        self.due.clear(bucket);
    }

    /// Has the wheel begin anew at a moment from which on others are told: what is in the table waits for its expiry.
    pub(crate) fn begin_anew(&mut self, now: Tick) {
        self.wheel = Wheel::new(now);
        self.expired = Marks::new(self.buckets());
        self.due = Marks::new(self.buckets());
        self.lapsed = Aside::default();
        for slot in 0..self.slots() {
            self.lines[slot].turn = Turn::OUT;
        }
        for slot in 0..self.slots() {
            self.arm(slot, self.entry(slot).expires);
        }
    }
}
