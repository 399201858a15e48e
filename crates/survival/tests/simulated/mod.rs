//! Flows whose truth is known, looked at as a table is.

use plimsoll_draw::Draw;
use plimsoll_survival::{Ages, Flow, Gap, Observed};

/// How long gaps are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lengths {
    Exponential {
        mean: f64,
    },
    Weibull {
        shape: f64,
        scale: f64,
    },
    /// Above `least`, with the share (least / age)^shape outlasting an age.
    Pareto {
        least: f64,
        shape: f64,
    },
    /// Three quarters exponential with this mean, the rest within a tenth of `keepalive`.
    Keepalive {
        mean: f64,
        keepalive: f64,
    },
}

impl Lengths {
    pub(crate) fn draw(self, draw: &mut Draw) -> f64 {
        let unit = -(1.0 - draw.fraction()).ln();
        match self {
            Self::Exponential { mean } => mean * unit,
            Self::Weibull { shape, scale } => scale * unit.powf(1.0 / shape),
            Self::Pareto { least, shape } => least * (unit / shape).exp(),
            Self::Keepalive { mean, keepalive } => {
                if draw.fraction() < 0.75 {
                    mean * unit
                } else {
                    keepalive * (0.95 + 0.1 * draw.fraction())
                }
            }
        }
    }
}

/// What is looked at, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    /// Gaps of most peers.
    pub(crate) lengths: Lengths,
    /// Share of peers whose gaps are otherwise, and how.
    pub(crate) others: (f64, Lengths),
    /// Share of gaps that no packet ends.
    pub(crate) half_dead: f64,
    /// Share of packets that are a flow's last; it is then seen to close.
    pub(crate) closes: f64,
    pub(crate) peers: u64,
    pub(crate) flows_per_peer: u64,
    /// Between looks.
    pub(crate) look_secs: f64,
    /// Share of looks that are missed.
    pub(crate) missed: f64,
    pub(crate) window_secs: f64,
    pub(crate) in_force_secs: f64,
    /// Mean time until sight of a flow is lost.
    pub(crate) lost_after_secs: f64,
}

/// A gap that was seen, with its true length; infinite where no packet ends it.
pub(crate) struct TrueGap {
    pub(crate) gap: Gap,
    pub(crate) length: f64,
}

/// A flow that was seen.
pub(crate) struct TrueFlow {
    pub(crate) peer: u64,
    pub(crate) gaps: Vec<TrueGap>,
}

impl World {
    /// All that is seen in a window.
    pub(crate) fn look(&self, draw: &mut Draw) -> Vec<TrueFlow> {
        let phase = draw.fraction() * self.look_secs;
        let mut looks: Vec<f64> = Vec::new();
        let mut at = phase;
        while at < self.window_secs {
            if draw.fraction() >= self.missed {
                looks.push(at);
            }
            // Looks at even times would tell nothing of ages that lie apart by other than a number of them.
            at += self.look_secs * (0.5 + draw.fraction());
        }
        let mut flows = Vec::new();
        for peer in 0..self.peers {
            let lengths = if draw.fraction() < self.others.0 { self.others.1 } else { self.lengths };
            for _ in 0..self.flows_per_peer {
                let lost_at = -(1.0 - draw.fraction()).ln() * self.lost_after_secs;
                let packets = self.packets(lengths, draw);
                let gaps = self.seen(&packets, &looks, lost_at);
                if !gaps.is_empty() {
                    flows.push(TrueFlow { peer, gaps });
                }
            }
        }
        flows
    }

    /// Beginnings and lengths of a flow's gaps, up to the end of the window. Flows begin long before it, so that it
    /// sees them at any age.
    fn packets(&self, lengths: Lengths, draw: &mut Draw) -> Vec<(f64, f64)> {
        let mut gaps = Vec::new();
        let before = 2.0 * self.in_force_secs;
        let mut at = draw.fraction() * (before + self.window_secs) - before;
        while at < self.window_secs {
            let length = if draw.fraction() < self.half_dead { f64::INFINITY } else { lengths.draw(draw) };
            gaps.push((at, length));
            if length >= self.in_force_secs || draw.fraction() < self.closes {
                break;
            }
            at += length;
        }
        gaps
    }

    fn seen(&self, packets: &[(f64, f64)], looks: &[f64], lost_at: f64) -> Vec<TrueGap> {
        let mut seen: Vec<TrueGap> = Vec::new();
        // First age, last age, when last seen, and the gap.
        let mut current: Option<(f64, f64, f64, (f64, f64))> = None;
        let mut gaps = packets.iter().copied().peekable();
        for look in looks.iter().copied().take_while(|look| *look < lost_at) {
            while gaps.peek().is_some_and(|(begin, length)| begin + length.min(self.in_force_secs) <= look) {
                gaps.next();
            }
            // An entry tells its age in whole seconds.
            let now = gaps.peek().copied().filter(|(begin, _)| *begin <= look);
            let now = now.map(|gap| ((look - gap.0).round(), gap));
            match (current, now) {
                (Some((first, _, _, gap)), Some((age, same))) if gap.0.to_bits() == same.0.to_bits() => {
                    current = Some((first, age, look, gap));
                }
                (before, now) => {
                    if let Some((first, age, at, gap)) = before {
                        let gap_seen = if gap.1 >= self.in_force_secs {
                            Gap::lost(first, self.in_force_secs)
                        } else {
                            Gap::ended(first, age, age + (look - at).round())
                        };
                        seen.push(TrueGap { gap: gap_seen.unwrap(), length: gap.1 });
                    }
                    current = now.map(|(age, gap)| (age, age, look, gap));
                }
            }
        }
        if let Some((first, age, _, gap)) = current {
            seen.push(TrueGap { gap: Gap::lost(first, age).unwrap(), length: gap.1 });
        }
        seen
    }
}

/// As the crate takes them.
pub(crate) fn observed(flows: &[TrueFlow], ages: &Ages) -> Observed {
    let mut observed = Observed::new(ages.clone());
    for flow in flows {
        observed.add(&Flow::new(flow.peer, flow.gaps.iter().map(|gap| gap.gap).collect()));
    }
    observed
}
