//! The recorder: one thread that takes events, looks at entries, and reads numbers, each in its turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use plimsoll_ctnetlink::{Event, EventKind, Listener, Received, SampleShare};
use plimsoll_draw::Draw;
use plimsoll_host::{HostFs, monotonic_now};
use plimsoll_model::{Buckets, Sysctl, Unknowns, Untrusted};
use plimsoll_observe::{needed_to_ask_conntrack, walk_is_cheap};
use plimsoll_recording::{Addresses, Change, ChangeKind, GapEnd, Origin, Row, Sources, TableReading, UnixMicros};

use crate::clock::Clock;
use crate::cohort::{Cohort, Extent, Sighting, ToldBy};
use crate::governor::{Governor, Load};
use crate::hide::Hider;
use crate::keys::Keys;
use crate::lives::{Lives, RemovedBy, Room, Told};
use crate::look::{self, Look};
use crate::table::{Numbers, Table};
use crate::traffic::volume;
use crate::window::Window;
use crate::{Error, LookEvery, Sink, Wishes};

/// Whether to stop is asked so often, at least.
const ASKED_EVERY: Duration = Duration::from_millis(250);
/// After a batch that was not full: who waits for each event anew is woken for every other one (`Listener`).
pub const REST: Duration = Duration::from_millis(1);
/// Before anything else has its turn, so many batches are taken at most.
const MOST_BATCHES: usize = 64;
/// The load is judged so often.
const JUDGED_EVERY: Duration = Duration::from_secs(1);
/// Whether the table is nearly full is asked so often while entries are removed before their time.
const ROOM_KNOWN_FOR: Duration = Duration::from_millis(200);
/// After a loss the table is searched as soon as nothing more has been lost for so long.
const CALM_BEFORE_SEARCH: Duration = Duration::from_secs(1);

/// Looks that hold up packets come so many times as rarely.
const RARELY: u32 = 3;
/// Entries that are read to the end at the first look: a second's work.
const WHOLE_UP_TO: u32 = 200_000;
/// At its end it takes events that came before for no longer than this.
const LAST_EVENTS: Duration = Duration::from_secs(2);

/// How far a recording has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// How long it has lasted.
    pub lasted: Duration,
    /// Entries that the kernel counts.
    pub occupancy: Option<u32>,
    /// What has been written and received.
    pub recorded: Recorded,
    /// Flows that are followed by their events.
    pub followed: u64,
    /// Entries that are looked at.
    pub looked_at: u64,
    /// One of so many entries is followed.
    pub one_in: u32,
}

/// What was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Lives.
    pub lives: u64,
    /// Silences.
    pub gaps: u64,
    /// Events received.
    pub events: u64,
    /// How often the kernel said that events were lost.
    pub losses: u64,
    /// Events that the kernel says it dropped, where it says so.
    pub dropped: Option<u64>,
    /// Events of flows that began unseen.
    pub unknown: u64,
    /// Looks.
    pub looks: u64,
    /// Silences whose beginning could not be told.
    pub undated: u64,
}

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It lasted for as long as was asked for.
    TimeIsUp,
    /// It was told to.
    Told,
    /// The network namespace is gone: nobody else is in it any more.
    NamespaceGone,
}

/// What a recording says of itself.
pub fn origin(host: &HostFs, namespace: &Untrusted, wishes: &Wishes) -> Origin {
    let machine = host.host().read;
    let text = |text: Option<Untrusted>| text.map(|text| text.as_str().trim_end().to_string());
    let is_hidden = wishes.addresses == Addresses::Hidden;
    Origin {
        written_by: concat!("plimsoll ", env!("CARGO_PKG_VERSION")).to_string(),
        kernel: text(machine.kernel).unwrap_or_default(),
        host: text(machine.name).filter(|_| !is_hidden),
        namespace: namespace.as_str().to_string(),
        began_at: Clock::begin().now(),
        sources: wishes.sources,
        addresses: wishes.addresses,
    }
}

/// Records the calling thread's network namespace until the time is up or `stop` is raised. `is_there` says whether the
/// namespace still is; the observer is told every second how far it has come.
pub fn record<S: Sink>(
    wishes: &Wishes,
    sink: &mut S,
    stop: &AtomicBool,
    is_there: &dyn Fn() -> bool,
    observer: &mut dyn FnMut(&Progress),
) -> Result<(Recorded, Stopped), Error<S::Error>> {
    let mut recorder = Recorder::begin(wishes, sink)?;
    let stopped = loop {
        if stop.load(Ordering::Relaxed) {
            break Stopped::Told;
        }
        if wishes.lasts.is_some_and(|lasts| recorder.lasted() >= lasts) {
            break Stopped::TimeIsUp;
        }
        if recorder.is_to_read() {
            recorder.read();
            if !is_there() {
                break Stopped::NamespaceGone;
            }
        }
        if recorder.is_to_judge() {
            recorder.judge()?;
            recorder.pass_time()?;
            observer(&recorder.progress());
        }
        recorder.look_on()?;
        recorder.search_on()?;
        recorder.listen()?;
        recorder.keep()?;
    };
    recorder.end(stopped)
}

