//! What is planned, in the order of time.
//!
//! A schedule's time goes by here. Most that is planned comes a span later of which there are few: half a round trip, or a pause that
//! a script names. What comes so much later comes in the order in which it was planned, and waits in a lane of its own; a wheel puts
//! the other turns in order. Of arrivals each source plans only the next one.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::wheel::{Planned, Wheel};

/// Each step looks at the heads of all lanes. What would need more of them goes to the wheel.
const MOST_LANES: usize = 12;

/// What is due by time; at one time, what was planned first. Times are nanoseconds since the begin.
#[derive(Debug)]
pub(crate) struct Agenda {
    /// The longest spans first: of what comes at one time, theirs was planned first.
    lanes: Vec<Lane>,
    wheel: Wheel<u32>,
    arrivals: BinaryHeap<Reverse<Planned<u32>>>,
    /// No earlier does anything come that waits in no lane.
    aside_nanos: u64,
    planned: u64,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The next flow of this source.
    Arrival(u32),
    /// The turn of the flow in this slot.
    Turn(u32),
}

/// Turns that come so much after they were planned.
#[derive(Debug)]
struct Lane {
    first: Planned<u32>,
    later: VecDeque<Planned<u32>>,
    span_nanos: u64,
}

/// When that comes which is not there.
const NEVER: u64 = u64::MAX;
const NOTHING: Planned<u32> = Planned { nanos: NEVER, number: u64::MAX, item: u32::MAX };

impl Agenda {
    pub(crate) fn new() -> Self {
        Self { lanes: Vec::new(), wheel: Wheel::new(), arrivals: BinaryHeap::new(), aside_nanos: NEVER, planned: 0 }
    }

    /// Plans a source's next arrival: not before what was taken already.
    pub(crate) fn plan_arrival(&mut self, nanos: u64, source: u32) {
        let planned = self.planned(nanos, source);
        self.arrivals.push(Reverse(planned));
        self.look_aside();
    }

    /// Plans a turn: not before what was taken already.
    pub(crate) fn plan_at(&mut self, nanos: u64, slot: u32) {
        let planned = self.planned(nanos, slot);
        self.wheel.put(planned);
        self.look_aside();
    }

    /// Plans a turn so long after now, the time of what was taken last. Others come as long after their own now.
    #[inline]
    pub(crate) fn plan_after(&mut self, now_nanos: u64, span_nanos: u64, slot: u32) {
        let nanos = now_nanos.saturating_add(span_nanos);
        let planned = self.planned(nanos, slot);
        match self.lanes.iter_mut().find(|lane| lane.span_nanos == span_nanos) {
            Some(lane) => lane.push(planned),
            None => self.plan_by_another_span(planned, span_nanos),
        }
    }

    /// Takes what is due next.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<(u64, Due)> {
        match first_of(&mut self.lanes) {
            Some(lane) if lane.first.nanos < self.aside_nanos => {
                let turn = lane.take_first();
                Some((turn.nanos, Due::Turn(turn.item)))
            }
            _ => self.next_of_all(),
        }
    }

    /// Forgets all that is planned.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    #[inline]
    fn planned(&mut self, nanos: u64, item: u32) -> Planned<u32> {
        self.planned += 1;
        Planned { nanos, number: self.planned, item }
    }

    #[cold]
    fn plan_by_another_span(&mut self, planned: Planned<u32>, span_nanos: u64) {
        if self.lanes.len() == MOST_LANES {
            self.wheel.put(planned);
            return self.look_aside();
        }
        let place = self.lanes.partition_point(|lane| lane.span_nanos > span_nanos);
        self.lanes.insert(place, Lane { first: planned, later: VecDeque::new(), span_nanos });
    }

    /// Takes what is due next, wherever it waits.
    #[inline(never)]
    fn next_of_all(&mut self) -> Option<(u64, Due)> {
        let lane = first_of(&mut self.lanes).filter(|lane| !lane.is_empty());
        let in_lane = lane.as_ref().map(|lane| lane.first.key());
        let arrival = self.arrivals.peek().map(|Reverse(arrival)| arrival.key());
        let first = in_lane.into_iter().chain(arrival).min();
        let in_wheel = self.wheel.first_until(first.map_or(NEVER, |first| (first >> u64::BITS) as u64));
        let first = first.into_iter().chain(in_wheel).min()?;
        let (planned, due): (_, fn(u32) -> Due) = if Some(first) == arrival {
            (self.arrivals.pop()?.0, Due::Arrival)
        } else if Some(first) == in_wheel {
            (self.wheel.take_first()?, Due::Turn)
        } else {
            (lane?.take_first(), Due::Turn)
        };
        self.look_aside();
        Some((planned.nanos, due(planned.item)))
    }

    fn look_aside(&mut self) {
        let arrival_nanos = self.arrivals.peek().map_or(NEVER, |Reverse(arrival)| arrival.nanos);
        self.aside_nanos = self.wheel.not_before_nanos().min(arrival_nanos);
    }
}

