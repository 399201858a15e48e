//! The recorder's looks.

use std::time::Duration;

use plimsoll_host::monotonic_now;
use plimsoll_model::Sysctl;
use plimsoll_observe::walk_is_cheap;
use plimsoll_recording::{ChangeKind, Row, Sources};

use super::{Recorder, change};
use crate::cohort::{Extent, Sighting, ToldBy};
use crate::look::{self, Look};
use crate::traffic::volume;
use crate::window::Window;
use crate::{Error, LookEvery, Sink};

/// Looks that hold up packets come so many times as rarely.
const RARELY: u32 = 3;
/// Entries that are read to the end at the first look: a second's work.
const WHOLE_UP_TO: u32 = 200_000;

impl<S: Sink> Recorder<'_, S> {
    /// Takes a look's next entries, if one is under way or due.
    pub(super) fn look_on(&mut self) -> Result<(), Error<S::Error>> {
        let mut look = match self.look.take() {
            Some(look) => look,
            None if monotonic_now() >= self.next_look => {
                self.next_look = monotonic_now() + self.until_next_look();
                self.follow_resize();
                self.cohort.begin_look(self.extent());
                Look::begin(&self.clock)?
            }
            None => return Ok(()),
        };
        let (cohort, table, keys, rows, lives) =
            (&mut self.cohort, &self.table, &self.keys, &mut self.rows, &self.lives);
        let told_by = match (self.wishes.sources, self.is_first_look) {
            (Sources::Looks, _) | (Sources::EventsAndLooks, true) => ToldBy::Looks,
            (Sources::EventsAndLooks, false) => ToldBy::Nobody,
        };
        let progress = look.go_on(&self.clock, &mut self.unknowns, |dumped, read| {
            let entry = &dumped.entry;
            let key = keys.of(entry.id, &entry.original);
            // What began since is told by its events.
            let told_by = || lives.began(key).map_or(told_by, ToldBy::Events);
            let sighting = Sighting { key, entry, volume: volume(dumped), read };
            cohort.see(sighting, table, told_by, rows);
        })?;
        if progress == look::Progress::GoesOn && !self.cohort.has_seen_enough() {
            self.look = Some(look);
            return Ok(());
        }
        let before = self.buckets;
        self.follow_resize();
        if before != self.buckets {
            return Ok(());
        }
        self.recorded.looks += 1;
        self.is_first_look = false;
        let took = Window { from: look.began(), to: self.clock.now() };
        let counted = self.numbers.occupancy.map(|occupancy| occupancy.0);
        self.cohort.end_look(took, progress, counted, &self.table, &mut self.rows);
        Ok(())
    }

    /// Looks come unevenly: of silences that are looked at after equal times only what happens at multiples of these can be known.
    fn until_next_look(&mut self) -> Duration {
        let every = match self.wishes.look_every {
            LookEvery::Gently(every) if !walk_is_cheap(self.numbers.occupancy, self.numbers.buckets) => every * RARELY,
            LookEvery::Exactly(every) | LookEvery::Gently(every) => every,
        };
        every.mul_f64(0.5 + self.draw.fraction())
    }

    /// The first look goes to the end where that is soon: it tells how many entries have not expired.
    fn extent(&self) -> Extent {
        let few = self.numbers.occupancy.is_some_and(|occupancy| occupancy.0 <= WHOLE_UP_TO);
        if self.is_first_look && few { Extent::Whole } else { Extent::Beginning }
    }

    /// If the hash has other buckets, its beginning shows other entries: those of before are not gone, but out of reach.
    pub(super) fn follow_resize(&mut self) {
        let Some(is) = self.table.buckets() else { return };
        let Some(was) = self.buckets.replace(is).filter(|was| *was != is) else { return };
        self.look = None;
        self.cohort.break_off(&self.table, &mut self.rows);
        let (was, is) = (was.0.to_string(), is.0.to_string());
        let at = self.clock.now();
        self.rows.push(Row::Change(change(at, ChangeKind::Resized, Sysctl::BUCKETS.name(), Some(was), Some(is))));
    }
}
