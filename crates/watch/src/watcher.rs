//! The readings, one after the other.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use plimsoll_diagnose::diagnose;
use plimsoll_host::{boottime_now, monotonic_now};
use plimsoll_model::{Capacity, Finding, NamespaceSnapshot, Relation, Severity, Verdict};
use plimsoll_observe::{Asked, Bounds, Depth, Observer, Options, Target, advise_on_proxies, ask_whose};

use crate::foreseen::{findings, forecast_of};
use crate::history::Point;
use crate::status::{Status, TableStatus};
use crate::{Board, History};

/// Entries that are read of a table each time. They are the beginning of a dump, so the same ones each time while they live: their
/// shares have the error of one sample, however often it is read.
const SAMPLE: NonZeroU64 = NonZeroU64::new(2000).unwrap();

/// Reading entries ends after this time.
const LONGEST_READING: Duration = Duration::from_secs(2);

/// The wall clock was set if it is so far from where it was.
const STEP: Duration = Duration::from_secs(1);

/// Reads the host again and again.
#[derive(Debug)]
pub struct Watcher {
    board: Arc<Board>,
    observer: Observer,
    state_dir: PathBuf,
    clock: WallClock,
    /// How long the last reading took beyond its interval.
    took: Duration,
}

/// What a reading told.
#[derive(Debug)]
pub struct Told {
    /// What is known now.
    pub status: Status,
    /// When, in seconds since 1970.
    pub at: f64,
    /// How long it took beyond the interval.
    pub took: Duration,
    /// When what changes was read, at the earliest, on the monotonic clock.
    pub began: Duration,
    /// The namespace that the daemon runs in, as it was read.
    pub own: Option<NamespaceSnapshot>,
    /// When the host began, in seconds since 1970.
    pub booted_at: f64,
    /// By how many seconds the wall clock has been set since the reading before, if it was.
    pub clock_set_by: Option<f64>,
}

impl Watcher {
    /// One that reads as often as is said on a board; `state_dir` is where journals of what was applied are kept.
    pub fn new(board: Arc<Board>, state_dir: PathBuf) -> Self {
        Self { board, observer: Observer::default(), state_dir, clock: WallClock::new(), took: Duration::ZERO }
    }

    /// Watches for the interval, and reads the host.
    pub fn read(&mut self) -> Result<Told, plimsoll_observe::Error> {
        let began = monotonic_now();
        let every = self.board.interval();
        // Where reading takes longer than the interval, some time is watched all the same.
        let interval = every.saturating_sub(self.took).max(every / 10);
        let options = Options {
            target: Target::All,
            interval,
            depth: Depth::Sample(SAMPLE),
            timeout: LONGEST_READING.min(every / 2),
        };
        let mut snapshot = self.observer.observe(&options, &mut |_| {})?;
        plimsoll_apply::note_applied(&mut snapshot, &self.state_dir);
        let mut findings = diagnose(&snapshot);
        // Only while something is the matter: a healthy host need not bear a look at all its sockets.
        let is_wanted = |ns: &NamespaceSnapshot| {
            let is_meant = |finding: &Finding| finding.namespace.as_ref() == Some(&ns.namespace.name);
            findings
                .iter()
                .any(|finding| finding.severity >= Severity::Warning && finding.holds.is_some() && is_meant(finding))
        };
        if ask_whose(&mut snapshot, Bounds::OFTEN, is_wanted) == Asked::Some {
            findings = diagnose(&snapshot);
            advise_on_proxies(&snapshot, &mut findings, Bounds::OFTEN);
        }
        let status = Status::of(&snapshot, findings);
        self.took = monotonic_now().saturating_sub(began).saturating_sub(interval);
        let own = snapshot.namespaces.into_iter().find(|ns| ns.namespace.relation == Relation::Own);
        let (at, clock_set_by) = self.clock.read();
        Ok(Told {
            status,
            at,
            took: self.took,
            began: began + interval,
            own,
            booted_at: self.clock.booted,
            clock_set_by,
        })
    }
}

impl Told {
    /// Adds it to a history, and foretells by that. If it cannot be written to the history's file, it is told all the same.
    pub(crate) fn add_to(&mut self, history: &mut History) -> Result<(), crate::history::Error> {
        let shifted = self.clock_set_by.map_or(Ok(()), |secs| history.shift(secs));
        let points = self
            .status
            .namespaces
            .iter()
            .filter_map(|table| Some((table.namespace.name.as_str(), point(table, self.at)?)));
        let added = history.add(self.at, points);
        for table in &mut self.status.namespaces {
            let name = table.namespace.name.as_str();
            if let Some(outlook) = table.outlook.take() {
                history.note(name, self.at, outlook);
            }
            table.forecast = history.course(name).and_then(|course| forecast_of(course, self.booted_at));
        }
        let foreseen = findings(&self.status);
        self.status.findings.extend(foreseen);
        self.status.verdict = Verdict::of(&self.status.findings);
        shifted.and(added)
    }
}

fn point(table: &TableStatus, at: f64) -> Option<Point> {
    #[expect(clippy::cast_possible_truncation, reason = "a rate needs no more than seven digits")]
    let short = |rate: f64| rate as f32;
    Some(Point {
        at,
        entries: table.occupancy?.0,
        limit: table.capacity.and_then(Capacity::limit),
        new_per_sec: table.new_per_sec.map(|rate| short(rate.value)),
        lost_per_sec: table.rates.lost_per_sec.map(short),
    })
}

/// The wall clock, and whether somebody set it.
#[derive(Debug)]
struct WallClock {
    /// Wall-clock time when the host began, as of the last look. `CLOCK_BOOTTIME` goes on while the host sleeps, as the wall clock
    /// does.
    booted: f64,
}

impl WallClock {
    fn new() -> Self {
        Self { booted: wall_secs() - boottime_now().as_secs_f64() }
    }

    /// What it shows, and by how much it has been set since it was last read.
    fn read(&mut self) -> (f64, Option<f64>) {
        let now = wall_secs();
        let step = self.step_to(now - boottime_now().as_secs_f64());
        (now, step)
    }

    fn step_to(&mut self, booted: f64) -> Option<f64> {
        let step = booted - self.booted;
        // What NTP slews is followed, and is no step.
        self.booted = booted;
        (step.abs() > STEP.as_secs_f64()).then_some(step)
    }
}

/// Seconds since 1970.
fn wall_secs() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_once_and_slewing_is_none() {
        let mut clock = WallClock { booted: 1000.0 };
        assert_eq!(clock.step_to(1000.4), None);
        assert!(clock.step_to(4600.4).is_some_and(|step| (step - 3600.0).abs() < 1e-6));
        assert_eq!(clock.step_to(4600.4), None);
        assert_eq!(clock.step_to(4600.9), None);
    }
}
