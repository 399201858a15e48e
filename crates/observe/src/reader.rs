//! A namespace's entries, read as far as is wanted.

use std::time::Duration;

use plimsoll_census::{Armings, Counting, DumpNotes};
use plimsoll_ctnetlink::{Dump, Unknowns};
use plimsoll_host::{HostFs, monotonic_now};
use plimsoll_model::{Buckets, Census, Coverage, Occupancy, StoppedBecause};

use crate::Depth;
use crate::place::{Place, Unvisited};

/// A table is resized rarely; twice within one dump and something is wrong.
const MOST_RESTARTS: u32 = 2;

/// A dump under way and what was counted of it. The dump belongs to the namespace in which it was begun, so it can be
/// read on from anywhere.
pub(crate) struct Reader<'a> {
    host: &'a HostFs,
    place: Place<'a>,
    armings: Armings,
    buckets: Option<Buckets>,
    dump: Dump,
    counting: Counting,
    unknown: Unknowns,
    restarts: u32,
}

/// Why entries could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Netlink(#[from] plimsoll_ctnetlink::Error),
    #[error(transparent)]
    Unvisited(#[from] Unvisited),
}

impl<'a> Reader<'a> {
    pub(crate) fn begin(host: &'a HostFs, place: Place<'a>, armings: Armings) -> Result<Self, Error> {
        Ok(Self {
            host,
            buckets: host.buckets().ok(),
            dump: place.visit(Dump::start)??,
            place,
            counting: Counting::new(armings.clone()),
            armings,
            unknown: Unknowns::default(),
            restarts: 0,
        })
    }

    /// Reads on: until the depth is reached, the dump ends, or `deadline` (on the monotonic clock) is past.
    pub(crate) fn read(&mut self, depth: Depth, occupancy: Occupancy, deadline: Duration) -> Result<Coverage, Error> {
        loop {
            let stopped = self.read_once(depth, occupancy, deadline)?;
            if self.host.buckets().ok() == self.buckets {
                return Ok(stopped.map_or(Coverage::Complete, |because| Coverage::Sample { because }));
            }
            if self.restarts == MOST_RESTARTS {
                return Ok(Coverage::Sample { because: StoppedBecause::Resized });
            }
            self.restart()?;
        }
    }

    /// Whether what was read is seen not to stand for the whole.
    pub(crate) fn is_uneven(&self) -> bool {
        self.counting.is_uneven()
    }

    /// The buckets of the hash that was read.
    pub(crate) const fn buckets(&self) -> Option<Buckets> {
        self.buckets
    }

    pub(crate) fn census(&self, coverage: Coverage, occupancy: Occupancy) -> Census {
        let notes = DumpNotes { restarts: self.restarts, unknown: self.unknown.clone() };
        self.counting.finish(coverage, occupancy, notes)
    }

    fn read_once(
        &mut self,
        depth: Depth,
        occupancy: Occupancy,
        deadline: Duration,
    ) -> Result<Option<StoppedBecause>, Error> {
        loop {
            let reached = match depth {
                Depth::Exact => None,
                Depth::Sample(entries) => (self.counting.read() >= entries.get()).then_some(StoppedBecause::SampleSize),
                Depth::Precise => self.counting.is_precise_enough(occupancy).then_some(StoppedBecause::PreciseEnough),
            };
            if reached.is_some() {
                return Ok(reached);
            }
            if monotonic_now() >= deadline {
                return Ok(Some(StoppedBecause::TimeUp));
            }
            let Some(batch) = self.dump.next_batch()? else { return Ok(None) };
            for dumped in batch.entries(&mut self.unknown) {
                self.counting.add(&dumped.map_err(plimsoll_ctnetlink::Error::from)?.entry);
            }
        }
    }

    /// Every entry has moved to another bucket: what was read is no sample of what is there, so it begins anew.
    fn restart(&mut self) -> Result<(), Error> {
        self.restarts += 1;
        self.buckets = self.host.buckets().ok();
        self.dump = self.place.visit(Dump::start)??;
        self.counting = Counting::new(self.armings.clone());
        self.unknown = Unknowns::default();
        Ok(())
    }
}
