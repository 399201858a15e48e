//! A table as traffic of known rates leaves it: flows come as a Poisson process, are held by their state's time, wait for
//! the garbage collector when they have expired, and are refused while the table is full.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use plimsoll_census::{Armings, Counting, DumpNotes};
use plimsoll_churn::{Outlook, churn};
use plimsoll_draw::Draw;
use plimsoll_forecast::{History, Limit, Point, Span};
use plimsoll_model::{
    Answer, Capacity, Change, CounterReading, Coverage, Entry, Inode, Layer4, NamedBy, Namespace, NamespaceSnapshot,
    NetworkSettings, Occupancy, Policies, Protocol, ProtocolState, Relation, Status, StoppedBecause, TcpState,
    Timeouts, Tuple, Untrusted,
};

/// What a flow is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A SYN that nobody answers: 120 s in `SYN_SENT`.
    Syn,
    /// A connection that is open for a random time of this mean (exponential), and then 120 s in `TIME_WAIT`.
    Connection { open_secs: f64 },
}

/// Flows a second by time.
pub(crate) type Rate = Box<dyn Fn(f64) -> f64 + Send>;

/// Flows of one kind.
struct Source {
    kind: Kind,
    rate: Rate,
    open: u64,
    /// Those that expire after the fixed time of their state, by step, the newest first.
    fixed: VecDeque<u64>,
}

/// Stock timeouts of `SYN_SENT` and `TIME_WAIT`.
const FIXED_SECS: f64 = 120.0;
/// The garbage collector's longest wait.
const GC_SECS: f64 = 60.0;
/// How often readings are made.
pub(crate) const READING_SECS: f64 = 10.0;

/// A table, and what a watch of it has seen.
pub(crate) struct Simulated {
    pub(crate) draw: Draw,
    pub(crate) now_secs: f64,
    pub(crate) capacity: f64,
    step_secs: f64,
    sources: Vec<Source>,
    expired: u64,
    pub(crate) refused: u64,
    pub(crate) fine: Vec<Point>,
    pub(crate) coarse: Vec<Span>,
    limits: Vec<Limit>,
    /// Counts of the last half minute.
    course: VecDeque<(f64, u64)>,
}

impl Simulated {
    pub(crate) fn new(seed: u64, capacity: f64, step_secs: f64) -> Self {
        Self {
            draw: Draw::new(seed),
            now_secs: 0.0,
            capacity,
            step_secs,
            sources: Vec::new(),
            expired: 0,
            refused: 0,
            fine: Vec::new(),
            coarse: Vec::new(),
            limits: vec![Limit { since_secs: 0.0, entries: capacity }],
            course: VecDeque::new(),
        }
    }

    pub(crate) fn with(mut self, kind: Kind, rate: impl Fn(f64) -> f64 + Send + 'static) -> Self {
        let steps = (FIXED_SECS / self.step_secs) as usize;
        let fixed = VecDeque::from(vec![0; steps]);
        self.sources.push(Source { kind, rate: Box::new(rate), open: 0, fixed });
        self
    }

    /// Begins when traffic has gone on for so long as it does at first.
    pub(crate) fn settled(mut self, secs: f64) -> Self {
        while self.now_secs < secs {
            self.now_secs += self.step_secs;
            self.step_at(0.0);
        }
        Self { now_secs: 0.0, refused: 0, course: VecDeque::new(), ..self }
    }

    /// Entries as the kernel counts them.
    pub(crate) fn entries(&self) -> u64 {
        self.expired + self.sources.iter().map(|source| source.open + source.fixed.iter().sum::<u64>()).sum::<u64>()
    }