struct Recorder<'a, S> {
    wishes: &'a Wishes,
    sink: &'a mut S,
    clock: Clock,
    began: Duration,
    listener: Option<Listener>,
    lives: Lives,
    cohort: Cohort,
    keys: Keys,
    hider: Option<Hider>,
    table: Table,
    numbers: Numbers,
    room_known_at: Option<Duration>,
    governor: Governor,
    look: Option<Look>,
    next_look: Duration,
    is_first_look: bool,
    draw: Draw,
    /// The hash of which the cohort is the beginning.
    buckets: Option<Buckets>,
    search: Option<Search>,
    /// When events were lost last, and are not yet searched for.
    lost_at: Option<Duration>,
    /// Up to when no event is missing that is not known to be lost.
    complete_until: UnixMicros,
    queue: Queue,
    next_reading: Duration,
    next_writing_down: Duration,
    judged: Judged,
    rows: Vec<Row>,
    recorded: Recorded,
    unknowns: Unknowns,
}

/// What waits in the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queue {
    /// Of flows that begin by it the first look may have shown some already.
    Beginning,
    /// What the kernel sends.
    Usual,
    /// What it sent before a loss that is known already: until all of it is taken, it drops all that comes.
    BeforeLoss,
}

/// A search of the table for flows whose end may have been lost.
#[derive(Debug)]
struct Search {
    began: UnixMicros,
    buckets: Option<Buckets>,
    /// `None` when all of the table was read, and events that were sent until then are still to be taken.
    look: Option<Look>,
}

/// What there was when the load was last judged.
#[derive(Clone, Copy, Debug)]
struct Judged {
    at: Duration,
    events: u64,
    losses: u64,
}

impl<'a, S: Sink> Recorder<'a, S> {
    fn begin(wishes: &'a Wishes, sink: &'a mut S) -> Result<Self, Error<S::Error>> {
        let host = HostFs::new();
        if let Some(needs) = needed_to_ask_conntrack(&host) {
            return Err(Error::NotAsked { needs });
        }
        let clock = Clock::begin();
        let mut rows = Vec::new();
        let at = clock.now();
        rows.push(Row::Change(change(at, ChangeKind::Began, "recording", None, None)));
        let table = Table::begin(host, wishes.history, at, &mut rows);
        let listener = match wishes.sources {
            Sources::Looks => None,
            Sources::EventsAndLooks if table.setting(Sysctl::EVENTS) == Some(0) => return Err(Error::EventsOff),
            Sources::EventsAndLooks => Some(Listener::subscribe(wishes.buffer_bytes)?),
        };
        let began = monotonic_now();
        Ok(Self {
            wishes,
            sink,
            began,
            listener,
            lives: Lives::with_room_for(wishes.bounds.followed),
            cohort: Cohort::new(wishes.looked_at),
            keys: Keys::new(wishes.key_secret),
            hider: (wishes.addresses == Addresses::Hidden).then(|| Hider::new(wishes.secret)),
            table,
            numbers: Numbers::default(),
            room_known_at: None,
            governor: Governor::new(wishes.bounds),
            look: None,
            next_look: began,
            is_first_look: true,
            draw: Draw::new(wishes.key_secret.0),
            buckets: None,
            search: None,
            lost_at: None,
            complete_until: at,
            queue: Queue::Beginning,
            next_reading: began,
            next_writing_down: began + wishes.write_down_every,
            judged: Judged { at: began, events: 0, losses: 0 },
            rows,
            recorded: Recorded::default(),
            unknowns: Unknowns::default(),
            clock,
        })
    }

    fn lasted(&self) -> Duration {
        monotonic_now().saturating_sub(self.began)
    }

    fn is_to_read(&self) -> bool {
        monotonic_now() >= self.next_reading
    }

    /// Reads the table's numbers and settings.
    fn read(&mut self) {
        self.next_reading = monotonic_now() + self.wishes.read_every;
        let at = self.clock.now();
        if let Some(micros) = self.clock.step_micros() {
            let by = format!("{:.3} s", micros as f64 / 1e6);
            self.rows.push(Row::Change(change(at, ChangeKind::ClockStepped, "wall clock, by", None, Some(by))));
        }
        self.table.read_settings(at, &mut self.rows);
        self.numbers = self.table.numbers();
        self.follow_resize();
        self.recorded.dropped = self.listener.as_ref().and_then(|listener| listener.dropped().ok().flatten());
        self.rows.push(Row::Reading(TableReading {
            at,
            occupancy: self.numbers.occupancy,
            capacity: self.numbers.capacity,
            buckets: self.numbers.buckets,
            counters: self.numbers.totals(),
            events: self.recorded.events,
            losses: self.recorded.losses,
            dropped_events: self.recorded.dropped,
            share: self.governor.share().fraction(),
            followed: self.lives.len() as u64,
            looked_at: self.cohort.len() as u64,
        }));
    }

    fn pass_time(&mut self) -> Result<(), Error<S::Error>> {
        if monotonic_now() >= self.next_writing_down {
            self.next_writing_down = monotonic_now() + self.wishes.write_down_every;
            self.cohort.write_down(&mut self.rows);
        }
        self.keep()?;
        self.sink.pass_time(self.clock.now()).map_err(Error::Kept)
    }

