//! What each peer adds to the likelihood, so that a sample of peers is counted in one pass.

use crate::observed::{Observed, Span};
use crate::turnbull::{Counts, Ended};

/// Sums per peer, in the order of the peers' names.
#[derive(Clone, Debug)]
pub(crate) struct Merged {
    cells: usize,
    /// Spans that a packet ended, in order.
    spans: Vec<(usize, usize)>,
    ended: Rows<u32>,
    /// Changes, edge by edge, of the weight that was seen to outlast a cell.
    outlasted: Rows<u16>,
    /// Each peer's gaps.
    gaps: Vec<f64>,
}

/// Rows of one length each, end to end.
#[derive(Clone, Debug)]
struct Rows<K> {
    first: Vec<usize>,
    items: Vec<(K, f64)>,
}

impl<K> Rows<K> {
    const fn new() -> Self {
        Self { first: Vec::new(), items: Vec::new() }
    }

    fn row(&self, number: usize) -> &[(K, f64)] {
        let begin = self.first.get(number).copied().unwrap_or(self.items.len());
        let end = self.first.get(number + 1).copied().unwrap_or(self.items.len());
        &self.items[begin..end]
    }
}

impl Merged {
    pub(crate) fn of(observed: &Observed) -> Self {
        let (spans, number_of) = ended_spans(observed.spans());
        let cells = observed.ages().cells();
        let mut merged = Self { cells, spans, ended: Rows::new(), outlasted: Rows::new(), gaps: Vec::new() };
        let mut ended = Scratch::new(merged.spans.len());
        let mut outlasted = Scratch::new(cells + 1);
        for flows in observed.by_peer() {
            let mut peer_gaps = 0.0;
            for (flow, gaps) in flows {
                for gap in gaps {
                    let weight = gap.weight * flow.weight;
                    peer_gaps += weight;
                    let number = gap.span as usize;
                    if let Some(place) = number_of[number] {
                        ended.add(place as usize, weight);
                    }
                    let after = observed.spans()[number].after();
                    if gap.seen_from < after {
                        outlasted.add(usize::from(gap.seen_from), weight);
                        outlasted.add(usize::from(after), -weight);
                    }
                }
            }
            merged.gaps.push(peer_gaps);
            merged.ended.first.push(merged.ended.items.len());
            ended.drain(|place, weight| merged.ended.items.push((u32::try_from(place).unwrap_or(u32::MAX), weight)));
            merged.outlasted.first.push(merged.outlasted.items.len());
            outlasted
                .drain(|edge, weight| merged.outlasted.items.push((u16::try_from(edge).unwrap_or(u16::MAX), weight)));
        }
        merged
    }

    /// The weight of each peer's gaps.
    pub(crate) fn gaps(&self) -> &[f64] {
        &self.gaps
    }

    /// Each peer so often.
    pub(crate) fn counts(&self, times: &[u32]) -> Counts {
        let mut weights = vec![0.0; self.spans.len()];
        let mut changes = vec![0.0; self.cells + 1];
        for (peer, times) in times.iter().enumerate().filter(|(_, times)| **times > 0) {
            let times = f64::from(*times);
            for (span, weight) in self.ended.row(peer) {
                weights[*span as usize] += times * weight;
            }
            for (edge, weight) in self.outlasted.row(peer) {
                changes[usize::from(*edge)] += times * weight;
            }
        }
        let ended = self.spans.iter().zip(weights).filter(|(_, weight)| *weight > 0.0);
        let ended = ended.map(|((after, until), weight)| Ended { after: *after, until: *until, weight }).collect();
        let mut sum: f64 = 0.0;
        let outlasted = changes.iter().take(self.cells).map(|change| {
            sum += change;
            sum.max(0.0)
        });
        Counts { ended, outlasted: outlasted.collect() }
    }
}

/// The spans that a packet ended, in order, and the place of each span among them.
fn ended_spans(spans: &[Span]) -> (Vec<(usize, usize)>, Vec<Option<u32>>) {
    let mut order: Vec<(Span, usize)> =
        spans.iter().copied().enumerate().map(|(number, span)| (span, number)).collect();
    order.sort_unstable();
    let mut places = vec![None; spans.len()];
    let mut ended = Vec::new();
    for (span, number) in order {
        if let Span::Ended { after, until } = span {
            places[number] = u32::try_from(ended.len()).ok();
            ended.push((usize::from(after), usize::from(until)));
        }
    }
    (ended, places)
}

/// Sums by place, of which few are used.
struct Scratch {
    sums: Vec<f64>,
    used: Vec<usize>,
}

impl Scratch {
    fn new(places: usize) -> Self {
        Self { sums: vec![0.0; places], used: Vec::new() }
    }

    fn add(&mut self, place: usize, weight: f64) {
        self.used.push(place);
        self.sums[place] += weight;
    }

    fn drain(&mut self, mut each: impl FnMut(usize, f64)) {
        self.used.sort_unstable();
        self.used.dedup();
        for place in self.used.drain(..) {
            each(place, std::mem::take(&mut self.sums[place]));
        }
    }
}
