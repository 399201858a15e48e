//! What came of a simulation.

use std::time::Duration;

use plimsoll_model::Capacity;
use plimsoll_twin::{Counters, DropReason, Memory, Removals};

use crate::{Called, FalseKills, Reading};

/// What a table did under a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Whether all of the workload was simulated; if not, everything here is of the part that was.
    pub completeness: Completeness,
    /// How long it was in simulated time.
    pub lasted: Duration,
    /// The limit.
    pub capacity: Capacity,
    /// The table over time: evenly spaced, from the begin to the end.
    pub series: Vec<Reading>,
    /// When the kernel's count was highest, for the first time. Exact, also between readings.
    pub peak: Peak,
    /// When the count first reached the limit.
    pub saturated_at: Option<Duration>,
    /// Packets that came.
    pub packets: u64,
    /// Flows that came.
    pub flows: u64,
    /// Flows whose first packet was dropped. As in the lab, the rest of such a flow of a scenario is not sent.
    pub refused_flows: u64,
    /// Entries of a scenario that were to be there at its begin and were not made, for want of room.
    pub standing_not_made: u64,
    /// Packets that were INVALID.
    pub invalid: u64,
    /// Packets that were dropped.
    pub drops: Drops,
    /// Entries that were removed, by what.
    pub removals: Removals,
    /// The kernel's counters.
    pub counters: Counters,
    /// The memory taken when most was taken.
    pub memory_peak: Memory,
    /// The hash's chains, about when the count was highest.
    pub chains: Chains,
    /// Entries that were gone before their flow's next packet.
    pub false_kills: FalseKills,
    /// The flows of a replay by what they called, in the order of [`Replay::called`](crate::Replay::called); empty for other
    /// workloads.
    pub called: Vec<FlowsOf>,
}

/// The flows that call one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowsOf {
    /// What they call.
    pub called: Called,
    /// Flows that came, or stood at the begin.
    pub flows: u64,
    /// Those of their entries that were gone before their next packet.
    pub false_kills: FalseKills,
}

/// How many entries there were on the average of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MeanOccupancy {
    /// Entries that the kernel counts.
    pub counted: f64,
    /// Those of them that had not expired.
    pub live: f64,
}

/// How far a simulation came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// To the end.
    Whole,
    /// Somebody stopped it at this point of simulated time.
    StoppedAt(Duration),
}

/// The highest count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// When.
    pub at: Duration,
    /// Entries that the kernel counted.
    pub occupancy: u32,
}

/// How many packets were dropped, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Drops {
    /// How many.
    pub const fn by(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// For whatever reason.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Each count as something makes it.
    pub(crate) fn map(self, count: impl FnMut(u64) -> u64) -> Self {
        Self(self.0.map(count))
    }

    pub(crate) const fn count(&mut self, reason: DropReason) {
        self.0[reason as usize] += 1;
    }
}

/// How long the hash's chains were at the reading with most entries, in nodes; each entry has two.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Chains {
    /// When.
    pub at: Duration,
    /// How many entries there were.
    pub occupancy: u32,
    /// The longest chain.
    pub longest: usize,
    /// How many nodes a look-up for a tuple that is there passes, on the average.
    pub mean_lookup: f64,
}

impl Outcome {
    /// The share of flows that were hit by false kills.
    pub fn false_kill_rate(&self) -> f64 {
        if self.flows == 0 { 0.0 } else { self.false_kills.flows_hit as f64 / self.flows as f64 }
    }

    /// The average over time, by the readings of the series. Two settings have theirs at the same times wherever they get as many
    /// packets: what one saves is known better than how much either takes.
    pub fn mean_occupancy(&self) -> MeanOccupancy {
        let mean = |of: fn(&Reading) -> u32| {
            let (mut area, mut secs) = (0.0, 0.0);
            for (before, after) in self.series.iter().zip(self.series.iter().skip(1)) {
                let lasts = after.at.saturating_sub(before.at).as_secs_f64();
                area += lasts * (f64::from(of(before)) + f64::from(of(after))) / 2.0;
                secs += lasts;
            }
            if secs > 0.0 { area / secs } else { self.series.last().map_or(0.0, |only| f64::from(of(only))) }
        };
        MeanOccupancy { counted: mean(|reading| reading.occupancy), live: mean(|reading| reading.live) }
    }

    /// The highest count over the limit; `None` without a limit.
    pub fn utilization(&self) -> Option<f64> {
        self.capacity.limit().map(|limit| f64::from(self.peak.occupancy) / f64::from(limit))
    }
}
