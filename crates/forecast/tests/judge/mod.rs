//! The forecast and straight lines side by side, on scenarios whose truth is known.

use std::fmt::Write as _;
use std::ops::Range;

use plimsoll_draw::Draw;
use plimsoll_forecast::{AHEAD_SECS, Alarm, Forecast, History, Read, WITHIN_SECS, forecast};

use crate::simulated::{Kind, READING_SECS, Simulated, normal};

/// A kind of traffic, and how it is watched.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    make: fn(u64) -> Simulated,
    /// When it is judged, and how often, in seconds.
    from_secs: f64,
    until_secs: f64,
    every_secs: f64,
    /// When something begins of which nothing is seen before. Forecasts made until then are not judged by what came after.
    begins_secs: Option<f64>,
    /// Whether the entries are read each time.
    entries_read: bool,
    /// Whether it fills the table.
    pub(crate) fills: bool,
}

const CAPACITY: f64 = 32_768.0;
const HOUR: f64 = 3600.0;
const DAY: f64 = 24.0 * HOUR;

/// A quarter of the limit: connections that are open for 20 s.
fn usual(seed: u64) -> Simulated {
    Simulated::new(seed, CAPACITY, 1.0).with(Kind::Connection { open_secs: 20.0 }, |_| 45.0).settled(600.0)
}

/// A number between two for each seed.
fn between(seed: u64, low: f64, high: f64) -> f64 {
    low + (high - low) * Draw::new(seed ^ 0x5eed).fraction()
}

fn within(from_secs: f64, for_secs: f64, rate: f64) -> impl Fn(f64) -> f64 + Send {
    move |at| if (from_secs..from_secs + for_secs).contains(&at) { rate } else { 0.0 }
}

fn storm(seed: u64) -> Simulated {
    usual(seed).with(Kind::Syn, within(2.0 * HOUR, 1200.0, between(seed, 50.0, 90.0)))
}

fn leak(seed: u64) -> Simulated {
    let leaked = Kind::Connection { open_secs: 432_000.0 };
    usual(seed).with(leaked, within(3.0 * HOUR, DAY, between(seed, 0.9, 2.4)))
}

fn syn_flood(seed: u64) -> Simulated {
    usual(seed).with(Kind::Syn, within(2.0 * HOUR, HOUR, between(seed, 180.0, 600.0)))
}

fn connection_flood(seed: u64) -> Simulated {
    usual(seed).with(Kind::Connection { open_secs: 3600.0 }, within(2.0 * HOUR, HOUR, between(seed, 60.0, 250.0)))
}

fn quiet(seed: u64) -> Simulated {
    let kind = Kind::Connection { open_secs: between(seed, 10.0, 900.0) };
    let held = match kind {
        Kind::Connection { open_secs } => open_secs + 150.0,
        Kind::Syn => 150.0,
    };
    Simulated::new(seed, CAPACITY, 1.0).with(kind, move |_| 0.6 * CAPACITY / held).settled(3.0 * HOUR)
}

fn burst(seed: u64) -> Simulated {
    let secs = between(seed, 30.0, 60.0);
    usual(seed).with(Kind::Syn, within(2.0 * HOUR, secs, 0.4 * CAPACITY / secs))
}

/// The share of the peak by the time of day: a steep morning, a working day, an evening.
fn shape(at_secs: f64) -> f64 {
    let hour = at_secs % DAY / HOUR;
    let rise = |from: f64, to: f64| {
        let part = ((hour - from) / (to - from)).clamp(0.0, 1.0);
        part * part * (3.0 - 2.0 * part)
    };
    0.3 + 0.62 * rise(7.0, 10.0) + 0.08 * (rise(11.0, 14.0) - rise(14.0, 17.0)) - 0.62 * rise(17.0, 23.0)
}

