//! The recorder's events.

use std::time::Duration;

use plimsoll_ctnetlink::{Event, EventKind, Listener, Received};
use plimsoll_host::monotonic_now;
use plimsoll_recording::{Row, UnixMicros};

use super::{JUDGED_EVERY, Queue, Recorder};
use crate::lives::{RemovedBy, Room, Told};
use crate::table::{Numbers, Table};
use crate::traffic::volume;
use crate::{Error, Sink};

/// Whether to stop is asked so often, at least.
const ASKED_EVERY: Duration = Duration::from_millis(250);
/// After a batch that was not full: who waits for each event anew is woken for every other one (`Listener`).
pub const REST: Duration = Duration::from_millis(1);
/// Before anything else has its turn, so many batches are taken at most.
const MOST_BATCHES: usize = 64;
/// Whether the table is nearly full is asked so often while entries are removed before their time.
const ROOM_KNOWN_FOR: Duration = Duration::from_millis(200);

/// Whether events wait in the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    Perhaps,
}

impl<S: Sink> Recorder<'_, S> {
    /// Takes what events there are, or waits for some.
    pub(super) fn listen(&mut self) -> Result<(), Error<S::Error>> {
        let is_busy = self.look.is_some() || self.search.is_some();
        let next = self.next_look.min(self.next_reading).min(self.judged.at + JUDGED_EVERY);
        let left = next.saturating_sub(monotonic_now()).min(ASKED_EVERY);
        let mut wait = if is_busy { Duration::ZERO } else { left };
        if self.listener.is_none() {
            std::thread::sleep(wait);
            return Ok(());
        }
        // One batch a turn would not be enough: a look's turn may last as long as a hundred of them take to come.
        for _ in 0..MOST_BATCHES {
            let taken = self.take_events(wait)?;
            wait = Duration::ZERO;
            self.keep()?;
            match taken {
                Left::Perhaps => {}
                Left::Nothing if !is_busy => {
                    std::thread::sleep(REST);
                    break;
                }
                Left::Nothing => break,
            }
        }
        Ok(())
    }

    /// Takes a batch of events, or waits so long for one.
    pub(super) fn take_events(&mut self, wait: Duration) -> Result<Left, Error<S::Error>> {
        let asked_at = self.clock.now();
        let Some(listener) = &mut self.listener else { return Ok(Left::Nothing) };
        let batch = match listener.receive(wait)? {
            Received::Nothing => {
                self.catch_up(asked_at)?;
                return Ok(Left::Nothing);
            }
            Received::Lost => {
                self.lose();
                return Ok(Left::Perhaps);
            }
            Received::Events(batch) => batch,
        };
        let left = if batch.datagram_count() < Listener::BATCH { Left::Nothing } else { Left::Perhaps };
        let at = self.clock.now();
        let share = self.governor.share();
        let (lives, cohort, rows, keys) = (&mut self.lives, &mut self.cohort, &mut self.rows, &self.keys);
        let table = &self.table;
        let mut room = RoomNow { table, numbers: &mut self.numbers, known_at: &mut self.room_known_at };
        let mut is_whole = true;
        let mut events = Vec::with_capacity(batch.datagram_count());
        for event in batch.events(&mut self.unknowns) {
            let Ok(event) = event else {
                is_whole = false;
                continue;
            };
            self.recorded.events += 1;
            let entry = &event.entry.entry;
            // Others were in the buffer before the share was made smaller.
            if share.keeps(entry.id) {
                events.push((keys.of(entry.id, &entry.original), event));
            }
        }
        lives.fetch(events.iter().map(|(key, _)| *key));
        for (key, Event { kind, entry: dumped, asked_by }) in &events {
            let (key, entry) = (*key, &dumped.entry);
            let told = |volume| Told { key, entry, zone: entry.zone, volume, at };
            match kind {
                EventKind::New => {
                    if self.queue != Queue::Usual {
                        cohort.leave_to_events(key, at);
                    }
                    cohort.make_anew(key, at, table, rows);
                    rows.extend(lives.begin(&told(None), share).map(Row::Life));
                }
                EventKind::Update => lives.go_on(&told(None)),
                EventKind::Destroy => {
                    let by = if asked_by.is_some() { RemovedBy::Request } else { RemovedBy::Kernel };
                    let room = if entry.remaining_secs.is_some() { room.now() } else { Room::Plenty };
                    rows.extend(lives.end(&told(volume(dumped)), by, room).map(Row::Life));
                }
            }
        }
        if !is_whole {
            // What could not be read is as good as lost.
            self.lose();
        }
        if left == Left::Nothing {
            self.catch_up(asked_at)?;
        }
        Ok(left)
    }

    /// All events are taken that were sent until a moment.
    fn catch_up(&mut self, at: UnixMicros) -> Result<(), Error<S::Error>> {
        self.complete_until = at;
        match self.queue {
            Queue::BeforeLoss => {
                // Of flows that began by what was in the buffer the rest may be lost.
                self.lives.lose();
                self.lost_at = Some(monotonic_now());
                self.queue = Queue::Usual;
            }
            Queue::Beginning if !self.is_first_look => self.queue = Queue::Usual,
            Queue::Beginning | Queue::Usual => {}
        }
        self.end_search()
    }
}

/// Whether the kernel may be making room, asked anew now and then.
struct RoomNow<'a> {
    table: &'a Table,
    numbers: &'a mut Numbers,
    known_at: &'a mut Option<Duration>,
}

impl RoomNow<'_> {
    fn now(&mut self) -> Room {
        let now = monotonic_now();
        if self.known_at.is_none_or(|at| now.saturating_sub(at) > ROOM_KNOWN_FOR) {
            *self.known_at = Some(now);
            self.numbers.occupancy = self.table.occupancy().or(self.numbers.occupancy);
        }
        if self.numbers.is_nearly_full() { Room::Short } else { Room::Plenty }
    }
}
