//! Flows with a gap that may be long, so that each sample of peers passes over few.

use std::collections::HashMap;

use crate::ages::Edge;
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

    /// A chance for each span.
    pub(crate) fn chances(&self, curve: &Curve, chance: impl Fn(&Curve, Span) -> f64) -> Vec<f64> {
        self.spans.iter().map(|span| chance(curve, *span)).collect()
    }

    /// The expected number of a peer's flows in which at least one gap is what has this chance.
    pub(crate) fn flows_with(&self, peer: usize, chance: impl Fn(&GapRow) -> f64) -> f64 {
        self.of_peer(peer)
            .map(|(weight, gaps)| {
                let none: f64 = gaps.iter().map(|gap| power(1.0 - chance(gap), gap.weight)).product();
                weight * (1.0 - none)
            })
            .sum()
    }

    /// The expected number of a peer's gaps that are what has this chance.
    pub(crate) fn gaps_with(&self, peer: usize, chance: impl Fn(&GapRow) -> f64) -> f64 {
        self.of_peer(peer)
            .map(|(weight, gaps)| weight * gaps.iter().map(|gap| gap.weight * chance(gap)).sum::<f64>())
            .sum()
    }

    /// The span of a gap.
    pub(crate) fn span(&self, gap: &GapRow) -> Span {
        self.spans[gap.span as usize]
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
