//! When a recording was made: once, or several times with pauses between.

use std::time::Duration;

use plimsoll_recording::UnixMicros;

/// What a recording tells of when it was made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    pub(crate) began: Vec<UnixMicros>,
    pub(crate) ended: Vec<UnixMicros>,
    /// The first and the last moment of which anything is told.
    pub(crate) reaches: Option<(UnixMicros, UnixMicros)>,
}

/// Stretches of time, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spans(Vec<(UnixMicros, UnixMicros)>);

impl Runs {
    pub(crate) fn spans(&self) -> Spans {
        let Some((first, last)) = self.reaches else { return Spans::default() };
        let mut began = self.began.clone();
        began.sort_unstable();
        if began.is_empty() {
            began.push(first);
        }
        let spans = began.iter().enumerate().map(|(place, from)| {
            // One that was killed has no end: it goes on to the next, or to the last that is told.
            let next = began.get(place + 1).copied().unwrap_or(last);
            let ended = self.ended.iter().copied().filter(|at| at > from && *at <= next).min();
            (*from, ended.unwrap_or(next).max(*from))
        });
        Spans(spans.collect())
    }
}

impl Spans {
    /// All of it, without pauses.
    pub(crate) fn lasted(&self) -> Duration {
        self.0.iter().map(|(from, to)| to.since(*from)).sum()
    }

    /// The moment by which so much was recorded.
    pub(crate) fn when(&self, mut recorded: Duration) -> UnixMicros {
        for (from, to) in &self.0 {
            let lasts = to.since(*from);
            if recorded <= lasts {
                return from.plus(recorded);
            }
            recorded -= lasts;
        }
        self.0.last().map_or_else(UnixMicros::default, |(_, to)| *to)
    }

    /// How much of the time between two moments was recorded.
    pub(crate) fn between(&self, from: UnixMicros, to: UnixMicros) -> Duration {
        self.0.iter().map(|(begin, end)| to.min(*end).since(from.max(*begin))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_count_for_nothing() {
        let at = |secs: i64| UnixMicros(secs * 1_000_000);
        let secs = Duration::from_secs;
        let runs = Runs { began: vec![at(1000), at(0)], ended: vec![at(100)], reaches: Some((at(0), at(1050))) };
        let spans = runs.spans();
        assert_eq!(spans.lasted(), secs(150));
        assert_eq!((spans.when(secs(50)), spans.when(secs(120))), (at(50), at(1020)));
        assert_eq!(spans.between(at(90), at(1010)), secs(20));
        assert_eq!(spans.between(at(200), at(900)), Duration::ZERO);
    }
}
