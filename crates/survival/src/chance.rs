//! The chance that a gap would have been killed, given what was seen of it.

use crate::ages::{Ages, Edge};
use crate::curve::Curve;
use crate::observed::Span;

/// A timeout that is to be judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The timeout that is judged, in seconds.
    pub timeout_secs: f64,
    /// The timeout now in force. A gap that reaches it dies today too.
    pub in_force_secs: f64,
}

/// A change whose ages are on the grid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edges {
    pub(crate) timeout: Edge,
    pub(crate) in_force: Edge,
}

/// Why a change cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ChangeError {
    /// The grid was not made with this age on it.
    #[error("{0} s is not on the grid of ages")]
    NotOnGrid(f64),
    /// The timeout has to be below the one in force.
    #[error("{timeout_secs} s is not below the timeout in force, {in_force_secs} s")]
    NotShorter {
        /// The timeout that is judged.
        timeout_secs: f64,
        /// The timeout in force.
        in_force_secs: f64,
    },
    /// The timeout may not be below the guard rail.
    #[error("{timeout_secs} s is below the guard rail, {guard_secs} s")]
    BelowGuard {
        /// The timeout that is judged.
        timeout_secs: f64,
        /// The guard rail.
        guard_secs: f64,
    },
    /// No flow was seen that idles beyond the guard rail, so nothing is known.
    #[error("no flow was seen to idle beyond {0} s")]
    NoLongFlows(f64),
}

impl Change {
    /// What it is on a grid, for flows that idle beyond a guard rail.
    pub(crate) fn edges(&self, ages: &Ages, guard: Edge) -> Result<Edges, ChangeError> {
        let Self { timeout_secs, in_force_secs } = *self;
        let edge = |age| ages.exactly(age).ok_or(ChangeError::NotOnGrid(age));
        let edges = Edges { timeout: edge(timeout_secs)?, in_force: edge(in_force_secs)? };
        if edges.timeout >= edges.in_force {
            return Err(ChangeError::NotShorter { timeout_secs, in_force_secs });
        }
        if edges.timeout < guard {
            return Err(ChangeError::BelowGuard { timeout_secs, guard_secs: ages.at(usize::from(guard)) });
        }
        Ok(edges)
    }
}

/// Chances of one gap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Chance {
    /// That the timeout would have killed it though a packet was to come in time.
    pub(crate) killed: f64,
    /// The part of that for which there is no evidence: it lies beyond the ages that are known.
    pub(crate) not_known: f64,
}

/// The chance that a gap is longer than the timeout and ends before the one in force.
pub(crate) fn killed(curve: &Curve, span: Span, edges: Edges) -> Chance {
    let (timeout, in_force) = (edges.timeout, edges.in_force);
    match span {
        _ if span.after() >= in_force => Chance { killed: 0.0, not_known: 0.0 },
        Span::Ended { after, .. } if after >= timeout => Chance { killed: 1.0, not_known: 0.0 },
        Span::Ended { after, until } => ended_beyond(curve, after, until, timeout),
        Span::Lost { after } => {
            let from = usize::from(after);
            let above = curve.outlast(from, usize::from(after.max(timeout)));
            let dead = curve.outlast(from, usize::from(in_force));
            if dead.reaches {
                Chance { killed: (above.share - dead.share).max(0.0), not_known: 0.0 }
            } else {
                Chance { killed: above.share, not_known: dead.not_known.min(above.share) }
            }
        }
    }
}

/// The chance that a gap is longer than an age.
pub(crate) fn longer(curve: &Curve, span: Span, than: Edge) -> f64 {
    match span {
        _ if span.after() >= than => 1.0,
        Span::Ended { after, until } => ended_beyond(curve, after, until, than).killed,
        Span::Lost { after } => curve.outlast(usize::from(after), usize::from(than)).share,
    }
}

/// The chance that a gap that ended between two ages ended beyond a third.
fn ended_beyond(curve: &Curve, after: Edge, until: Edge, than: Edge) -> Chance {
    if until <= than {
        return Chance { killed: 0.0, not_known: 0.0 };
    }
    let above = curve.outlast(usize::from(after), usize::from(than));
    let end = curve.outlast(usize::from(after), usize::from(until));
    // What is not known to have ended before the third age counts as if it ended beyond it.
    let outlasts = end.share - end.not_known;
    let ended = 1.0 - outlasts;
    if ended <= 0.0 {
        return Chance { killed: 1.0, not_known: 1.0 };
    }
    Chance { killed: ((above.share - outlasts) / ended).clamp(0.0, 1.0), not_known: (end.not_known / ended).min(1.0) }
}

/// The chance that a gap, if it was in sight at an age, was at risk of being seen to end just above it.
pub(crate) fn at_risk(curve: &Curve, span: Span, age: Edge) -> f64 {
    match span {
        Span::Lost { after } => f64::from(u8::from(after > age)),
        Span::Ended { after, .. } if after >= age => 1.0,
        Span::Ended { after, until } => ended_beyond(curve, after, until, age).killed,
    }
}
