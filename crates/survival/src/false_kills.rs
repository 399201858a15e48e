//! How many flows a shorter timeout would kill though a packet was to come.

use serde::Serialize;

use crate::ages::Edge;
use crate::bound::{Band, Share, high_quantile, share_upper};
use crate::chance::{Change, ChangeError, Edges, killed, longer};
use crate::curve::Curve;
use crate::long_flows::LongFlows;
use crate::observed::Span;
use crate::resample::{Resampled, Sample, kish, percentiles};

/// The rate of false kills per flow that ever idles beyond the guard rail, and what it rests on.
///
/// A flow is killed falsely if one of its gaps is longer than the timeout and is ended by a packet before the timeout
/// now in force. Where a gap's length is known between bounds only, the curve says how probable that is, for each gap
/// of a flow by itself. Where gaps of one flow are alike, that finds more flows with one that is killed than there are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FalseKills {
    /// The timeout that was judged, in seconds.
    pub timeout_secs: f64,
    /// The rate, with bounds from other samples of peers; where it stands for few cases, the upper one is not below
    /// that of Clopper and Pearson.
    pub rate: Band,
    /// The rate is below this at 95 %: the higher of two one-sided bounds, that from other samples of peers and that of
    /// Clopper and Pearson for `effective_flows`. The first sees how uneven peers are, and says 0 where nothing was
    /// seen to be harmed; the second does not.
    pub upper: f64,
    /// The part of the rate for which there is no evidence: gaps whose end was not seen, beyond the ages that are
    /// known. It is counted as harm.
    pub not_known: f64,
    /// Flows that idle beyond the guard rail.
    pub long_flows: f64,
    /// Their gaps beyond it.
    pub long_gaps: f64,
    /// Peers whose flow was seen to idle beyond it.
    pub peers: usize,
    /// Flows that would tell as much if each had a peer of its own and was seen to its end. Flows of one peer are taken
    /// to be wholly alike (Kish 1965: (Σn)² / Σn²). Where fewer are seen at an age than would have reached it, those
    /// few are what is known about it.
    pub effective_flows: f64,
}

impl Resampled<'_> {
    /// Judges what changes would do to the flows that were observed to idle beyond a guard rail.
    pub fn judge(&self, guard_secs: f64) -> Result<Judge<'_>, ChangeError> {
        Judge::new(self, guard_secs)
    }
}

/// Judges changes that have a guard rail in common: only flows that ever idle beyond it count.
#[derive(Debug)]
pub struct Judge<'a> {
    resampled: &'a Resampled<'a>,
    flows: LongFlows<'a>,
    guard: Edge,
    /// Expected number of each peer's flows that are long.
    long: Vec<f64>,
    /// Expected number of long flows in each other sample.
    long_in_samples: Vec<f64>,
}

/// Ages between the guard rail and the timeout in force at which it is asked how many were seen.
const AGES_ASKED: usize = 24;

impl<'a> Judge<'a> {
    fn new(resampled: &'a Resampled<'a>, guard_secs: f64) -> Result<Self, ChangeError> {
        let guard = resampled.survival().ages().exactly(guard_secs).ok_or(ChangeError::NotOnGrid(guard_secs))?;
        let flows = LongFlows::of(resampled.observed(), guard);
        let chance = |curve: &Curve, span: Span| longer(curve, span, guard);
        let long = flows.by_peer(resampled.survival().curve(), chance);
        if long.iter().sum::<f64>() <= 0.0 {
            return Err(ChangeError::NoLongFlows(guard_secs));
        }
        let in_sample = |sample: &Sample| flows.in_sample(&sample.times(flows.peers()), sample.curve(), chance);
        let long_in_samples = resampled.samples().iter().map(in_sample).collect();
        Ok(Self { resampled, flows, guard, long, long_in_samples })
    }

    /// What a change would do to these flows.
    pub fn false_kills(&self, change: &Change, coverage: Share) -> Result<FalseKills, ChangeError> {
        let edges = change.edges(self.resampled.survival().ages(), self.guard)?;
        let curve = self.resampled.survival().curve();
        let harm = |curve: &Curve, span: Span| killed(curve, span, edges).killed;
        let known_harm = |curve: &Curve, span: Span| {
            let of_gap = killed(curve, span, edges);
            of_gap.killed - of_gap.not_known
        };
        let long_flows: f64 = self.long.iter().sum();
        let rate = (self.flows.by_peer(curve, harm).iter().sum::<f64>() / long_flows).min(1.0);
        let known_rate = (self.flows.by_peer(curve, known_harm).iter().sum::<f64>() / long_flows).min(1.0);
        let samples = self.resampled.samples().iter().zip(&self.long_in_samples).filter(|(_, long)| **long > 0.0);
        let rates = samples.map(|(sample, long)| {
            let times = sample.times(self.flows.peers());
            (self.flows.in_sample(&times, sample.curve(), harm) / long).min(1.0)
        });
        let mut rates: Vec<f64> = rates.collect();
        rates.sort_by(f64::total_cmp);
        let effective_flows = kish(&self.long).min(self.seen(curve, edges));
        let in_samples = high_quantile(&rates, 1.0 - Share::NINETEEN_OF_TWENTY.get()).unwrap_or(1.0);
        let exact = share_upper(rate * effective_flows, effective_flows, Share::NINETEEN_OF_TWENTY.get());
        Ok(FalseKills {
            timeout_secs: change.timeout_secs,
            rate: percentiles(rate, rates.clone(), rates, coverage).widened(effective_flows, coverage),
            upper: in_samples.max(exact).max(rate),
            not_known: (rate - known_rate).max(0.0),
            long_flows,
            long_gaps: self.flows.gaps_with(curve, |curve, span| longer(curve, span, self.guard)),
            peers: self.peers_seen(curve),
            effective_flows,
        })
    }

    /// Peers with a gap that was seen to be long.
    fn peers_seen(&self, curve: &Curve) -> usize {
        let seen = self.flows.by_peer(curve, |_, span| f64::from(u8::from(span.after() >= self.guard)));
        seen.iter().filter(|flows| **flows > 0.0).count()
    }

    /// The fewest flows that tell of an age between the guard rail and the timeout in force, as a number of long flows:
    /// were 3 flows seen at an age that a tenth of the long flows reach, these would be 30.
    fn seen(&self, curve: &Curve, edges: Edges) -> f64 {
        let long: f64 = self.long.iter().sum();
        let known = curve.end(usize::from(self.guard)).min(usize::from(edges.in_force));
        let ages = usize::from(self.guard)..known;
        let step = (ages.len() / AGES_ASKED).max(1);
        let asked = ages.clone().step_by(step).chain(ages.last());
        let fewest = asked.filter_map(|age| {
            let age = Edge::try_from(age).ok()?;
            let reaching: f64 = self.flows.by_peer(curve, |curve, span| longer(curve, span, age)).iter().sum();
            (reaching > 0.0).then(|| kish(&self.flows.at_risk_by_peer(curve, age)) * long / reaching)
        });
        fewest.fold(f64::INFINITY, f64::min)
    }
}
