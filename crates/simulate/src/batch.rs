//! Packets that are played in batches: while some are taken, memory comes near for those behind them.

use std::ops::ControlFlow;
use std::time::Duration;

use plimsoll_twin::{Asked, Twin};

/// So many packets are made at once: some dozens of kilobytes, and enough for the few with which a batch begins and ends not to count.
pub(crate) const PACKETS: usize = 1 << 10;

/// So many turns before its own a packet's entry is asked for, and as many before that what is remembered of its flow.
const TURNS: usize = Twin::TURNS_AHEAD;

/// Who plays packets to a twin.
pub(crate) trait Plays {
    /// A packet, as it is held until its turn.
    type Packet;

    fn twin(&self) -> &Twin;

    /// What a packet asks for, if it is to be looked for ahead.
    fn asked(packet: &mut Self::Packet) -> Option<&mut Asked>;

    /// Has the memory come near of what is remembered of a packet's flow.
    fn ask_for_flow(&self, packet: &Self::Packet);

    /// Prepares for a packet: what is remembered of its flow is near.
    fn foresee(&self, packet: &mut Self::Packet);

    /// A packet comes. Says whether to go on, and if not, how far it came.
    fn take(&mut self, packet: &Self::Packet) -> ControlFlow<Duration>;

    /// Plays packets in their order. By itself: what is played shares the processor's registers with nobody.
    #[inline(never)]
    fn play_batch(&mut self, packets: &mut [Self::Packet]) -> ControlFlow<Duration> {
        for packet in packets.iter().take(TURNS) {
            self.ask_for_flow(packet);
        }
        for turn in 0..packets.len() + TURNS {
            if let Some(later) = packets.get(turn + TURNS) {
                self.ask_for_flow(later);
            }
            if let Some(soon) = packets.get_mut(turn) {
                self.foresee(soon);
            }
            self.twin().go_ahead(packets, turn, Self::asked);
            if let Some(packet) = packets.get(turn.wrapping_sub(TURNS)) {
                self.take(packet)?;
            }
        }
        ControlFlow::Continue(())
    }
}
