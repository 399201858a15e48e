//! What is measured against what.

use std::time::Duration;

use anyhow::ensure;
use plimsoll_lab::LabNamespace;

use crate::figures::{Spread, median_in_words};
use crate::launch::{Program, Usage};
use crate::report::{Goal, Row};

const ROUNDS: usize = 11;

/// From here on the goal against `conntrack` is a hundredfold.
const LARGE: u32 = 1_000_000;

/// What one does without plimsoll.
const COUNT_BY_STATE: &str = "conntrack -L 2>/dev/null | awk '{print $4}' | sort | uniq -c";

const SAMPLED: &[&str] = &["check", "--interval", "0"];
const SAMPLED_AS_JSON: &[&str] = &["check", "--interval", "0", "--json"];
const SAMPLED_HERE: &[&str] = &["check", "--interval", "0", "--netns", "this"];
const EXACT_HERE: &[&str] = &["check", "--interval", "0", "--exact", "--netns", "this"];

/// The programs that packets are delayed by.
pub(crate) fn readers() -> [(&'static str, Program); 3] {
    [
        ("check", Program::plimsoll(SAMPLED)),
        ("check --exact", Program::plimsoll(EXACT_HERE)),
        ("conntrack -L", Program::installed("sh", &["-c", "exec conntrack -L 2>/dev/null"])),
    ]
}

/// A check where nothing is tracked.
pub(crate) fn idle(empty: &LabNamespace) -> anyhow::Result<Row> {
    let check = Program::plimsoll(SAMPLED);
    let usages = (0..ROUNDS).map(|_| check.run_in(empty)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Row {
        what: "5. check of an idle host".into(),
        unit: "ms",
        figure: Spread::of(usages.iter().map(|usage| usage.wall.as_secs_f64() * 1e3)),
        goal: Goal::AtMost(30.0),
        from: format!("{} of CPU time", median_in_words(usages.iter().map(|usage| usage.cpu))),
    })
}

/// Makes sure that what will be timed does what it should.
pub(crate) fn warm_up(table: &LabNamespace, entries: u32) -> anyhow::Result<()> {
    let counts = by_hand().output_in(table)?;
    let counted: u64 = counts.lines().filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok()).sum();
    ensure!(counted == u64::from(entries), "`{COUNT_BY_STATE}` counted {counted} of {entries} entries");

    let checked: serde_json::Value = serde_json::from_str(&Program::plimsoll(SAMPLED_AS_JSON).output_in(table)?)?;
    let own = checked["namespaces"].as_array().and_then(|all| all.iter().find(|ns| ns["relation"] == "own"));
    let read = own.and_then(|own| own["census"]["read"].as_u64()).unwrap_or_default();
    ensure!(read > 0, "plimsoll {SAMPLED_AS_JSON:?} read no entries");
    println!("   check reads {read} of {entries} entries");
    Ok(())
}

/// A check against counting by hand.
pub(crate) fn against_conntrack(table: &LabNamespace, entries: u32) -> anyhow::Result<Row> {
    let pairs = Pairs::measure((&by_hand(), table), (&Program::plimsoll(SAMPLED), table))?;
    Ok(Row {
        what: format!("1. check, {entries} entries, against conntrack -L"),
        unit: "times as fast",
        figure: pairs.ratios(|usage| usage.wall),
        goal: Goal::AtLeast(if entries < LARGE { 20.0 } else { 100.0 }),
        from: pairs.in_words(|usage| usage.wall),
    })
}

fn by_hand() -> Program {
    Program::installed("sh", &["-c", COUNT_BY_STATE])
}

/// A check of a table against one of a table a quarter as large.
pub(crate) fn against_smaller(large: &LabNamespace, small: &LabNamespace) -> anyhow::Result<Row> {
    let check = Program::plimsoll(SAMPLED_HERE);
    let pairs = Pairs::measure((&check, large), (&check, small))?;
    Ok(Row {
        what: "2. check, against a quarter of the entries".into(),
        unit: "times the time",
        figure: pairs.ratios(|usage| usage.wall),
        goal: Goal::AtMost(1.1),
        from: pairs.in_words(|usage| usage.wall),
    })
}

/// Reading every entry against receiving every entry.
pub(crate) fn against_bare_loop(table: &LabNamespace) -> anyhow::Result<[Row; 2]> {
    let pairs = Pairs::measure((&Program::plimsoll(EXACT_HERE), table), (&Program::raw_dump()?, table))?;
    let row = |what: &str, time: fn(&Usage) -> Duration| Row {
        what: format!("3. check --exact against a bare loop, {what}"),
        unit: "times the time",
        figure: pairs.ratios(time),
        goal: Goal::AtMost(1.1),
        from: pairs.in_words(time),
    };
    Ok([row("wall", |usage| usage.wall), row("CPU", |usage| usage.cpu)])
}

/// The peak memory of a check.
pub(crate) fn memory(table: &LabNamespace) -> anyhow::Result<Row> {
    const MIB: f64 = 1024.0 * 1024.0;
    let peak = |program: &Program| Ok::<_, anyhow::Error>(program.run_in(table)?.peak_bytes as f64 / MIB);
    let check = Program::plimsoll(SAMPLED);
    let peaks = (0..ROUNDS).map(|_| peak(&check)).collect::<anyhow::Result<Vec<_>>>()?;
    let least = peak(&Program::installed("/bin/true", &[]))?;
    Ok(Row {
        what: "4. peak memory of check".into(),
        unit: "MiB",
        figure: Spread::of(peaks),
        goal: Goal::AtMost(24.0),
        from: format!("measured so, /bin/true has {least:.1} MiB"),
    })
}

/// Runs of two programs side by side.
struct Pairs(Vec<(Usage, Usage)>);

impl Pairs {
    fn measure(a: (&Program, &LabNamespace), b: (&Program, &LabNamespace)) -> anyhow::Result<Self> {
        let round = |_| Ok((a.0.run_in(a.1)?, b.0.run_in(b.1)?));
        (0..ROUNDS).map(round).collect::<anyhow::Result<_>>().map(Self)
    }

    /// How many times the second's time the first took, round by round.
    fn ratios(&self, time: fn(&Usage) -> Duration) -> Spread {
        Spread::of(self.0.iter().map(|(a, b)| time(a).as_secs_f64() / time(b).as_secs_f64()))
    }

    fn in_words(&self, time: fn(&Usage) -> Duration) -> String {
        let a = median_in_words(self.0.iter().map(|(a, _)| time(a)));
        let b = median_in_words(self.0.iter().map(|(_, b)| time(b)));
        format!("{a} against {b}")
    }
}
