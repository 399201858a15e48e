//! Reads recorded packets, batch by batch.

use plimsoll_twin::{Asker, Capabilities};

use super::handover::{Gone, ReadersEnd};
use super::heard::Heard;
use super::sorter::Sorter;
use crate::batch;
use crate::workload::Datagrams;

/// So many flows are remembered before it is asked which of them can be forgotten.
const FLOWS_AT_FIRST: u32 = 1 << 16;

/// Of what packets carry, about so much is kept in a batch: most of them need none.
const MOST_KEPT_BYTES: usize = 1 << 20;

/// So many packets are read before their flows are looked up, whose memory comes meanwhile.
const AT_ONCE: usize = 32;

/// Reads packets until there are no more, or nobody takes them.
pub(super) struct Reader<'d> {
    datagrams: &'d mut dyn Datagrams,
    sorter: Sorter,
    forgets_above: u32,
    /// It has said that there are no more: it is not asked again.
    is_at_end: bool,
}

impl<'d> Reader<'d> {
    /// Of packets that come to the asker's place.
    pub(super) fn new(datagrams: &'d mut dyn Datagrams, capabilities: Capabilities, asker: Asker) -> Self {
        Self { datagrams, sorter: Sorter::new(capabilities, asker), forgets_above: FLOWS_AT_FIRST, is_at_end: false }
    }

    /// Hands over all there is. An error is not the reader's: who plays has stopped. By itself, for who counts instructions.
    #[inline(never)]
    pub(super) fn read(mut self, player: &ReadersEnd) -> Result<(), Gone> {
        while !self.is_at_end {
            let mut batch = player.take_empty()?;
            self.fill(&mut batch);
            player.hand_over(batch)?;
            let flows = &mut self.sorter.flows;
            if flows.count() > self.forgets_above {
                flows.keep(&player.ask_which_go_on()?);
                self.forgets_above = FLOWS_AT_FIRST.max(2 * flows.count());
            }
        }
        Ok(())
    }

    /// Reads the next packets into an empty batch, as many as it holds; fewer if there are no more, or if much is kept of them.
    fn fill(&mut self, batch: &mut Vec<Heard>) {
        while !self.is_at_end && batch.len() < batch::PACKETS && self.sorter.kept_bytes < MOST_KEPT_BYTES {
            self.is_at_end = (0..AT_ONCE).any(|_| !self.read_one(batch));
            self.sorter.number(batch);
        }
        self.sorter.kept_bytes = 0;
    }

    /// Whether there was one.
    #[inline]
    fn read_one(&mut self, batch: &mut Vec<Heard>) -> bool {
        let datagram = self.datagrams.next_datagram();
        datagram.is_some_and(|datagram| {
            self.sorter.hear(datagram, batch);
            true
        })
    }
}