/// What is another each day, and each hour.
fn wanders(seed: u64) -> impl Fn(f64) -> f64 + Send {
    const KNOT_SECS: f64 = 600.0;
    let mut draw = Draw::new(seed ^ 0xda17);
    let kept = (-KNOT_SECS / (2.0 * HOUR)).exp();
    let (mut slow, mut knots) = (0.0, Vec::new());
    let days: Vec<_> = (0..9).map(|_| 0.02 * normal(&mut draw)).collect();
    for _ in 0..(9 * 144) {
        slow = slow * kept + 0.03 * normal(&mut draw) * (1.0 - kept * kept).sqrt();
        knots.push(slow);
    }
    move |at| 1.0 + days[(at / DAY) as usize] + knots[(at / KNOT_SECS) as usize]
}

const OPEN_SECS: f64 = 300.0;
const HELD_SECS: f64 = OPEN_SECS + 150.0;

fn daily(seed: u64) -> Simulated {
    let (wanders, peak) = (wanders(seed), between(seed, 0.72, 0.82) * CAPACITY / HELD_SECS);
    Simulated::new(seed, CAPACITY, 10.0)
        .with(Kind::Connection { open_secs: OPEN_SECS }, move |at| peak * shape(at) * wanders(at))
}

fn growing(seed: u64) -> Simulated {
    let (wanders, peak) = (wanders(seed), between(seed, 0.66, 0.72) * CAPACITY / HELD_SECS);
    Simulated::new(seed, CAPACITY, 10.0).with(Kind::Connection { open_secs: OPEN_SECS }, move |at| {
        peak * (1.0 + 0.07 * at / DAY) * shape(at) * wanders(at)
    })
}

pub(crate) const SCENARIOS: [Scenario; 10] = {
    let minutes = Scenario {
        name: "storm that levels off",
        make: storm,
        from_secs: 1.97 * HOUR,
        until_secs: 2.5 * HOUR,
        every_secs: 30.0,
        begins_secs: Some(2.0 * HOUR),
        entries_read: true,
        fills: false,
    };
    let hours = Scenario { every_secs: 60.0, begins_secs: None, entries_read: false, ..minutes };
    let days = Scenario { from_secs: 2.5 * DAY, until_secs: 8.0 * DAY, every_secs: 300.0, ..hours };
    [
        minutes,
        Scenario { name: "storm, entries not read", entries_read: false, ..minutes },
        Scenario { name: "burst that ends", make: burst, until_secs: 2.1 * HOUR, every_secs: 10.0, ..minutes },
        Scenario { name: "quiet noisy table", make: quiet, from_secs: 3.0 * HOUR, until_secs: 9.0 * HOUR, ..hours },
        Scenario { name: "daily peak below", make: daily, until_secs: 6.5 * DAY, ..days },
        Scenario { name: "daily peak that grows", make: growing, fills: true, ..days },
        Scenario {
            name: "slow leak",
            make: leak,
            from_secs: 2.0 * HOUR,
            until_secs: DAY,
            begins_secs: Some(3.0 * HOUR),
            fills: true,
            ..hours
        },
        Scenario { name: "SYN flood", make: syn_flood, every_secs: 10.0, fills: true, ..minutes },
        Scenario {
            name: "SYN flood, entries not read",
            make: syn_flood,
            every_secs: 10.0,
            fills: true,
            entries_read: false,
            ..minutes
        },
        Scenario { name: "flood of connections", make: connection_flood, fills: true, ..minutes },
    ]
};

/// What the forecast was made with were seeds below 1,000: it is judged by others.
pub(crate) const FRESH_SEEDS: u64 = 1_000;

/// An alarm of "within an hour" that comes true in five quarters was right.
const GRACE: f64 = 1.25;

/// An alarm that comes again within so long is the same: nobody is told of it twice (Alertmanager's `group_interval`).
const AGAIN_SECS: f64 = 300.0;