    /// If the hash has other buckets, its beginning shows other entries: those of before are not gone, but out of reach.
    fn follow_resize(&mut self) {
        let Some(is) = self.table.buckets() else { return };
        let Some(was) = self.buckets.replace(is).filter(|was| *was != is) else { return };
        self.look = None;
        self.cohort.break_off(&mut self.rows);
        let (was, is) = (was.0.to_string(), is.0.to_string());
        let at = self.clock.now();
        self.rows.push(Row::Change(change(at, ChangeKind::Resized, Sysctl::BUCKETS.name(), Some(was), Some(is))));
    }

    fn is_to_judge(&self) -> bool {
        monotonic_now() >= self.judged.at + JUDGED_EVERY
    }

    /// Judges whether all of this can be borne.
    fn judge(&mut self) -> Result<(), Error<S::Error>> {
        let now = monotonic_now();
        let over = now.saturating_sub(self.judged.at).as_secs_f64();
        let load = Load {
            events_per_sec: (self.recorded.events - self.judged.events) as f64 / over.max(0.001),
            followed: self.lives.len(),
            losses: self.recorded.losses - self.judged.losses,
        };
        self.judged = Judged { at: now, events: self.recorded.events, losses: self.recorded.losses };
        let before = self.governor.share();
        let Some(listener) = &self.listener else { return Ok(()) };
        let Some(share) = self.governor.judge(now, load) else { return Ok(()) };
        listener.sample(share)?;
        let forgotten = if share.one_in() > before.one_in() { self.lives.follow_only(share) } else { 0 };
        let text = |share: SampleShare| Some(format!("1/{}", share.one_in()));
        let what = format!("entries followed; {forgotten} that were are not any more");
        self.rows.push(Row::Change(change(self.clock.now(), ChangeKind::Share, &what, text(before), text(share))));
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress {
            lasted: self.lasted(),
            occupancy: self.numbers.occupancy.map(|occupancy| occupancy.0),
            recorded: Recorded { unknown: self.lives.unknown, undated: self.cohort.undated, ..self.recorded },
            followed: self.lives.len() as u64,
            looked_at: self.cohort.len() as u64,
            one_in: self.governor.share().one_in(),
        }
    }

    /// Takes a look's next entries, if one is under way or due.
    fn look_on(&mut self) -> Result<(), Error<S::Error>> {
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
            let shortest = table.shortest(entry.original.protocol);
            let sighting = Sighting { key, entry, volume: volume(dumped), read, shortest };
            cohort.see(sighting, table.armings(), told_by, rows);
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
        self.cohort.end_look(took, progress, counted, &mut self.rows);
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

    /// Takes a search's next entries, if one is under way or due.
    fn search_on(&mut self) -> Result<(), Error<S::Error>> {
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
    fn end_search(&mut self) -> Result<(), Error<S::Error>> {
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

    /// Takes what events there are, or waits for some.
    fn listen(&mut self) -> Result<(), Error<S::Error>> {
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
    fn take_events(&mut self, wait: Duration) -> Result<Left, Error<S::Error>> {
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
        let mut room = RoomNow { table: &self.table, numbers: &mut self.numbers, known_at: &mut self.room_known_at };
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
                    cohort.make_anew(key, at, rows);
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

    /// Events were lost.
    fn lose(&mut self) {
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

    /// Hands on the rows that there are.
    fn keep(&mut self) -> Result<(), Error<S::Error>> {
        for row in &mut self.rows {
            match row {
                Row::Life(_) => self.recorded.lives += 1,
                Row::Gap(gap) => self.recorded.gaps += u64::from(gap.end != GapEnd::GoesOn),
                Row::Reading(_) | Row::Change(_) => {}
            }
            if let Some(hider) = &mut self.hider {
                hider.hide(row);
            }
        }
        self.sink.keep(&mut self.rows).map_err(Error::Kept)
    }

    fn end(mut self, stopped: Stopped) -> Result<(Recorded, Stopped), Error<S::Error>> {
        // What was sent until now belongs to it.
        let until = monotonic_now() + LAST_EVENTS;
        while self.take_events(Duration::ZERO)? == Left::Perhaps && monotonic_now() < until {}
        self.read();
        let at = self.clock.now();
        self.cohort.break_off(&mut self.rows);
        self.keep()?;
        for life in self.lives.break_off(at) {
            self.rows.push(Row::Life(life));
            self.keep()?;
        }
        let why = match stopped {
            Stopped::TimeIsUp => "its time is up",
            Stopped::Told => "it was told to stop",
            Stopped::NamespaceGone => "the network namespace is gone",
        };
        self.rows.push(Row::Change(change(at, ChangeKind::Ended, why, None, None)));
        self.keep()?;
        Ok((self.progress().recorded, stopped))
    }
}

/// Whether events wait in the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Perhaps,
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

fn change(at: UnixMicros, kind: ChangeKind, what: &str, from: Option<String>, to: Option<String>) -> Change {
    Change { at, kind, what: what.to_string(), from, to }
}