    pub(crate) fn history(&self) -> History<'_> {
        History { fine: &self.fine, coarse: &self.coarse, limits: &self.limits, restarted_at_secs: None }
    }

    /// Goes on to the next reading.
    pub(crate) fn read(&mut self) {
        let steps = (READING_SECS / self.step_secs) as u32;
        for _ in 0..steps {
            self.step();
        }
        let entries = self.entries() as f64;
        self.fine.push(Point { at_secs: self.now_secs, entries, new_per_sec: None });
        if self.fine.len() > 361 {
            self.fine.remove(0);
        }
        let from_secs = ((self.now_secs - 1.0) / Span::SECS).floor() * Span::SECS;
        match self.coarse.last_mut().filter(|span| span.from_secs >= from_secs) {
            Some(span) => {
                let readings = ((self.now_secs - from_secs) / READING_SECS).round();
                span.mean += (entries - span.mean) / readings;
                span.least = span.least.min(entries);
                span.most = span.most.max(entries);
            }
            None => self.coarse.push(Span { from_secs, least: entries, mean: entries, most: entries }),
        }
        if self.coarse.len() > 2016 {
            self.coarse.remove(0);
        }
    }

    fn step(&mut self) {
        self.now_secs += self.step_secs;
        self.step_at(self.now_secs);
        let entries = self.entries();
        self.course.push_back((self.now_secs, entries));
        while self.course.front().is_some_and(|(at, _)| *at < self.now_secs - 30.0) {
            self.course.pop_front();
        }
    }

    /// What comes and goes within a step, at the rates of some time.
    fn step_at(&mut self, at_secs: f64) {
        let step = self.step_secs;
        let mut room = (self.capacity as u64).saturating_sub(self.entries());
        for source in &mut self.sources {
            self.expired += source.fixed.pop_back().unwrap_or(0);
            let come = poisson(&mut self.draw, (source.rate)(at_secs) * step);
            let made = come.min(room);
            room -= made;
            self.refused += come - made;
            match source.kind {
                Kind::Syn => source.fixed.push_front(made),
                Kind::Connection { open_secs } => {
                    let closed = binomial(&mut self.draw, source.open, -(-step / open_secs).exp_m1());
                    source.open = source.open - closed + made;
                    source.fixed.push_front(closed);
                }
            }
        }
        if (self.now_secs % GC_SECS) < step {
            self.expired = 0;
        }
    }

    /// What the entries tell, of a sample such as a reading draws.
    pub(crate) fn outlook(&mut self) -> Option<Outlook> {
        churn(&self.snapshot()).map(|churn| churn.outlook)
    }

    fn snapshot(&mut self) -> NamespaceSnapshot {
        /// As many as make a share of one half known to a point.
        const SAMPLE: u64 = 9_600;
        let timeouts = Timeouts::compiled_defaults();
        let mut counting = Counting::new(Armings::in_force(&timeouts, Policies::None, u32::MAX));
        let live = self.entries() - self.expired;
        let cells = self.cells();
        if live <= SAMPLE {
            // In the order of the hash, which has nothing to do with age.
            let mut entries: Vec<_> = cells.iter().flat_map(|(cell, count)| (0..*count).map(|_| *cell)).collect();
            for at in (1..entries.len()).rev() {
                entries.swap(at, self.draw.below(u32::try_from(at).unwrap() + 1) as usize);
            }
            for cell in entries {
                counting.add(&cell.entry(&mut self.draw));
            }
        } else {
            for _ in 0..SAMPLE {
                let mut at = u64::from(self.draw.below(u32::try_from(live).unwrap()));
                let drawn = cells.iter().find(|(_, count)| {
                    let is_in = at < *count;
                    at = at.saturating_sub(*count);
                    is_in
                });
                counting.add(&drawn.unwrap().0.entry(&mut self.draw));
            }
        }
        let because = StoppedBecause::SampleSize;
        let coverage = if live <= SAMPLE { Coverage::Complete } else { Coverage::Sample { because } };
        let occupancy = Occupancy(u32::try_from(self.entries()).unwrap());
        let began = self.course.front().unwrap().0;
        let course = self
            .course
            .iter()
            .map(|(at, count)| (Duration::from_secs_f64(at - began), Occupancy(u32::try_from(*count).unwrap())));
        let change = Change {
            over: Duration::from_secs_f64(self.now_secs - began),
            watched: Duration::from_secs_f64(self.now_secs - began),
            counters: CounterReading { cpus: Vec::new() }.since(&CounterReading { cpus: Vec::new() }),
            occupancy: 0,
            course: course.collect(),
        };
        NamespaceSnapshot {
            namespace: Namespace {
                name: Untrusted::from("simulated"),
                named_by: NamedBy::Given,
                inode: Some(Inode(1)),
                relation: Relation::Own,
                owner: None,
            },
            occupancy: Some(occupancy),
            capacity: Some(Capacity(self.capacity as u32)),
            expectations: Some(0),
            timeouts,
            policies: Policies::None,
            settings: NetworkSettings::default(),
            counters: None,
            change: Some(change),
            tracking: Answer::Yes,
            packets: None,
            census: Some(counting.finish(coverage, occupancy, DumpNotes::default())),
            surroundings: None,
        }
    }

    /// Live entries by what they are.
    fn cells(&self) -> Vec<(Cell, u64)> {
        let mut cells = Vec::new();
        for source in &self.sources {
            let state = if matches!(source.kind, Kind::Syn) { TcpState::SynSent } else { TcpState::TimeWait };
            let aged = source.fixed.iter().enumerate();
            let aged = aged.map(|(step, count)| (Cell { state, age_secs: step as f64 * self.step_secs }, *count));
            cells.push((Cell { state: TcpState::Established, age_secs: 0.0 }, source.open));
            cells.extend(aged);
        }
        cells.retain(|(_, count)| *count > 0);
        cells
    }
}