/// Who raises an alarm.
///
/// An alarm says that the table will be full within a time. Whoever watches a table by more than one rule is alarmed by
/// any of them, and takes the nearest time that one says. It is false if that time, and a quarter of it more, passes
/// without the table being full; and a table that became full was missed if no alarm was right before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// What the forecast holds worth being told of.
    Forecast,
    /// One of its alarms alone.
    Alone(Alarm),
    /// Both of the usual straight lines.
    Lines,
    /// One of them alone.
    Line(Line),
}

/// A straight line through the last so many seconds, carried on for so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    over_secs: u32,
    ahead_secs: u32,
}

/// For the next hour, and for as far ahead as is usual.
const LINES: [Line; 2] = [Line { over_secs: 900, ahead_secs: 3600 }, Line { over_secs: 3600, ahead_secs: 14_400 }];

/// Ours, and the lines; then each alone.
const RULES: [Rule; 6] = [
    Rule::Forecast,
    Rule::Lines,
    Rule::Alone(Alarm::WithinHour),
    Rule::Line(LINES[0]),
    Rule::Alone(Alarm::WithinDay),
    Rule::Line(LINES[1]),
];

impl Rule {
    fn name(self) -> String {
        match self {
            Self::Forecast => "forecast".to_string(),
            Self::Alone(alarm) => format!("  within {}h", alarm.secs() / 3600),
            Self::Lines => "lines".to_string(),
            Self::Line(Line { over_secs, ahead_secs }) => format!("  {}m→{}h", over_secs / 60, ahead_secs / 3600),
        }
    }

    /// Within how many seconds it says that the table will be full, if it does.
    fn alarm_secs(self, history: &History<'_>, capacity: f64, told: Option<&Forecast>) -> Option<f64> {
        let reaches = |line: &Line| predict_linear(history, *line) > capacity;
        match self {
            Self::Forecast => told?.alarm().map(|alarm| alarm.secs().into()),
            Self::Alone(alarm) => told?.raises(alarm).then(|| alarm.secs().into()),
            Self::Lines => LINES.into_iter().find(reaches).map(|line| line.ahead_secs.into()),
            Self::Line(line) => reaches(&line).then(|| line.ahead_secs.into()),
        }
    }
}

/// As Prometheus reckons it: least squares over the readings of a time, carried on from now.
fn predict_linear(history: &History<'_>, line: Line) -> f64 {
    let (over_secs, ahead_secs) = (f64::from(line.over_secs), f64::from(line.ahead_secs));
    let now = history.fine.last().unwrap().at_secs;
    let points: Vec<_> = history.fine.iter().filter(|point| point.at_secs > now - over_secs).collect();
    let count = points.len() as f64;
    let mean =
        |of: &dyn Fn(&plimsoll_forecast::Point) -> f64| points.iter().map(|point| of(point)).sum::<f64>() / count;
    let (at, entries) = (mean(&|point| point.at_secs - now), mean(&|point| point.entries));
    let both = mean(&|point| (point.at_secs - now - at) * (point.entries - entries));
    let spread = mean(&|point| (point.at_secs - now - at).powi(2));
    if spread == 0.0 { entries } else { entries + both / spread * (ahead_secs - at) }
}

/// What came of one rule in one run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Verdict {
    /// Seconds of alarm without the table becoming full within what the rule looks ahead.
    pub(crate) false_secs: f64,
    /// How often such an alarm began.
    pub(crate) false_alarms: u32,
    /// How long before the table was full the first right alarm came.
    pub(crate) lead_secs: Option<f64>,
}

/// What came of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    pub(crate) verdicts: [Verdict; RULES.len()],
    pub(crate) full_at: Option<f64>,
    /// Chances told, and whether they came true, by what they look ahead.
    pub(crate) told: Vec<(u32, f64, bool)>,
    /// Of the entries told ahead, which were within the interval.
    pub(crate) covered: [(u32, u32); AHEAD_SECS.len()],
    /// Of the times until full, which were within the interval.
    pub(crate) full_in: (u32, u32),
}

