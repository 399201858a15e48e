//! What is planned, in the order of time.
//!
//! A schedule's time goes by here. Most that is planned comes a span later of which there are few: half a round trip, or a pause that
//! a script names. What comes so much later comes in the order in which it was planned, and waits in a queue of its own; a wheel puts
//! the rest in order.

use std::collections::VecDeque;

use crate::wheel::{Planned, Wheel};

/// Each step looks at the heads of all queues. What would need more of them goes to the wheel.
const MOST_QUEUES: usize = 12;

/// Items by time; of those at one time, those that were planned first. Times are nanoseconds since the begin.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    queues: Vec<Queue<T>>,
    wheel: Wheel<T>,
    planned: u64,
}

/// What was planned so much ahead.
#[derive(Debug)]
struct Queue<T> {
    /// Of the first item; more than any, if there is none.
    head: u128,
    span_nanos: u64,
    items: VecDeque<Planned<T>>,
}

const NOTHING: u128 = u128::MAX;

impl<T: Copy + Ord> Agenda<T> {
    pub(crate) fn new() -> Self {
        Self { queues: Vec::new(), wheel: Wheel::new(), planned: 0 }
    }

    /// Plans an item: not before one that was taken already.
    pub(crate) fn plan(&mut self, nanos: u64, item: T) {
        self.planned += 1;
        self.wheel.put(Planned { nanos, number: self.planned, item });
    }

    /// Plans an item so long after now, the time of the one that was taken last. Others come as long after their own now.
    #[inline]
    pub(crate) fn plan_after(&mut self, now_nanos: u64, span_nanos: u64, item: T) {
        let nanos = now_nanos.saturating_add(span_nanos);
        match self.queues.iter_mut().find(|queue| queue.span_nanos == span_nanos) {
            Some(queue) => {
                self.planned += 1;
                queue.push(Planned { nanos, number: self.planned, item });
            }
            None => self.plan_by_another_span(nanos, span_nanos, item),
        }
    }

    /// Takes the next item.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<(u64, T)> {
        let mut first = NOTHING;
        let mut from = None;
        for queue in &mut self.queues {
            if queue.head < first {
                first = queue.head;
                from = Some(queue);
            }
        }
        let is_in_wheel = self.wheel.first_until((first >> u64::BITS) as u64).is_some_and(|key| key < first);
        let planned = match from {
            Some(queue) if !is_in_wheel => queue.pop(),
            _ => self.wheel.take_first(),
        };
        planned.map(|planned| (planned.nanos, planned.item))
    }

    /// Forgets all that is planned.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    #[cold]
    fn plan_by_another_span(&mut self, nanos: u64, span_nanos: u64, item: T) {
        if self.queues.len() == MOST_QUEUES {
            return self.plan(nanos, item);
        }
        self.planned += 1;
        let planned = Planned { nanos, number: self.planned, item };
        self.queues.push(Queue { head: planned.key(), span_nanos, items: VecDeque::from([planned]) });
    }
}

impl<T: Copy> Queue<T> {
    #[inline]
    fn push(&mut self, planned: Planned<T>) {
        if self.head == NOTHING {
            self.head = planned.key();
        }
        self.items.push_back(planned);
    }

    #[inline]
    fn pop(&mut self) -> Option<Planned<T>> {
        let first = self.items.pop_front();
        self.head = self.items.front().map_or(NOTHING, Planned::key);
        first
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use plimsoll_draw::Draw;

    use super::*;

    /// Held against a heap: items at once, soon, and long after; many at one time; by spans that come often, and by more of them than
    /// there are queues.
    #[test]
    fn items_come_in_the_order_of_time_and_then_of_planning() {
        for seed in 0..50 {
            let mut draw = Draw::new(seed);
            let mut agenda = Agenda::new();
            let mut heap = BinaryHeap::new();
            let mut now = 0;
            let mut planned = 0_u64;
            let spans = 1 + draw.below(5);
            for _ in 0..5_000 {
                if draw.below(2) == 0 {
                    let reach = [0, 1, 100_000, 30_000_000, 400_000_000, 4_000_000_000][draw.below(6) as usize];
                    let span = u64::from(draw.below(reach));
                    let often = u64::from(draw.below(spans)) * u64::from(reach / 7);
                    let at = if draw.below(2) == 0 {
                        agenda.plan(now + span, planned);
                        now + span
                    } else {
                        agenda.plan_after(now, often, planned);
                        now + often
                    };
                    heap.push(Reverse((at, planned)));
                    planned += 1;
                } else {
                    let expected = heap.pop().map(|Reverse(next)| next);
                    assert_eq!(agenda.next(), expected, "seed {seed}");
                    now = expected.map_or(now, |(at, _)| at);
                }
            }
            while let Some(Reverse(expected)) = heap.pop() {
                assert_eq!(agenda.next(), Some(expected), "seed {seed}");
            }
            assert_eq!(agenda.next(), None);
        }
    }
}
