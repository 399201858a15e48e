//! How many flows a shorter timeout would kill though a packet was to come.

use serde::Serialize;

use crate::ages::Edge;
use crate::bound::{Band, Share, high_quantile, share_upper};
use crate::chance::{Change, ChangeError, Edges, at_risk, killed, longer};
use crate::curve::Curve;
use crate::long_flows::LongFlows;
use crate::observed::Observed;
use crate::resample::{Resampled, kish, percentiles};

/// The rate of false kills per flow that ever idles beyond the guard rail, and what it rests on.
///
/// A flow is killed falsely if one of its gaps is longer than the timeout and is ended by a packet before the timeout now
/// in force. Where a gap's length is known between bounds only, the curve says how probable that is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FalseKills {
    /// The timeout that was judged, in seconds.
    pub timeout_secs: f64,
    /// The rate, with bounds from other samples of peers; where it stands for few cases, the upper one is not below that of
    /// Clopper and Pearson.
    pub rate: Band,
    /// The rate is below this at 95 %: the higher of two one-sided bounds, that from other samples of peers and that of
    /// Clopper and Pearson for `effective_flows`. The first sees how uneven peers are, and says 0 where nothing was seen
    /// to be harmed; the second does not.
    pub upper: f64,
    /// The part of the rate for which there is no evidence: gaps whose end was not seen, beyond the ages that are known.
    /// It is counted as harm.
    pub not_known: f64,
    /// Flows that idle beyond the guard rail.
    pub long_flows: f64,
    /// Their gaps beyond it.
    pub long_gaps: f64,
    /// Peers whose flow was seen to idle beyond it.
    pub peers: usize,
    /// Flows that would tell as much if each had a peer of its own and was seen to its end. Flows of one peer are taken to be
    /// wholly alike (Kish 1965: (Σn)² / Σn²). Where fewer are seen at an age between the timeouts than would have reached
    /// it, those few are what is known about it.
    pub effective_flows: f64,
}

impl Resampled<'_> {
    /// What a change would do to the flows that were observed.
    pub fn false_kills(&self, change: &Change, coverage: Share) -> Result<FalseKills, ChangeError> {
        Judge::new(self, self.observed(), change.guard_secs)?.judge(change, coverage)
    }

    /// What a change would do to other flows, counted with the curve of those that were observed. The other's grid of ages
    /// has to be the same.
    pub fn false_kills_of(
        &self,
        other: &Observed,
        change: &Change,
        coverage: Share,
    ) -> Result<FalseKills, ChangeError> {
        Judge::new(self, other, change.guard_secs)?.judge(change, coverage)
    }
}