impl Scenario {
    pub(crate) fn run(&self, seed: u64) -> Run {
        let mut table = (self.make)(seed);
        let mut alarms = Vec::new();
        let mut tolds = Vec::new();
        let mut counts = Vec::new();
        let mut full_at = None;
        let mut outlooks = Vec::new();
        while table.now_secs < self.until_secs {
            table.read();
            counts.push(table.entries() as f64);
            if table.refused > 0 && full_at.is_none() {
                full_at = Some(table.now_secs);
            }
            if full_at.is_some() || table.now_secs < self.from_secs || table.now_secs % self.every_secs != 0.0 {
                continue;
            }
            let outlook = self.entries_read.then(|| table.outlook()).flatten();
            outlooks.extend(outlook.map(|outlook| (table.now_secs, outlook)));
            let newest = &outlooks[outlooks.len().saturating_sub(10)..];
            let reads: Vec<_> = newest.iter().map(|(at_secs, outlook)| Read { at_secs: *at_secs, outlook }).collect();
            let told = forecast(&table.history(), &reads).ok();
            let alarm = RULES.map(|rule| rule.alarm_secs(&table.history(), table.capacity, told.as_ref()));
            alarms.push((table.now_secs, alarm));
            tolds.extend(told.map(|told| (table.now_secs, told)));
        }
        let end = table.now_secs;
        let mut run = Run { full_at, ..Run::default() };
        for (at, verdict) in run.verdicts.iter_mut().enumerate() {
            let mut last_false = f64::NEG_INFINITY;
            for (now, alarm) in &alarms {
                let Some(ahead_secs) = alarm[at] else { continue };
                if full_at.is_none_or(|full| full - now > GRACE * ahead_secs) {
                    verdict.false_secs += self.every_secs;
                    verdict.false_alarms += u32::from(now - last_false > AGAIN_SECS);
                    last_false = *now;
                } else if verdict.lead_secs.is_none() {
                    verdict.lead_secs = full_at.map(|full| full - now);
                }
            }
        }
        for (now, told) in &tolds {
            let is_foreseeable =
                |secs: f64| self.begins_secs.is_none_or(|begins| *now > begins || now + secs <= begins);
            for within in &told.within {
                let until = now + f64::from(within.secs);
                let is_foreseeable = is_foreseeable(within.secs.into());
                if is_foreseeable && (full_at.is_some() || until <= end) {
                    let came = full_at.is_some_and(|full| full <= until);
                    run.told.push((within.secs, within.probability, came));
                }
            }
            for (at, ahead) in told.ahead.iter().enumerate() {
                let reading = ((now + f64::from(ahead.in_secs)) / READING_SECS).round() as usize - 1;
                // All readings of that minute: the table is judged at whole minutes, when the garbage collector has passed.
                let minute = counts.get(reading - 5..=reading).filter(|_| is_foreseeable(ahead.in_secs.into()));
                for count in minute.into_iter().flatten() {
                    run.covered[at].0 += u32::from(ahead.entries.covers(*count));
                    run.covered[at].1 += 1;
                }
            }
            if let (Some(full_in), Some(full), true) = (told.full_in_secs, full_at, is_foreseeable(f64::INFINITY)) {
                let truth = full - now;
                let is_within = full_in.low <= truth && full_in.high.is_none_or(|high| truth <= high);
                run.full_in = (run.full_in.0 + u32::from(is_within), run.full_in.1 + 1);
            }
        }
        run
    }

    /// A run for each of some seeds, on as many threads as there are processors.
    pub(crate) fn runs(&self, seeds: Range<u64>) -> Vec<Run> {
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        std::thread::scope(|scope| {
            let part = |thread: u64| {
                let own = seeds.clone().filter(move |seed| seed % threads == thread);
                move || own.map(|seed| self.run(seed)).collect::<Vec<_>>()
            };
            let parts: Vec<_> = (0..threads).map(|thread| scope.spawn(part(thread))).collect();
            parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
        })
    }
}

/// What came of one rule in all runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    pub(crate) false_mins_a_run: f64,
    pub(crate) false_alarms_a_run: f64,
    pub(crate) missed: usize,
    /// The median; a missed one counts as none.
    pub(crate) lead_secs: f64,
}

