//! What settings would do on this host, rehearsed in the twin.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::Duration;

use plimsoll_churn::{Present, present};
use plimsoll_model::{Buckets, Capacity, Extension, Interval, NamespaceSnapshot, NewEntry, Snapshot, Sysctl};
use plimsoll_scenario::Scenario;
use plimsoll_simulate::{Harm, NotSimulated, Outcome, Reading, Setup, Workload, sweep};
use plimsoll_twin::{Capabilities, RemovedBy};
use serde::Serialize;

use crate::growth::unexplained_per_sec;
use crate::workload::{held_by, scenario, standing};

/// A rehearsal: the entries that were drawn, what comes to them, and the settings of now.
///
/// Each entry stands for a number of live ones, and everything else (limit, buckets, rates) is made smaller by as much: what
/// follows is made larger again. Shares, chains and what `early_drop` finds are the same in a small table.
#[derive(Debug)]
pub struct Rehearsal {
    standing: Vec<NewEntry>,
    scenario: Scenario,
    setup: Setup,
    /// Live entries that one stands for.
    stands_for: f64,
    lasts: Duration,
}

/// What a setting does, beside what happens without it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// How far it reaches.
    pub lasts_secs: f64,
    /// As it is.
    pub as_is: Course,
    /// With the setting.
    pub then: Course,
}

/// What becomes of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Course {
    /// The table at some times.
    pub moments: Vec<Moment>,
    /// The most entries that the kernel counts.
    pub peak_entries: u64,
    /// After so many seconds the table is full; `None` if it never is.
    pub full_after_secs: Option<f64>,
    /// New flows that are refused.
    pub refused_flows: u64,
    /// Entries that gc or `early_drop` kill.
    pub killed_entries: u64,
    /// Of the flows that come, those that lose their entry and are picked up again, are reset, or stall.
    pub false_kills: FalseKillsByHarm,
    /// The most memory that the table takes, buckets included.
    pub memory_bytes: u64,
}

/// The table at a time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Moment {
    /// Seconds from now.
    pub at_secs: f64,
    /// Live entries, with what chance in coming and drawing makes of them.
    pub live: Interval,
    /// Entries that the kernel counts: expired ones among them.
    pub counted: u64,
}

/// False kills, by what they do to their flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FalseKillsByHarm {
    /// It is picked up again.
    pub picked_up: u64,
    /// It is reset.
    pub reset: u64,
    /// It stalls.
    pub black_holed: u64,
}

impl Forecast {
    /// By how many live entries there are fewer at the end; `None` where no moment was told.
    pub fn fewer_in_the_end(&self) -> Option<f64> {
        let last = |course: &Course| course.moments.last().map(|moment| moment.live.value);
        Some(last(&self.as_is)? - last(&self.then)?)
    }
}

/// Nothing is foretold for longer: by then what comes is no longer what comes now.
const MOST: Duration = Duration::from_mins(10);
/// Nothing is foretold for less.
const LEAST: Duration = Duration::from_mins(2);
/// How long gc lets what has expired stay in the count, at most.
const LAG: Duration = Duration::from_mins(1);
/// The times that are told, and the end.
const TOLD: [Duration; 3] = [Duration::from_secs(30), Duration::from_mins(1), Duration::from_mins(2)];

impl Rehearsal {
    /// `None` where the namespace's entries were not read, and where the table gains more than they tell of.
    pub fn of(snapshot: &Snapshot, ns: &NamespaceSnapshot, capabilities: Capabilities, seed: u64) -> Option<Self> {
        if unexplained_per_sec(ns).is_some() {
            return None;
        }
        let present = present(ns)?;
        let lasts = settles(ns, &present).clamp(LEAST, MOST);
        let per_drawn = present.per_drawn.value.max(1.0);
        let flows = present.rates.iter().map(|rate| rate.per_sec.value).sum::<f64>() * lasts.as_secs_f64();
        let step = shrink(flows / per_drawn);
        let stands_for = per_drawn * step as f64;
        // Its text is ours, and its rates are numbers.
        let scenario = scenario(&present, 1.0 / stands_for, lasts).ok()?;
        let standing = standing(&present, lasts).into_iter().step_by(step).collect();
        Some(Self { standing, scenario, setup: setup(snapshot, ns, capabilities, seed), stands_for, lasts })
    }

