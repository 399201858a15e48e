//! Flows with a gap that may be long, so that each sample of peers passes over few.

use std::collections::HashMap;

use crate::ages::Edge;
use crate::chance::at_risk;
use crate::curve::Curve;
use crate::observed::{GapRow, Observed, Span};

/// Flows that may have idled beyond an age, by peer. Flows of a peer that are alike are one with their weight.
#[derive(Debug)]
pub(crate) struct LongFlows<'a> {
    spans: &'a [Span],
    /// First flow of each peer; one more at the end.
    first_flow: Vec<usize>,
    flows: Vec<LongFlow>,
    gaps: Vec<GapRow>,
}

#[derive(Debug)]
struct LongFlow {
    weight: f64,
    first_gap: usize,
    end_gap: usize,
}

type FlowKey = Vec<(u32, Edge, u64)>;

impl<'a> LongFlows<'a> {
    pub(crate) fn of(observed: &'a Observed, beyond: Edge) -> Self {
        let spans = observed.spans();
        let may_be_long = |gap: &&GapRow| match spans[gap.span as usize] {
            Span::Ended { until, .. } => until > beyond,
            Span::Lost { .. } => true,
        };
        let mut long = Self { spans, first_flow: Vec::new(), flows: Vec::new(), gaps: Vec::new() };
        for flows in observed.by_peer() {
            long.first_flow.push(long.flows.len());
            let mut alike: HashMap<FlowKey, f64> = HashMap::new();
            for (flow, gaps) in flows {
                let gaps = gaps.iter().filter(may_be_long);
                let mut key: FlowKey = gaps.map(|gap| (gap.span, gap.seen_from, gap.weight.to_bits())).collect();
                if !key.is_empty() {
                    key.sort_unstable();
                    *alike.entry(key).or_insert(0.0) += flow.weight;
                }
            }
            let mut alike: Vec<(FlowKey, f64)> = alike.into_iter().collect();
            alike.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            for (gaps, weight) in alike {
                let first_gap = long.gaps.len();
                long.gaps.extend(gaps.iter().map(|(span, seen_from, weight)| GapRow {
                    span: *span,
                    seen_from: *seen_from,
                    weight: f64::from_bits(*weight),
                }));
                long.flows.push(LongFlow { weight, first_gap, end_gap: long.gaps.len() });
            }
        }
        long.first_flow.push(long.flows.len());
        long
    }

    pub(crate) const fn peers(&self) -> usize {
        self.first_flow.len() - 1
    }

    /// The expected number of each peer's flows in which at least one gap is what its span has this chance to be.
    pub(crate) fn by_peer(&self, curve: &Curve, chance: impl Fn(&Curve, Span) -> f64) -> Vec<f64> {
        let chances = self.chances(curve, chance);
        (0..self.peers()).map(|peer| self.flows_with(peer, |gap| chances[gap.span as usize])).collect()
    }

    /// The same, with each peer's flows so often, over all peers.
    pub(crate) fn in_sample(&self, times: &[u32], curve: &Curve, chance: impl Fn(&Curve, Span) -> f64) -> f64 {
        let chances = self.chances(curve, chance);
        let peers = times.iter().enumerate().filter(|(_, times)| **times > 0);
        peers.map(|(peer, times)| f64::from(*times) * self.flows_with(peer, |gap| chances[gap.span as usize])).sum()
    }

    /// The expected number of gaps that are what their span has this chance to be.
    pub(crate) fn gaps_with(&self, curve: &Curve, chance: impl Fn(&Curve, Span) -> f64) -> f64 {
        let chances = self.chances(curve, chance);
        let of_flow = |gaps: &[GapRow]| gaps.iter().map(|gap| gap.weight * chances[gap.span as usize]).sum::<f64>();
        (0..self.peers()).flat_map(|peer| self.of_peer(peer)).map(|(weight, gaps)| weight * of_flow(gaps)).sum()
    }

    /// The expected number of each peer's flows that are at risk of being seen to end just above an age.
    pub(crate) fn at_risk_by_peer(&self, curve: &Curve, age: Edge) -> Vec<f64> {
        let chances = self.chances(curve, |curve, span| at_risk(curve, span, age));
        let seen = |gap: &GapRow| if gap.seen_from > age { 0.0 } else { chances[gap.span as usize] };
        (0..self.peers()).map(|peer| self.flows_with(peer, seen)).collect()
    }

    fn chances(&self, curve: &Curve, chance: impl Fn(&Curve, Span) -> f64) -> Vec<f64> {
        self.spans.iter().map(|span| chance(curve, *span)).collect()
    }

    fn flows_with(&self, peer: usize, chance: impl Fn(&GapRow) -> f64) -> f64 {
        let with = self.of_peer(peer).map(|(weight, gaps)| {
            let none: f64 = gaps.iter().map(|gap| power(1.0 - chance(gap), gap.weight)).product();
            weight * (1.0 - none)
        });
        with.sum()
    }

    fn of_peer(&self, peer: usize) -> impl Iterator<Item = (f64, &[GapRow])> {
        let flows = self.first_flow[peer]..self.first_flow[peer + 1];
        self.flows[flows].iter().map(|flow| (flow.weight, &self.gaps[flow.first_gap..flow.end_gap]))
    }
}

fn power(base: f64, exponent: f64) -> f64 {
    // Nearly every weight is 1.
    if exponent.total_cmp(&1.0).is_eq() { base } else { base.powf(exponent) }
}
