//! Going through a table, each entry once, with the time at which it was read.

use std::time::{Duration, SystemTime};

use plimsoll_census::Duplicates;
use plimsoll_ctnetlink::{Dump, DumpedEntry, Unknowns};
use plimsoll_host::monotonic_now;

use crate::Error;
use crate::second_look::Window;

/// A dump, read batch by batch. The kernel walks on only as batches are asked for, so what is done with one batch is done
/// soon after it was read.
#[derive(Debug)]
pub(crate) struct Walk {
    dump: Dump,
    duplicates: Duplicates,
    unknowns: Unknowns,
    /// When the next batch was read at the earliest: the kernel fills a datagram within the call that receives the one
    /// before it (`netlink_recvmsg`).
    filled_from: Duration,
}

/// When a batch was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) window: Window,
    pub(crate) unix_nanos: u64,
}

impl Walk {
    pub(crate) fn begin() -> Result<Self, Error> {
        let filled_from = monotonic_now();
        let (duplicates, unknowns) = (Duplicates::new(), Unknowns::default());
        Ok(Self { dump: Dump::start()?, duplicates, unknowns, filled_from })
    }

    /// Hands on the entries of the next batch, and says whether there was one.
    pub(crate) fn next_batch(&mut self, mut each: impl FnMut(&DumpedEntry<'_>, Moment)) -> Result<bool, Error> {
        let asked = monotonic_now();
        let Some(batch) = self.dump.next_batch()? else { return Ok(false) };
        let to = monotonic_now();
        let moment = Moment { window: Window { from: self.filled_from, to }, unix_nanos: unix_nanos() };
        self.filled_from = asked;
        for dumped in batch.entries(&mut self.unknowns) {
            let dumped = dumped.map_err(plimsoll_ctnetlink::Error::from)?;
            if !self.duplicates.is_repeated(&dumped.entry) {
                each(&dumped, moment);
            }
        }
        Ok(true)
    }
}

pub(crate) fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.ok().and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0)
}