/// Judges changes that have a guard rail in common.
pub(crate) struct Judge<'a> {
    resampled: &'a Resampled<'a>,
    flows: LongFlows<'a>,
    guard: Edge,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        resampled: &'a Resampled<'a>,
        observed: &'a Observed,
        guard_secs: f64,
    ) -> Result<Self, ChangeError> {
        let ages = resampled.survival().ages();
        if observed.ages() != ages {
            return Err(ChangeError::OtherGrid);
        }
        let guard = ages.exactly(guard_secs).ok_or(ChangeError::NotOnGrid(guard_secs))?;
        Ok(Self { resampled, flows: LongFlows::of(observed, guard), guard })
    }

    pub(crate) fn judge(&self, change: &Change, coverage: Share) -> Result<FalseKills, ChangeError> {
        let edges = change.edges(self.resampled.survival().ages())?;
        let curve = self.resampled.survival().curve();
        let counted = Counted::of(&self.flows, curve, edges);
        let once = vec![1; self.flows.peers()];
        let rate = counted.rate(&once).ok_or(ChangeError::NoLongFlows(change.guard_secs))?;
        let mut rates: Vec<f64> = self
            .resampled
            .samples()
            .iter()
            .filter_map(|sample| {
                Counted::of(&self.flows, sample.curve(), edges).rate(&sample.times(self.flows.peers()))
            })
            .collect();
        rates.sort_by(f64::total_cmp);
        let effective_flows = kish(&counted.long).min(self.seen(curve, edges, &counted));
        let resampled = high_quantile(&rates, 1.0 - Share::NINETEEN_OF_TWENTY.get()).unwrap_or(1.0);
        let exact = share_upper(rate * effective_flows, effective_flows, Share::NINETEEN_OF_TWENTY.get());
        Ok(FalseKills {
            timeout_secs: change.timeout_secs,
            rate: percentiles(rate, rates.clone(), rates, coverage).widened(effective_flows, coverage),
            upper: resampled.max(exact).max(rate),
            not_known: rate - counted.known_rate(&once).unwrap_or(0.0),
            long_flows: counted.long.iter().sum(),
            long_gaps: self.long_gaps(curve),
            peers: (0..self.flows.peers()).filter(|peer| self.has_long(*peer)).count(),
            effective_flows,
        })
    }

    fn long_gaps(&self, curve: &Curve) -> f64 {
        let chances = self.flows.chances(curve, |curve, span| longer(curve, span, self.guard));
        (0..self.flows.peers()).map(|peer| self.flows.gaps_with(peer, |gap| chances[gap.span as usize])).sum()
    }

    fn has_long(&self, peer: usize) -> bool {
        let seen = |after: Edge| f64::from(u8::from(after >= self.guard));
        self.flows.gaps_with(peer, |gap| seen(self.flows.span(gap).after())) > 0.0
    }

    /// The fewest flows that tell of an age between the timeouts, as a number of long flows: were 3 flows seen at an age
    /// that a tenth of the long flows reach, these would be 30.
    fn seen(&self, curve: &Curve, edges: Edges, counted: &Counted) -> f64 {
        let long: f64 = counted.long.iter().sum();
        let known = curve.end(usize::from(edges.guard)).min(usize::from(edges.in_force));
        let known = Edge::try_from(known).unwrap_or(edges.in_force);
        (edges.timeout..known)
            .filter_map(|age| {
                let reach = self.flows.chances(curve, |curve, span| longer(curve, span, age));
                let peers = 0..self.flows.peers();
                let reaching: f64 =
                    peers.clone().map(|peer| self.flows.flows_with(peer, |gap| reach[gap.span as usize])).sum();
                let seen = peers.map(|peer| {
                    self.flows.flows_with(peer, |gap| at_risk(curve, self.flows.span(gap), gap.seen_from, age))
                });
                let seen: Vec<f64> = seen.collect();
                (reaching > 0.0).then(|| kish(&seen) * long / reaching)
            })
            .fold(f64::INFINITY, f64::min)
    }
}

/// Expected numbers of flows, peer by peer.
struct Counted {
    killed: Vec<f64>,
    known_killed: Vec<f64>,
    long: Vec<f64>,
}

impl Counted {
    fn of(flows: &LongFlows<'_>, curve: &Curve, edges: Edges) -> Self {
        let kill = flows.chances(curve, |curve, span| killed(curve, span, edges).killed);
        let known = flows.chances(curve, |curve, span| {
            let chance = killed(curve, span, edges);
            chance.killed - chance.not_known
        });
        let long = flows.chances(curve, |curve, span| longer(curve, span, edges.guard));
        let each = |chances: &[f64]| {
            (0..flows.peers()).map(|peer| flows.flows_with(peer, |gap| chances[gap.span as usize])).collect()
        };
        Self { killed: each(&kill), known_killed: each(&known), long: each(&long) }
    }

    fn rate(&self, times: &[u32]) -> Option<f64> {
        ratio(times, &self.killed, &self.long)
    }

    fn known_rate(&self, times: &[u32]) -> Option<f64> {
        ratio(times, &self.known_killed, &self.long)
    }
}

fn ratio(times: &[u32], part: &[f64], whole: &[f64]) -> Option<f64> {
    let sum = |of: &[f64]| times.iter().zip(of).map(|(times, number)| f64::from(*times) * number).sum::<f64>();
    let whole = sum(whole);
    (whole > 0.0).then(|| (sum(part) / whole).min(1.0))
}
