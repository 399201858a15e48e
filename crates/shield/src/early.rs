//! What was dropped before the rules could see it.

use std::collections::HashMap;

use crate::{Hit, Reading};

/// What an XDP stage has dropped. In shadow that is nothing, and the rules see all that it sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Early {
    /// Those whose packets were dropped within the last minute ([`HIT_SECS`](crate::HIT_SECS)).
    pub hits: Vec<Hit>,
    /// Packets that were dropped, the last of them within the same minute, and of which it is not known whose they were.
    pub unrecorded: u64,
}

impl Reading {
    /// With what never came to the rules: no packet is in both.
    #[must_use]
    pub fn and_early(mut self, early: Early) -> Self {
        let mut packets: HashMap<_, u64> = self.hits.iter().map(|hit| (hit.source, hit.packets)).collect();
        for hit in early.hits {
            let of_source = packets.entry(hit.source).or_default();
            *of_source = of_source.saturating_add(hit.packets);
        }
        self.hits = packets.into_iter().map(|(source, packets)| Hit { source, packets }).collect();
        self.counters.unrecorded = self.counters.unrecorded.saturating_add(early.unrecorded);
        self
    }
}