    /// Rehearses several sets of settings, in as many threads as there may be.
    pub fn forecasts(
        &self,
        settings: &[Vec<(Sysctl, u32)>],
        threads: NonZeroUsize,
    ) -> Result<Vec<Forecast>, NotSimulated> {
        let as_is = self.small(&self.setup);
        let with = |set: &Vec<(Sysctl, u32)>| {
            let mut setup = self.setup.clone();
            for (sysctl, value) in set {
                // What is not simulated changes nothing here.
                drop(setup.set(*sysctl, *value));
            }
            self.small(&setup)
        };
        let setups: Vec<_> = std::iter::once(as_is).chain(settings.iter().map(with)).collect();
        let workload =
            || Workload::Continued { standing: &self.standing, scenario: &self.scenario, seed: self.setup.host.seed };
        let outcomes = sweep(&workload, &setups, threads, &|_, _| ControlFlow::Continue(()))?;
        let mut courses = outcomes.iter().map(|outcome| self.course(outcome));
        let Some(as_is) = courses.next() else { return Ok(Vec::new()) };
        let lasts_secs = self.lasts.as_secs_f64();
        Ok(courses.map(|then| Forecast { lasts_secs, as_is: as_is.clone(), then }).collect())
    }

    /// The same world, smaller.
    fn small(&self, setup: &Setup) -> Setup {
        let mut small = setup.clone();
        small.host.capacity = Capacity(match setup.host.capacity.limit() {
            Some(limit) => self.divided(limit).max(1),
            None => 0,
        });
        small.host.buckets = Buckets(self.divided(setup.host.buckets.0).max(1));
        small
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "less than the u32 that it was")]
    fn divided(&self, number: u32) -> u32 {
        (f64::from(number) / self.stands_for).round() as u32
    }

    fn multiplied(&self, number: u64) -> u64 {
        plimsoll_diagnose::words::rounded(number as f64 * self.stands_for)
    }

    fn course(&self, outcome: &Outcome) -> Course {
        let times = TOLD.into_iter().filter(|at| *at < self.lasts).chain([self.lasts]);
        let moments = times.filter_map(|at| {
            let reading = outcome.series.iter().min_by_key(|reading| reading.at.abs_diff(at))?;
            Some(self.moment(reading))
        });
        let kills = |harm| self.multiplied(outcome.false_kills.by(harm));
        Course {
            moments: moments.collect(),
            peak_entries: self.multiplied(outcome.peak.occupancy.into()),
            full_after_secs: outcome.saturated_at.map(|at| at.as_secs_f64()),
            refused_flows: self.multiplied(outcome.refused_flows),
            killed_entries: self.multiplied(
                outcome.removals.by(RemovedBy::EarlyDrop)
                    + outcome.removals.by(RemovedBy::PressureUnassured)
                    + outcome.removals.by(RemovedBy::PressureClosing),
            ),
            false_kills: FalseKillsByHarm {
                picked_up: kills(Harm::PickedUp),
                reset: kills(Harm::Reset),
                black_holed: kills(Harm::BlackHoled),
            },
            memory_bytes: self.multiplied(outcome.memory_peak.total_bytes()),
        }
    }

    fn moment(&self, reading: &Reading) -> Moment {
        const Z: f64 = 1.96;
        let live = f64::from(reading.live) * self.stands_for;
        let chance = Z * f64::from(reading.live).sqrt() * self.stands_for;
        Moment {
            at_secs: reading.at.as_secs_f64(),
            live: Interval { low: (live - chance).max(0.0), value: live, high: live + chance },
            counted: self.multiplied(reading.occupancy.into()),
        }
    }
}

/// By how much what comes is to be made smaller still: a hundred thousand flows tell a level to a hundredth.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of flows over a hundred thousand"
)]
fn shrink(flows: f64) -> usize {
    const ENOUGH: f64 = 100_000.0;
    (flows / ENOUGH).ceil().max(1.0) as usize
}

/// When everything that expires has gone, under the timeouts in force.
fn settles(ns: &NamespaceSnapshot, present: &Present<'_>) -> Duration {
    let held = present.rates.iter().filter_map(|rate| ns.timeouts.get_secs(held_by(rate.series)?));
    Duration::from_secs(held.max().unwrap_or(0).into()) + LAG
}

/// The settings in force.
fn setup(snapshot: &Snapshot, ns: &NamespaceSnapshot, capabilities: Capabilities, seed: u64) -> Setup {
    let mut setup = Setup::stock(capabilities, seed);
    setup.host.capacity = ns.capacity.or(snapshot.limits.capacity).unwrap_or(setup.host.capacity);
    setup.host.buckets = snapshot.limits.buckets.unwrap_or(setup.host.buckets);
    setup.settings.timeouts = ns.timeouts.clone();
    setup.settings.tcp_loose = ns.settings.tcp_loose.unwrap_or(true);
    setup.settings.tcp_be_liberal = ns.settings.tcp_be_liberal.unwrap_or(false);
    let carries = |extension| {
        let extensions = ns.census.as_ref().map(|census| &census.extensions[..]).unwrap_or_default();
        extensions.iter().any(|group| group.key == extension && group.count.share.value > 0.5)
    };
    setup.settings.accounting = carries(Extension::Accounting);
    setup.settings.timestamps = carries(Extension::Timestamp);
    setup
}
