//! Between the thread that reads packets and the one that plays them.
//!
//! Batches go round: full ones to who plays, empty ones back. So reading is never further ahead than there are batches.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::heard::Heard;
use crate::batch;

/// So many are under way.
const BATCHES: usize = 8;

/// What the thread that reads says.
pub(super) enum Said {
    Packets(Vec<Heard>),
    /// It asks which flows something may come of, by their numbers.
    WhichGoOn,
}

/// Nobody is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// Of the thread that reads.
pub(super) struct ReadersEnd {
    says: Sender<Said>,
    empty: Receiver<Vec<Heard>>,
    going_on: Receiver<Vec<u32>>,
}

/// Of the one that plays.
pub(super) struct PlayersEnd {
    said: Receiver<Said>,
    empty: Sender<Vec<Heard>>,
    going_on: Sender<Vec<u32>>,
}

/// Both ends.
pub(super) fn handover() -> (ReadersEnd, PlayersEnd) {
    let ((says, said), (gives_back, empty), (answers, going_on)) = (channel(), channel(), channel());
    let players = PlayersEnd { said, empty: gives_back, going_on: answers };
    for _ in 0..BATCHES {
        players.give_back(Vec::with_capacity(batch::PACKETS));
    }
    (ReadersEnd { says, empty, going_on }, players)
}

impl ReadersEnd {
    /// Waits for a batch that can be filled.
    pub(super) fn take_empty(&self) -> Result<Vec<Heard>, Gone> {
        self.empty.recv().map_err(|_| Gone)
    }

    pub(super) fn hand_over(&self, batch: Vec<Heard>) -> Result<(), Gone> {
        self.says.send(Said::Packets(batch)).map_err(|_| Gone)
    }

    /// Has all that was handed over be played, and waits for the numbers, the lowest first.
    pub(super) fn ask_which_go_on(&self) -> Result<Vec<u32>, Gone> {
        self.says.send(Said::WhichGoOn).map_err(|_| Gone)?;
        self.going_on.recv().map_err(|_| Gone)
    }
}

impl PlayersEnd {
    /// Waits for what is said next; `None` behind the last.
    pub(super) fn listen(&self) -> Option<Said> {
        self.said.recv().ok()
    }

    /// Of one that has read all, nobody needs it any more.
    pub(super) fn give_back(&self, mut batch: Vec<Heard>) {
        batch.clear();
        let _ = self.empty.send(batch);
    }

    pub(super) fn answer(&self, going_on: Vec<u32>) {
        let _ = self.going_on.send(going_on);
    }
}
