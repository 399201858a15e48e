//! The collection of what has expired (`gc_worker` in `nf_conntrack_core.c`).
//!
//! The kernel looks at every entry on each walk. Here a walk passes the buckets in the same order and does the same to the same
//! entries, but it goes only where there is something to do: to buckets that are marked, for something in them has expired,
//! once the time until the next walk is settled, which depends on no more than the first entries.

use plimsoll_model::Status;

use crate::Twin;
use crate::capabilities::Collection;
use crate::counters::RemovedBy;
use crate::table::Node;
use crate::tick::{Hz, Tick};

/// Between two walks, in seconds (`GC_SCAN_INTERVAL_*`).
const LEAST_SECS: u32 = 1;
const MOST_SECS: u32 = 60;
/// The most for which an entry counts when the next interval is reckoned.
const ENTRY_MOST_SECS: u32 = 300;
/// The interval begins at its most, as if so many entries had that much left (`GC_SCAN_INITIAL_COUNT`).
const FIRST_COUNT: i64 = 100;
/// A slice ends after so many removals, and the next one begins a jiffy later (`GC_SCAN_EXPIRED_MAX`).
const REMOVED_PER_SEC: u32 = 64_000;
/// Kernels up to 5.10 (`GC_SCAN_INTERVAL`).
const FIXED_SECS: u32 = 120;

/// So many slots lie in the processor's own caches, more or less: nothing of them has to be asked for ahead.
const IN_CACHES: u32 = 1 << 14;

/// Where gc stands.
#[derive(Debug)]
pub(crate) struct Gc {
    /// When it runs next.
    due: Tick,
    pub(crate) next_bucket: u32,
    /// When this walk began.
    began: Tick,
    average: i64,
    count: i64,
    /// Somebody found no room: it kills what may be killed.
    pub(crate) is_under_pressure: bool,
}

impl Gc {
    pub(crate) const fn new(due: Tick) -> Self {
        Self { due, next_bucket: 0, began: due, average: 0, count: 0, is_under_pressure: false }
    }

    /// Whether no entry changes the average any more: each counts for its distance from it, divided by how many were counted,
    /// and rounded towards 0.
    const fn is_settled(&self, [least, most]: [i64; 2]) -> bool {
        self.count >= most - self.average && self.count >= self.average - least
    }
}

/// What gc looks at in the rest of a slice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Every bucket.
    All,
    /// Those in which something has expired.
    Marked,
    /// The next in which there is anything: there the slice ends.
    End,
}

impl Twin {
    /// Runs gc as often as it was due.
    pub(crate) fn collect_until(&mut self, now: Tick) {
        while self.gc.due.is_over(now) {
            match self.host.capabilities.collection {
                Collection::Adaptive => self.collect_slice(),
                Collection::Fixed => self.collect_all(),
            }
        }
    }

    /// Walks the table once, at the end of a long time in which gc had come by many times.
    pub(crate) fn collect_at(&mut self, now: Tick) {
        for bucket in 0..self.table.buckets() {
            self.collect_bucket(now, bucket, None, &mut 0, u32::MAX);
        }
        let due = now.plus(self.host.capabilities.hz.jiffies(MOST_SECS));
        self.gc = Gc::new(due);
        self.table.begin_anew(now);
    }

    /// One slice of a walk. The kernel's also end after ten milliseconds, and go on at once: here, scanning takes no time.
    fn collect_slice(&mut self) {
        let hz = self.host.capabilities.hz;
        let now = self.gc.due;
        let most_removed = REMOVED_PER_SEC / hz.get();
        self.table.mark_until(now, self.gc.next_bucket);
        if self.gc.next_bucket == 0 {
            self.gc.average = i64::from(hz.jiffies(MOST_SECS));
            self.gc.count = FIRST_COUNT;
            self.gc.began = now;
        }
        let pressed_from = self.pressed_from();
        if self.is_empty() {
            self.gc.next_bucket = self.table.buckets();
        }
        let mut removed = 0;
        let is_large = self.table.slots() > IN_CACHES;
        let mut asked_below = 0;
        loop {
            let scope = if pressed_from.is_some() || !self.gc.is_settled(bounds(hz)) {
                Scope::All
            } else if removed > most_removed {
                Scope::End
            } else {
                Scope::Marked
            };
            self.gc.next_bucket = self.next_bucket(scope, self.gc.next_bucket);
            if self.gc.next_bucket >= self.table.buckets() {
                break;
            }
            if is_large && scope != Scope::End && self.gc.next_bucket >= asked_below {
                let next_from = |bucket| self.next_bucket(scope, bucket);
                asked_below = self.table.ask_for_walk(now, self.gc.next_bucket, next_from);
            }
            if self.collect_bucket(now, self.gc.next_bucket, pressed_from, &mut removed, most_removed) == Bucket::Left {
                // A walk that takes more than a minute goes on at once; else in a jiffy, and then it has forgotten the
                // pressure: of those that may be killed under it, one slice's are.
                if now.since(self.gc.began) < hz.jiffies(MOST_SECS).cast_signed() {
                    self.gc.due = now.plus(1);
                    self.gc.is_under_pressure = false;
                }
                return;
            }
            self.gc.next_bucket += 1;
        }
        self.gc.next_bucket = 0;
        self.expire_expectations(now);
        let [least, most] = [LEAST_SECS, MOST_SECS].map(|secs| i64::from(hz.jiffies(secs)));
        let took = i64::from(now.since(self.gc.began)).max(1);
        let wait = (self.gc.average.clamp(least, most) - took).max(1);
        self.gc.due = now.plus(u32::try_from(wait).unwrap_or(1));
        self.gc.is_under_pressure = false;
    }