pub(crate) fn judged(runs: &[Run], rule: Rule) -> Judged {
    let at = RULES.iter().position(|other| *other == rule).unwrap();
    let count = runs.len() as f64;
    let filled = || runs.iter().filter(|run| run.full_at.is_some()).map(|run| run.verdicts[at].lead_secs);
    let mut leads: Vec<_> = filled().map(|lead| lead.unwrap_or(0.0)).collect();
    leads.sort_by(f64::total_cmp);
    Judged {
        false_mins_a_run: runs.iter().map(|run| run.verdicts[at].false_secs).sum::<f64>() / 60.0 / count,
        false_alarms_a_run: runs.iter().map(|run| f64::from(run.verdicts[at].false_alarms)).sum::<f64>() / count,
        missed: filled().filter(Option::is_none).count(),
        lead_secs: leads.get(leads.len() / 2).copied().unwrap_or(0.0),
    }
}

/// The comparison of one scenario, as lines of a table.
pub(crate) fn lines(scenario: &Scenario, runs: &[Run]) -> String {
    let full = runs.iter().filter(|run| run.full_at.is_some()).count();
    let mut text = format!("{} ({full} of {} runs fill the table)\n", scenario.name, runs.len());
    for rule in RULES {
        let Judged { false_mins_a_run, false_alarms_a_run, missed, lead_secs } = judged(runs, rule);
        let name = rule.name();
        let lead =
            if full > 0 { format!("missed {missed:>3}   lead {:>7.1} min", lead_secs / 60.0) } else { String::new() };
        let _ =
            writeln!(text, "  {name:<12} false {false_alarms_a_run:>6.2} a run, {false_mins_a_run:>7.1} min   {lead}");
    }
    for secs in WITHIN_SECS {
        let told = || runs.iter().flat_map(|run| &run.told).filter(|(of, _, _)| *of == secs);
        let shares: Vec<_> = [(0.0, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 1.01)]
            .into_iter()
            .map(|(low, high)| {
                let (mut came, mut of, mut sum) = (0.0, 0.0, 0.0);
                for (_, chance, is_full) in told().filter(|(_, chance, _)| (low..high).contains(chance)) {
                    (came, of, sum) = (came + f64::from(u8::from(*is_full)), of + 1.0, sum + chance);
                }
                if of == 0.0 {
                    "      –      ".to_string()
                } else {
                    format!("{:.2}→{:.2} {of:<6}", sum / of, came / of)
                }
            })
            .collect();
        let _ = writeln!(text, "  told→came {:>4}m {}", secs / 60, shares.join(" "));
    }
    let share = |(held, of): (u32, u32)| format!("{:.0}% of {of}", 100.0 * f64::from(held) / f64::from(of));
    let covered = AHEAD_SECS.iter().zip(ahead_covered(runs)).filter(|(_, (_, of))| *of > 0);
    let covered: Vec<_> = covered.map(|(secs, covered)| format!("{}m {}", secs / 60, share(covered))).collect();
    let _ = writeln!(text, "  entries within their interval: {}", covered.join(", "));
    let times = full_in_covered(runs);
    if times.1 > 0 {
        let _ = writeln!(text, "  time within its interval: {}", share(times));
    }
    text
}

/// Of the entries told ahead, at each of [`AHEAD_SECS`], how many were within their interval, and of how many.
pub(crate) fn ahead_covered(runs: &[Run]) -> [(u32, u32); AHEAD_SECS.len()] {
    std::array::from_fn(|at| sum(runs.iter().map(|run| run.covered[at])))
}

/// Of the times until full, how many were within their interval, and of how many.
pub(crate) fn full_in_covered(runs: &[Run]) -> (u32, u32) {
    sum(runs.iter().map(|run| run.full_in))
}

fn sum(counts: impl Iterator<Item = (u32, u32)>) -> (u32, u32) {
    counts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}
