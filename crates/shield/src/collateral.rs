//! Whom of those who mean well a shield hits.

use std::collections::HashSet;
use std::net::IpAddr;

use serde::Serialize;

use crate::{Peers, Reading};

/// What a shield did, or would have done, to those who have completed flows. It counts all that the table shows of them, so the shares
/// are no estimates; but who has no completed flow in the table is not seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Collateral {
    /// Sources whose flows are meant ([`Flows::are_meant`](crate::Flows::are_meant)).
    pub sources: Part,
    /// Completed flows. Of a source that was hit as many count as packets of it were too many, for each would have begun one; no more
    /// than it has.
    pub flows: Part,
    /// Packets of sources for which there was no room: a limit on them hits those who mean well as it hits the others.
    pub without_room: Part,
    /// Packets that were too many, and whose sources could not be noted. Whose they were is not known.
    pub unrecorded: u64,
    /// Sources that were hit and whose flows are meant, those with most hits first; ten at most.
    pub hit: Vec<IpAddr>,
}

/// Some of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Hit.
    pub hit: u64,
    /// Of so many.
    pub of: u64,
}

/// Whether a shield may drop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Judgement {
    /// It may: the largest of the shares.
    Enforce(f64),
    /// It may not.
    Stay(NotEnforced),
}

/// Why a shield stays in shadow.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NotEnforced {
    /// It would hit too many.
    #[error("it would hit {:.2}% of those who have completed flows, more than the {:.2}% that are allowed", share * 100.0, most * 100.0)]
    TooMany {
        /// The largest of the shares.
        share: f64,
        /// What was allowed.
        most: f64,
    },
    /// There were more sources than are noted.
    #[error("{0} packets were too many whose sources could not be noted, so that whom it would hit is not known")]
    Unrecorded(u64),
    /// Nobody has completed a flow.
    #[error("the table shows nobody who has completed a flow of this class, so that whom it would hit is not known")]
    NobodyKnown,
}

impl Part {
    /// The share; none of nothing.
    pub fn share(self) -> f64 {
        if self.of == 0 { 0.0 } else { self.hit as f64 / self.of as f64 }
    }
}

impl Collateral {
    /// From what the rules counted, and whom the table shows.
    pub fn of(reading: &Reading, peers: &Peers) -> Self {
        let (mut sources, mut flows) = (Part::default(), Part::default());
        for (_, of) in peers.iter() {
            sources.of += u64::from(of.are_meant());
            flows.of += of.done;
        }
        let mut hits = reading.hits.clone();
        hits.sort_unstable_by_key(|hit| (std::cmp::Reverse(hit.packets), hit.source));
        let mut named = Vec::new();
        for hit in &hits {
            let of = peers.of(hit.source);
            flows.hit += of.done.min(hit.packets);
            if of.are_meant() {
                sources.hit += 1;
                named.push(hit.source);
            }
        }
        named.truncate(10);
        let counters = reading.counters;
        let without_room = Part { hit: counters.over_total, of: counters.without_room };
        Self { sources, flows, without_room, unrecorded: counters.unrecorded, hit: named }
    }

    /// The largest of the shares.
    pub fn share(&self) -> f64 {
        [self.sources, self.flows, self.without_room].map(Part::share).into_iter().fold(0.0, f64::max)
    }

    /// Whether the shield may drop, if it may hit `most` of those who mean well.
    pub fn judge(&self, most: f64) -> Judgement {
        let share = self.share();
        // Whoever allows everything need not be told what is not known.
        if most >= 1.0 {
            return Judgement::Enforce(share);
        }
        if share > most {
            return Judgement::Stay(NotEnforced::TooMany { share, most });
        }
        if self.unrecorded > 0 {
            return Judgement::Stay(NotEnforced::Unrecorded(self.unrecorded));
        }
        if self.flows.of == 0 {
            return Judgement::Stay(NotEnforced::NobodyKnown);
        }
        Judgement::Enforce(share)
    }
}

impl Reading {
    /// The sources that were hit.
    pub fn hit_sources(&self) -> HashSet<IpAddr> {
        self.hits.iter().map(|hit| hit.source).collect()
    }
}
