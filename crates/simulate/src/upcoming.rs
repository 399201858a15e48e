//! A scenario's packets that were made before their turn.

use plimsoll_scenario::{Event, Schedule};
use plimsoll_twin::Outlook;

/// They are made so many at a time: in a loop of its own a schedule has the processor's registers to itself.
const BATCH: usize = Outlook::TURNS;
const HELD: usize = 2 * BATCH;

/// The next packets of a schedule, each known by its number. One is held until [`Outlook::TURNS`] others were made after it.
#[derive(Debug)]
pub(crate) struct Upcoming<'a> {
    schedule: Schedule<'a>,
    /// Each at its number's remainder; `None` behind the last.
    held: [Option<Event>; HELD],
    made: usize,
}

impl<'a> Upcoming<'a> {
    pub(crate) const fn new(schedule: Schedule<'a>) -> Self {
        Self { schedule, held: [None; HELD], made: 0 }
    }

    /// Makes the next packet and says its number; `None` behind the last. All that will be made soon are shown before.
    #[inline]
    pub(crate) fn make(&mut self, show: impl FnMut(&Event)) -> Option<usize> {
        let number = self.made;
        if number.is_multiple_of(BATCH) {
            self.make_batch().iter().flatten().for_each(show);
        }
        self.get(number)?;
        self.made += 1;
        Some(number)
    }

    /// A packet that is held.
    #[inline]
    pub(crate) const fn get(&self, number: usize) -> Option<&Event> {
        self.held[number % HELD].as_ref()
    }

    #[inline(never)]
    fn make_batch(&mut self) -> &[Option<Event>] {
        let begin = self.made % HELD;
        let batch = &mut self.held[begin..begin + BATCH];
        for place in &mut *batch {
            *place = self.schedule.next();
        }
        batch
    }
}