    fn collect_all(&mut self) {
        let now = self.gc.due;
        self.table.mark_until(now, self.gc.next_bucket);
        let pressed_from = self.pressed_from();
        let scope = if pressed_from.is_some() { Scope::All } else { Scope::Marked };
        self.gc.next_bucket =
            if self.is_empty() { self.table.buckets() } else { self.next_bucket(scope, self.gc.next_bucket) };
        while self.gc.next_bucket < self.table.buckets() {
            self.collect_bucket(now, self.gc.next_bucket, pressed_from, &mut 0, u32::MAX);
            self.gc.next_bucket = self.next_bucket(scope, self.gc.next_bucket + 1);
        }
        self.gc.next_bucket = 0;
        self.expire_expectations(now);
        self.gc.is_under_pressure = false;
        self.gc.due = now.plus(self.host.capabilities.hz.jiffies(FIXED_SECS));
    }

    /// From a bucket on, the first to be looked at; as many as there are buckets if there is none.
    fn next_bucket(&self, scope: Scope, next: u32) -> u32 {
        let buckets = self.table.buckets();
        match scope {
            Scope::All => next,
            Scope::Marked => self.table.first_due(next).unwrap_or(buckets),
            Scope::End => (next..buckets).find(|bucket| self.table.nodes(*bucket) > 0).unwrap_or(buckets),
        }
    }

    /// Whether there is nothing to walk for.
    fn is_empty(&self) -> bool {
        self.namespaces.iter().all(|namespace| namespace.count == 0)
    }

    /// From how many entries on a namespace is under pressure.
    fn pressed_from(&self) -> Option<u32> {
        let limit = self.host.capacity.limit()?;
        self.gc.is_under_pressure.then_some(limit / 100 * 95).filter(|from| *from > 0)
    }

    /// Walks a bucket's chain. Its entries are looked at again after each removal, but none is counted twice.
    fn collect_bucket(
        &mut self,
        now: Tick,
        bucket: u32,
        pressed_from: Option<u32>,
        removed: &mut u32,
        most_removed: u32,
    ) -> Bucket {
        let [least, most] = bounds(self.host.capabilities.hz);
        let mut passed = 0;
        loop {
            let mut doomed = None;
            for Node { slot, .. } in self.table.chain(bucket).skip(passed) {
                if *removed > most_removed {
                    return Bucket::Left;
                }
                let entry = self.table.entry(slot);
                if entry.expires.is_over(now) {
                    doomed = Some((slot, RemovedBy::Expiry));
                    break;
                }
                let left = i64::from(entry.expires.since(now)).clamp(least, most);
                self.gc.count += 1;
                self.gc.average += (left - self.gc.average) / self.gc.count;
                let is_pressed =
                    pressed_from.is_some_and(|from| self.namespaces[entry.namespace.0 as usize].count >= from);
                if is_pressed && !entry.status().has(Status::ASSURED) {
                    doomed = Some((slot, RemovedBy::PressureUnassured));
                    break;
                }
                if is_pressed && self.table.memory(slot).is_closing() {
                    doomed = Some((slot, RemovedBy::PressureClosing));
                    break;
                }
                passed += 1;
            }
            let Some((slot, by)) = doomed else {
                self.table.unmark(bucket);
                return Bucket::Done;
            };
            // Where both of its tuples lie in this chain, this is the first of them: none of those that were passed goes.
            self.remove(slot, by);
            *removed += 1;
        }
    }
}

/// For how little and how much an entry counts, in jiffies, when the next interval is reckoned.
fn bounds(hz: Hz) -> [i64; 2] {
    [LEAST_SECS, ENTRY_MOST_SECS].map(|secs| i64::from(hz.jiffies(secs)))
}

#[derive(PartialEq, Eq)]
enum Bucket {
    Done,
    Left,
}
