//! A dump that is read piece by piece, between other things.

use plimsoll_census::Duplicates;
use plimsoll_ctnetlink::{Dump, DumpedEntry};
use plimsoll_model::Unknowns;
use plimsoll_recording::UnixMicros;

use crate::clock::Clock;
use crate::window::Window;

/// A dump under way.
#[derive(Debug)]
pub(crate) struct Look {
    dump: Dump,
    duplicates: Duplicates,
    began: UnixMicros,
    /// When the next batch was read at the earliest: the kernel fills a datagram within the call that receives the one
    /// before it (`netlink_recvmsg`).
    filled_from: UnixMicros,
}

/// Whether a look has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    GoesOn,
    AtTheEnd,
}

impl Look {
    pub(crate) fn begin(clock: &Clock) -> Result<Self, plimsoll_ctnetlink::Error> {
        let began = clock.now();
        Ok(Self { dump: Dump::start()?, duplicates: Duplicates::new(), began, filled_from: began })
    }

    pub(crate) fn began(&self) -> UnixMicros {
        self.began
    }

    /// Hands on the entries of the next batch.
    pub(crate) fn go_on(
        &mut self,
        clock: &Clock,
        unknowns: &mut Unknowns,
        mut each: impl FnMut(&DumpedEntry<'_>, Window),
    ) -> Result<Progress, plimsoll_ctnetlink::Error> {
        let asked = clock.now();
        let Some(batch) = self.dump.next_batch()? else { return Ok(Progress::AtTheEnd) };
        let read = Window { from: self.filled_from, to: clock.now() };
        self.filled_from = asked;
        for dumped in batch.entries(unknowns) {
            let dumped = dumped?;
            if !self.duplicates.is_repeated(&dumped.entry) {
                each(&dumped, read);
            }
        }
        Ok(Progress::GoesOn)
    }
}
