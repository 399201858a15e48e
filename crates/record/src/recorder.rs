//! The recorder: one thread that takes events, looks at entries, and reads numbers, each in its turn.

mod listening;
mod looking;
mod searching;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use plimsoll_ctnetlink::{Listener, SampleShare};
use plimsoll_draw::Draw;
use plimsoll_host::{HostFs, monotonic_now};
use plimsoll_model::{Buckets, Sysctl, Unknowns, Untrusted};
use plimsoll_observe::needed_to_ask_conntrack;
use plimsoll_recording::{Addresses, Change, ChangeKind, GapEnd, Origin, Row, Sources, TableReading, UnixMicros};

use self::listening::Left;
pub use self::listening::REST;
use self::searching::Search;
use crate::clock::Clock;
use crate::cohort::Cohort;
use crate::governor::{Governor, Load};
use crate::hide::Hider;
use crate::keys::Keys;
use crate::lives::Lives;
use crate::look::Look;
use crate::table::{Numbers, Table};
use crate::{Error, Sink, Wishes};

/// The load is judged so often.
const JUDGED_EVERY: Duration = Duration::from_secs(1);

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
            self.cohort.write_down(&self.table, &mut self.rows);
        }
        self.keep()?;
        self.sink.pass_time(self.clock.now()).map_err(Error::Kept)
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
        self.cohort.break_off(&self.table, &mut self.rows);
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

fn change(at: UnixMicros, kind: ChangeKind, what: &str, from: Option<String>, to: Option<String>) -> Change {
    Change { at, kind, what: what.to_string(), from, to }
}
