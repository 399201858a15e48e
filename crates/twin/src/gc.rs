//! The collection of what has expired (`gc_worker` in `nf_conntrack_core.c`).

use plimsoll_model::Status;

use crate::Twin;
use crate::capabilities::Collection;
use crate::counters::RemovedBy;
use crate::tick::Tick;

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

/// Where gc stands.
#[derive(Debug)]
pub(crate) struct Gc {
    /// When it runs next.
    due: Tick,
    next_bucket: u32,
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
        self.gc = Gc::new(now.plus(self.host.capabilities.hz.jiffies(MOST_SECS)));
    }

    /// One slice of a walk. The kernel's also end after ten milliseconds, and go on at once: here, scanning takes no time.
    fn collect_slice(&mut self) {
        let hz = self.host.capabilities.hz;
        let now = self.gc.due;
        let most_removed = REMOVED_PER_SEC / hz.get();
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
        while self.gc.next_bucket < self.table.buckets() {
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
        let pressed_from = self.pressed_from();
        let buckets = if self.is_empty() { 0 } else { self.table.buckets() };
        for bucket in 0..buckets {
            self.collect_bucket(now, bucket, pressed_from, &mut 0, u32::MAX);
        }
        self.expire_expectations(now);
        self.gc.is_under_pressure = false;
        self.gc.due = now.plus(self.host.capabilities.hz.jiffies(FIXED_SECS));
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
        let hz = self.host.capabilities.hz;
        let [least, most] = [LEAST_SECS, ENTRY_MOST_SECS].map(|secs| i64::from(hz.jiffies(secs)));
        let mut passed = 0;
        loop {
            let mut doomed = None;
            for (slot, ..) in self.table.chain(bucket).skip(passed) {
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
                if is_pressed && !entry.status.has(Status::ASSURED) {
                    doomed = Some((slot, RemovedBy::PressureUnassured));
                    break;
                }
                if is_pressed && entry.memory.is_closing() {
                    doomed = Some((slot, RemovedBy::PressureClosing));
                    break;
                }
                passed += 1;
            }
            let Some((slot, by)) = doomed else { return Bucket::Done };
            // Where both of its tuples lie in this chain, this is the first of them: none of those that were passed goes.
            self.remove(slot, by);
            *removed += 1;
        }
    }
}

#[derive(PartialEq, Eq)]
enum Bucket {
    Done,
    Left,
}