#[derive(Clone, Copy)]
struct Cell {
    state: TcpState,
    age_secs: f64,
}

impl Cell {
    fn entry(self, draw: &mut Draw) -> Entry {
        let tuple = Tuple {
            source: IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + draw.below(1 << 24))),
            destination: IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)),
            protocol: Protocol::TCP,
            layer4: Layer4::Ports { source: 32_768 + u16::try_from(draw.below(28_000)).unwrap(), destination: 443 },
        };
        let (status, timeout_secs) = match self.state {
            TcpState::SynSent => (Status::default(), FIXED_SECS),
            TcpState::TimeWait => (Status::SEEN_REPLY.and(Status::ASSURED), FIXED_SECS),
            _ => (Status::SEEN_REPLY.and(Status::ASSURED), 432_000.0 - 30.0 * draw.fraction()),
        };
        // The kernel rounds down.
        let remaining = (timeout_secs - self.age_secs - draw.fraction()).max(0.0).floor();
        Entry {
            id: u32::try_from(draw.next() >> 32).unwrap(),
            state: ProtocolState::Tcp(self.state),
            status: status.and(Status::CONFIRMED),
            remaining_secs: Some(remaining as u32),
            ..Entry::of(tuple)
        }
    }
}

/// A Poisson variable; a rounded normal one where that is the same.
pub(crate) fn poisson(draw: &mut Draw, mean: f64) -> u64 {
    if mean > 60.0 {
        return (mean + normal(draw) * mean.sqrt()).round().max(0.0) as u64;
    }
    let (mut came, mut left) = (0_u32, draw.fraction());
    let mut chance = (-mean).exp();
    while left >= chance && came < 400 {
        left -= chance;
        came += 1;
        chance *= mean / f64::from(came);
    }
    u64::from(came)
}

/// So many of `of`, each with this chance.
fn binomial(draw: &mut Draw, of: u64, chance: f64) -> u64 {
    let mean = of as f64 * chance;
    if mean > 60.0 {
        let spread = (mean * (1.0 - chance)).sqrt();
        return ((mean + normal(draw) * spread).round().max(0.0) as u64).min(of);
    }
    // Rare among many: a Poisson variable but for a share as small as the chance.
    poisson(draw, mean).min(of)
}

pub(crate) fn normal(draw: &mut Draw) -> f64 {
    (-2.0 * (1.0 - draw.fraction()).ln()).sqrt() * (std::f64::consts::TAU * draw.fraction()).cos()
}
