//! The ages at which a curve can change.

use thiserror::Error;

/// Below this each second is told from the next: looks tell ages to the second.
const EACH_SECOND_TO: u32 = 60;
/// From there on an age is told to this share of itself.
const STEP: f64 = 1.04;
/// Ten days: twice the longest timeout that the kernel sets by default (established TCP, 432,000 s in
/// `nf_conntrack_proto_tcp.c`).
const LONGEST_SECS: f64 = 864_000.0;
/// Exact ages that can be asked for.
const MOST_EXACT: usize = 1_000;

/// A grid of ages. Each second up to a minute, then steps of 4 % up to ten days, and those that were asked for with a
/// second to each side. An observation is moved to the nearest edges. Were it widened instead, a wide cell would be
/// part of more observations than a narrow one beside it, and draw their weight to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ages {
    /// Ascending from 0; the last is infinite.
    edges: Vec<f64>,
}

/// Why there is no such grid.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum AgesError {
    /// An age that is negative, infinite or not a number.
    #[error("{0} is no age in seconds")]
    NoAge(f64),
    /// More ages than a grid is made for.
    #[error("{0} exact ages; at most 1000 can be asked for")]
    TooMany(usize),
}

/// An edge of the grid, by its place. Cell `n` lies above edge `n`, up to and with edge `n + 1`.
pub(crate) type Edge = u16;

impl Ages {
    /// The grid with these ages on it exactly: timeouts that are to be judged.
    pub fn with(exact_secs: &[f64]) -> Result<Self, AgesError> {
        if exact_secs.len() > MOST_EXACT {
            return Err(AgesError::TooMany(exact_secs.len()));
        }
        if let Some(age) = exact_secs.iter().find(|age| !(age.is_finite() && **age >= 0.0)) {
            return Err(AgesError::NoAge(*age));
        }
        let mut edges: Vec<f64> = (0..=EACH_SECOND_TO).map(f64::from).collect();
        let steps = std::iter::successors(Some(f64::from(EACH_SECOND_TO) * STEP), |age| Some(age * STEP));
        edges.extend(steps.map(f64::round).take_while(|age| *age < LONGEST_SECS));
        edges.push(LONGEST_SECS);
        // An age beside one that was asked for is not taken for it.
        edges.extend(exact_secs.iter().flat_map(|age| [(age - 1.0).max(0.0), *age, age + 1.0]));
        edges.push(f64::INFINITY);
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        Ok(Self { edges })
    }

    /// Number of cells; the last has no upper end.
    pub(crate) const fn cells(&self) -> usize {
        self.edges.len() - 1
    }

    pub(crate) fn at(&self, edge: usize) -> f64 {
        self.edges.get(edge).copied().unwrap_or(f64::INFINITY)
    }

    /// The last edge that is not above this age.
    #[expect(clippy::cast_possible_truncation, reason = "there are fewer than 2000 edges")]
    pub(crate) fn down(&self, age_secs: f64) -> Edge {
        self.edges.partition_point(|edge| *edge <= age_secs).saturating_sub(1) as Edge
    }

    /// The nearest edge; the infinite one for what is above all others.
    pub(crate) fn nearest(&self, age_secs: f64) -> Edge {
        let below = self.down(age_secs);
        let (lower, upper) = (self.at(usize::from(below)), self.at(usize::from(below) + 1));
        below + Edge::from(age_secs - lower > upper - age_secs)
    }

    /// The edge at exactly this age.
    pub(crate) fn exactly(&self, age_secs: f64) -> Option<Edge> {
        let edge = self.down(age_secs);
        (self.at(usize::from(edge)).total_cmp(&age_secs).is_eq() && age_secs.is_finite()).then_some(edge)
    }
}
