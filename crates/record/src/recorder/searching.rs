//! What the recorder does about events that were lost.

use std::time::Duration;

use plimsoll_host::monotonic_now;
use plimsoll_model::Buckets;
use plimsoll_recording::{ChangeKind, Row, UnixMicros};

use super::{Queue, Recorder, change};
use crate::lives::Told;
use crate::look::{self, Look};
use crate::{Error, Sink};

/// After a loss the table is searched as soon as nothing more has been lost for so long.
const CALM_BEFORE_SEARCH: Duration = Duration::from_secs(1);

/// A search of the table for flows whose end may have been lost.
#[derive(Debug)]
pub(super) struct Search {
    began: UnixMicros,
    buckets: Option<Buckets>,
    /// `None` when all of the table was read, and events that were sent until then are still to be taken.
    look: Option<Look>,
}

impl<S: Sink> Recorder<'_, S> {
    /// Events were lost.
    pub(super) fn lose(&mut self) {
        self.recorded.losses += 1;
        self.lives.lose();
        // A search that is under way may have passed what was lost since.
        self.search = None;
        if self.lost_at.is_none() {
            let since = Some(self.complete_until.0.to_string());
            self.rows.push(Row::Change(change(self.clock.now(), ChangeKind::EventsLost, "events", since, None)));
        }
        self.lost_at = Some(monotonic_now());
        self.queue = Queue::BeforeLoss;
    }

    /// Takes a search's next entries, if one is under way or due.
    pub(super) fn search_on(&mut self) -> Result<(), Error<S::Error>> {
        let is_due = |lost_at: Duration| monotonic_now() >= lost_at + CALM_BEFORE_SEARCH;
        if self.search.is_none() && self.queue != Queue::BeforeLoss && self.lost_at.is_some_and(is_due) {
            self.lives.begin_search();
            self.lost_at = None;
            let look = Look::begin(&self.clock)?;
            self.search = Some(Search { began: look.began(), buckets: self.table.buckets(), look: Some(look) });
        }
        let Some(Search { look: under_way @ Some(_), buckets, .. }) = &mut self.search else { return Ok(()) };
        let Some(look) = under_way else { return Ok(()) };
        let (keys, lives) = (&self.keys, &mut self.lives);
        let progress = look.go_on(&self.clock, &mut self.unknowns, |dumped, read| {
            let entry = &dumped.entry;
            let key = keys.of(entry.id, &entry.original);
            lives.find(&Told { key, entry, zone: entry.zone, volume: None, at: read.to });
        })?;
        if progress == look::Progress::GoesOn {
            return Ok(());
        }
        *under_way = None;
        // A hash that was resized meanwhile was not read whole.
        if *buckets != self.table.buckets() {
            self.search = None;
            self.lost_at = Some(monotonic_now());
        }
        Ok(())
    }

    /// Ends a search, when all events are taken that were sent until the table was read: flows that neither has told of are
    /// gone.
    pub(super) fn end_search(&mut self) -> Result<(), Error<S::Error>> {
        let Some(Search { began, look: None, .. }) = self.search else { return Ok(()) };
        self.search = None;
        let at = self.clock.now();
        let gone = self.lives.end_search(began);
        for key in &gone {
            self.rows.extend(self.lives.lose_sight(*key, at).map(Row::Life));
            self.keep()?;
        }
        let what = format!("flows that were followed are gone unseen: {}", gone.len());
        self.rows.push(Row::Change(change(at, ChangeKind::Resynchronised, &what, None, None)));
        Ok(())
    }
}
