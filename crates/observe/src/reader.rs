//! A namespace's entries, read as far as is wanted.

use std::io;
use std::num::NonZeroU64;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

use plimsoll_census::{Armings, Counting, DumpNotes};
use plimsoll_ctnetlink::{Batch, Batches, Dump, Unknowns};
use plimsoll_host::{HostFs, monotonic_now};
use plimsoll_model::{Buckets, Census, Coverage, Occupancy, StoppedBecause};

use crate::Depth;
use crate::place::{Place, Unvisited};

/// A table is resized rarely; twice within one dump and something is wrong.
const MOST_RESTARTS: u32 = 2;

/// Buffers between receiving and counting: one is filled, one is counted, one waits.
const BUFFERS: usize = 3;
/// So many that a thread is woken every millisecond or two, not for each datagram.
const DATAGRAMS_A_BUFFER: usize = 8;

/// A dump under way and what was counted of it. The dump belongs to the namespace in which it was begun, so it can be
/// read on from anywhere.
pub(crate) struct Reader<'a> {
    host: &'a HostFs,
    place: Place<'a>,
    armings: Armings,
    buckets: Option<Buckets>,
    dump: Dump,
    /// When the dump began.
    began_unix_nanos: Option<NonZeroU64>,
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
    #[error("cannot start a thread to count entries in: {0}")]
    Thread(io::Error),
}

impl<'a> Reader<'a> {
    pub(crate) fn begin(host: &'a HostFs, place: Place<'a>, armings: Armings) -> Result<Self, Error> {
        Ok(Self {
            host,
            buckets: host.buckets().ok(),
            dump: place.visit(Dump::start)??,
            began_unix_nanos: unix_nanos(),
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
            let stopped = match depth {
                Depth::Exact => self.read_all(deadline)?,
                Depth::Precise | Depth::Sample(_) => self.read_some(depth, occupancy, deadline)?,
            };
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
        let notes = DumpNotes {
            began_unix_nanos: self.began_unix_nanos,
            restarts: self.restarts,
            unknown: self.unknown.clone(),
        };
        self.counting.finish(coverage, occupancy, notes)
    }

    /// Reads batch by batch until the depth is reached; `None` at the end of the dump.
    fn read_some(
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
            let Some(batch) = self.dump.next_batch()? else { return Ok(None) };
            count(batch, &mut self.counting, &mut self.unknown)?;
            // However late it is, something has been read.
            if monotonic_now() >= deadline {
                return Ok(Some(StoppedBecause::TimeUp));
            }
        }
    }

    /// Reads to the end of the dump. The kernel fills a datagram within the call that receives it, so a thread of its
    /// own counts what has come, and the kernel never waits for that.
    fn read_all(&mut self, deadline: Duration) -> Result<Option<StoppedBecause>, Error> {
        let Self { dump, counting, unknown, .. } = self;
        let (to_count, received) = sync_channel::<Batches>(BUFFERS);
        let (to_fill, counted) = sync_channel(BUFFERS);
        for _ in 0..BUFFERS {
            // There is room for all of them, and a receiver.
            let _ = to_fill.send(Batches::with_room_for(DATAGRAMS_A_BUFFER));
        }
        let count_all = move || -> Result<(), Error> {
            for batches in received {
                batches.iter().try_for_each(|batch| count(batch, counting, unknown))?;
                // At the end nobody takes buffers back any more.
                let _ = to_fill.send(batches);
            }
            Ok(())
        };
        thread::scope(|scope| {
            let thread = thread::Builder::new().name("plimsoll-count".to_string()).spawn_scoped(scope, count_all);
            let thread = thread.map_err(Error::Thread)?;
            let stopped = receive_all(dump, &counted, &to_count, deadline);
            // Nothing more comes: the counting ends with what it has.
            drop(to_count);
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            stopped
        })
    }

    /// Every entry has moved to another bucket: what was read is no sample of what is there, so it begins anew.
    fn restart(&mut self) -> Result<(), Error> {
        self.restarts += 1;
        self.buckets = self.host.buckets().ok();
        self.dump = self.place.visit(Dump::start)??;
        self.began_unix_nanos = unix_nanos();
        self.counting = Counting::new(self.armings.clone());
        self.unknown = Unknowns::default();
        Ok(())
    }
}

/// Receives a dump to its end into the buffers that come back from counting.
fn receive_all(
    dump: &mut Dump,
    counted: &Receiver<Batches>,
    to_count: &SyncSender<Batches>,
    deadline: Duration,
) -> Result<Option<StoppedBecause>, Error> {
    // No buffer comes back, and none is taken, once counting has failed; that error is told by whoever joins it.
    while let Ok(mut batches) = counted.recv() {
        let more = dump.fill(&mut batches)?;
        if to_count.send(batches).is_err() || !more {
            break;
        }
        if monotonic_now() >= deadline {
            return Ok(Some(StoppedBecause::TimeUp));
        }
    }
    Ok(None)
}

fn unix_nanos() -> Option<NonZeroU64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    NonZeroU64::new(u64::try_from(since.as_nanos()).ok()?)
}

fn count(batch: Batch<'_>, counting: &mut Counting, unknown: &mut Unknowns) -> Result<(), Error> {
    for dumped in batch.entries(unknown) {
        counting.add(&dumped.map_err(plimsoll_ctnetlink::Error::from)?.entry);
    }
    Ok(())
}
