//! From the world that is played back to the one that it stands for.

use plimsoll_twin::Memory;

use crate::outcome::{Chains, FlowsOf, Outcome, Peak};
use crate::replay::Replay;
use crate::{Reading, Setup};

impl Replay {
    /// What came of playing it under a setup, as it would be in the world that was recorded: counts and memory are larger by
    /// [`Replay::stands_for`], and the limit is the setup's own. Chains are as long in both. A small limit is rounded, so no more
    /// entries are told than the limit has room for.
    #[must_use]
    pub fn enlarge(&self, outcome: &Outcome, setup: &Setup) -> Outcome {
        let count = |number: u64| times(number, self.stands_for);
        let room = setup.host.capacity.limit().unwrap_or(u32::MAX);
        let entries = |number: u32| u32::try_from(count(number.into())).unwrap_or(u32::MAX).min(room);
        Outcome {
            completeness: outcome.completeness,
            lasted: outcome.lasted,
            capacity: setup.host.capacity,
            series: outcome
                .series
                .iter()
                .map(|reading| Reading {
                    at: reading.at,
                    occupancy: entries(reading.occupancy),
                    live: entries(reading.live),
                    packets: count(reading.packets),
                    dropped: count(reading.dropped),
                    false_kills: count(reading.false_kills),
                })
                .collect(),
            peak: Peak { at: outcome.peak.at, occupancy: entries(outcome.peak.occupancy) },
            saturated_at: outcome.saturated_at,
            packets: count(outcome.packets),
            flows: count(outcome.flows),
            refused_flows: count(outcome.refused_flows),
            standing_not_made: count(outcome.standing_not_made),
            invalid: count(outcome.invalid),
            drops: outcome.drops.map(count),
            removals: outcome.removals.map(count),
            counters: outcome.counters.map(count),
            memory_peak: Memory {
                buckets_bytes: count(outcome.memory_peak.buckets_bytes),
                objects_bytes: count(outcome.memory_peak.objects_bytes),
                extensions_bytes: count(outcome.memory_peak.extensions_bytes),
            },
            chains: Chains { occupancy: entries(outcome.chains.occupancy), ..outcome.chains },
            false_kills: outcome.false_kills.map(count),
            called: outcome
                .called
                .iter()
                .map(|of| FlowsOf { called: of.called, flows: count(of.flows), false_kills: of.false_kills.map(count) })
                .collect(),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "no less than 0; as many as can be")]
fn times(number: u64, factor: f64) -> u64 {
    (number as f64 * factor) as u64
}
