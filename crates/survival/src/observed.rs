//! Observations, kept small: a million gaps in some tens of megabytes.

use std::collections::HashMap;

use crate::ages::{Ages, Edge};
use crate::gap::{Flow, Gap};

/// Flows that were looked at. The order in which they are added does not matter.
#[derive(Clone, Debug)]
pub struct Observed {
    ages: Ages,
    /// Number of a peer, by what the caller calls it.
    peers: HashMap<u64, u32>,
    /// Where the gaps lie on the grid. Few differ, whatever the number of gaps.
    spans: Vec<Span>,
    span_numbers: HashMap<Span, u32>,
    flows: Vec<FlowRow>,
    gaps: Vec<GapRow>,
}

/// Where the end of a gap lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Span {
    /// A packet ended it above `after`, at or below `until`.
    Ended { after: Edge, until: Edge },
    /// It lasted beyond `after`, and its end was not seen.
    Lost { after: Edge },
}

impl Span {
    pub(crate) const fn after(self) -> Edge {
        match self {
            Self::Ended { after, .. } | Self::Lost { after } => after,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowRow {
    pub(crate) peer: u32,
    gaps: u32,
    first_gap: usize,
    pub(crate) weight: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct GapRow {
    pub(crate) span: u32,
    pub(crate) seen_from: Edge,
    pub(crate) weight: f64,
}

impl Observed {
    /// Nothing yet; ages are told on this grid.
    pub fn new(ages: Ages) -> Self {
        Self {
            ages,
            peers: HashMap::new(),
            spans: Vec::new(),
            span_numbers: HashMap::new(),
            flows: Vec::new(),
            gaps: Vec::new(),
        }
    }

    /// Adds a flow. One without gaps adds nothing. What is beyond 2³² peers or gaps of one flow is left out.
    pub fn add(&mut self, flow: &Flow) {
        let Ok(next_peer) = u32::try_from(self.peers.len()) else { return };
        let Ok(gaps) = u32::try_from(flow.gaps.len()) else { return };
        if gaps == 0 {
            return;
        }
        let peer = *self.peers.entry(flow.peer).or_insert(next_peer);
        self.flows.push(FlowRow { peer, gaps, first_gap: self.gaps.len(), weight: flow.weight.get() });
        for gap in &flow.gaps {
            let row = self.row(gap);
            self.gaps.push(row);
        }
    }

    fn row(&mut self, gap: &Gap) -> GapRow {
        // A gap that was seen beyond all edges ends in the last cell.
        let top = self.ages.down(f64::MAX);
        let after = self.ages.nearest(gap.after_secs()).min(top);
        let span = match gap.until_secs() {
            Some(until) if until > self.ages.at(usize::from(top)) => Span::Ended { after, until: top + 1 },
            Some(until) => Span::Ended { after, until: self.ages.nearest(until).max(after + 1) },
            None => Span::Lost { after },
        };
        let spans = &mut self.spans;
        let number = *self.span_numbers.entry(span).or_insert_with(|| {
            spans.push(span);
            // There are fewer than 2000 edges, so fewer than 2^22 spans.
            u32::try_from(spans.len() - 1).unwrap_or(u32::MAX)
        });
        GapRow {
            span: number,
            seen_from: self.ages.nearest(gap.seen_from_secs()).min(after),
            weight: gap.weight().get(),
        }
    }

    /// The grid.
    pub const fn ages(&self) -> &Ages {
        &self.ages
    }

    /// Number of different peers.
    pub fn peers(&self) -> usize {
        self.peers.len()
    }

    /// Number of flows that were added.
    pub const fn flows(&self) -> usize {
        self.flows.len()
    }

    /// Number of gaps that were added.
    pub const fn gaps(&self) -> usize {
        self.gaps.len()
    }

    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The flows of each peer, in the order of the peers' names, whatever the order in which they were added.
    pub(crate) fn by_peer(&self) -> Vec<Vec<(FlowRow, &[GapRow])>> {
        let mut flows = vec![Vec::new(); self.peers.len()];
        for flow in &self.flows {
            let gaps = self.gaps.get(flow.first_gap..flow.first_gap + flow.gaps as usize).unwrap_or_default();
            flows[flow.peer as usize].push((*flow, gaps));
        }
        let mut names: Vec<(u64, u32)> = self.peers.iter().map(|(name, peer)| (*name, *peer)).collect();
        names.sort_unstable();
        names.iter().map(|(_, peer)| std::mem::take(&mut flows[*peer as usize])).collect()
    }
}