impl Lane {
    fn is_empty(&self) -> bool {
        self.first.nanos == NEVER
    }

    #[inline]
    fn push(&mut self, planned: Planned<u32>) {
        if self.is_empty() {
            self.first = planned;
        } else {
            self.later.push_back(planned);
        }
    }

    /// Takes the first turn of a lane in which there is one.
    #[inline]
    fn take_first(&mut self) -> Planned<u32> {
        let next = self.later.pop_front().unwrap_or(NOTHING);
        std::mem::replace(&mut self.first, next)
    }
}

/// The lane whose first turn comes first; at one time, that of the longest span.
#[inline]
fn first_of(lanes: &mut [Lane]) -> Option<&mut Lane> {
    lanes.iter_mut().min_by_key(|lane| lane.first.nanos)
}

#[cfg(test)]
mod tests {
    use plimsoll_draw::Draw;

    use super::*;

    /// Held against a heap: arrivals, and turns at once, soon, and long after; many at one time; by spans that come often, and by more of
    /// them than there are lanes.
    #[test]
    fn what_is_planned_comes_in_the_order_of_time_and_then_of_planning() {
        for seed in 0..50 {
            let mut draw = Draw::new(seed);
            let mut agenda = Agenda::new();
            let mut heap = BinaryHeap::new();
            let mut now = 0;
            let mut planned = 0_u32;
            let spans = 1 + draw.below(5);
            for _ in 0..5_000 {
                if draw.below(2) == 0 {
                    let reach = [0, 1, 100_000, 30_000_000, 400_000_000, 4_000_000_000][draw.below(6) as usize];
                    let span = u64::from(draw.below(reach));
                    let often = u64::from(draw.below(spans)) * u64::from(reach / 7);
                    let (at, is_arrival) = match draw.below(5) {
                        0 => {
                            agenda.plan_arrival(now + span, planned);
                            (now + span, true)
                        }
                        1 | 2 => {
                            agenda.plan_at(now + span, planned);
                            (now + span, false)
                        }
                        _ => {
                            agenda.plan_after(now, often, planned);
                            (now + often, false)
                        }
                    };
                    heap.push(Reverse((at, planned, is_arrival)));
                    planned += 1;
                } else {
                    let expected = heap.pop().map(|Reverse(next)| next);
                    assert_eq!(agenda.next(), expected.map(due), "seed {seed}");
                    now = expected.map_or(now, |(at, ..)| at);
                }
            }
            while let Some(Reverse(expected)) = heap.pop() {
                assert_eq!(agenda.next(), Some(due(expected)), "seed {seed}");
            }
            assert_eq!(agenda.next(), None);
        }
    }

    const fn due((at, item, is_arrival): (u64, u32, bool)) -> (u64, Due) {
        (at, if is_arrival { Due::Arrival(item) } else { Due::Turn(item) })
    }
}
