//! Reads recorded packets, batch by batch.

use plimsoll_twin::{Asker, Capabilities};

use super::batch::{self, Batch};
use super::handover::{Gone, ReadersEnd};
use super::sorter::Sorter;
use crate::workload::Datagrams;

/// So many flows are remembered before it is asked which of them can be forgotten.
const FLOWS_AT_FIRST: u32 = 1 << 16;

/// So many packets are read before their flows are looked up, whose memory comes meanwhile.
const AT_ONCE: usize = 32;

/// Reads packets until there are no more, or nobody takes them.
pub(super) struct Reader<'d> {
    datagrams: &'d mut dyn Datagrams,
    sorter: Sorter,
    forgets_above: u32,
}

impl<'d> Reader<'d> {
    /// Of packets that come to the asker's place.
    pub(super) fn new(datagrams: &'d mut dyn Datagrams, capabilities: Capabilities, asker: Asker) -> Self {
        Self { datagrams, sorter: Sorter::new(capabilities, asker), forgets_above: FLOWS_AT_FIRST }
    }

    /// Hands over all there is. An error is not the reader's: who plays has stopped. By itself, for who counts instructions.
    #[inline(never)]
    pub(super) fn read(mut self, player: &ReadersEnd) -> Result<(), Gone> {
        loop {
            let mut batch = player.take_empty()?;
            self.fill(&mut batch);
            if batch.heard.is_empty() {
                return Ok(());
            }
            player.hand_over(batch)?;
            let flows = &mut self.sorter.flows;
            if flows.count() > self.forgets_above {
                flows.keep(&player.ask_which_go_on()?);
                self.forgets_above = FLOWS_AT_FIRST.max(2 * flows.count());
            }
        }
    }

    /// Reads the next packets into an empty batch, as many as it holds.
    fn fill(&mut self, batch: &mut Batch) {
        let mut is_at_end = false;
        while !is_at_end && batch.heard.len() < batch::PACKETS {
            is_at_end = (0..AT_ONCE).any(|_| !self.read_one(batch));
            self.sorter.number(batch);
        }
    }

    /// Whether there was one.
    #[inline]
    fn read_one(&mut self, batch: &mut Batch) -> bool {
        let datagram = self.datagrams.next_datagram();
        datagram.is_some_and(|datagram| {
            self.sorter.hear(datagram, batch);
            true
        })
    }
}
