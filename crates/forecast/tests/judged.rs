//! The forecast against `predict_linear` on traffic whose truth is known: fewer false alarms, none missed, and earlier; and
//! whether chances and intervals are what they say. `cargo test -p plimsoll-forecast --test judged -- --nocapture` prints
//! the comparison.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times and counts of a simulation, small and not negative"
)]

mod judge;
mod simulated;

use std::sync::LazyLock;

use judge::{Judged, LONG_LINE, OURS, Rule, Run, SCENARIOS, SHORT_LINE, Scenario, judged, lines};
use plimsoll_forecast::{AHEAD_SECS, WITHIN_SECS};

const SEEDS: u64 = 20;

static ALL: LazyLock<Vec<(Scenario, Vec<Run>)>> = LazyLock::new(|| {
    let all: Vec<_> = SCENARIOS.into_iter().map(|scenario| (scenario, scenario.runs(SEEDS))).collect();
    for (scenario, runs) in &all {
        println!("{}", lines(scenario, runs));
    }
    all
});

/// Those that look about as far ahead.
const PAIRS: [(Rule, Rule); 2] = [(OURS[1], SHORT_LINE), (OURS[2], LONG_LINE)];

/// One test, since each is a process of its own and would simulate all of it again. `cargo run --release -p plimsoll-forecast --example
/// judge 50` judges by more seeds, and prints the table.
#[test]
fn forecasts_are_better_than_straight_lines() {
    there_are_fewer_false_alarms();
    no_saturation_is_missed();
    alarms_come_earlier();
    of_what_is_told_to_be_as_likely_as_not_about_half_comes_true();
    entries_ahead_are_within_their_interval_as_often_as_it_says();
}

fn there_are_fewer_false_alarms() {
    for (ours, line) in PAIRS {
        let sum = |rule: Rule, of: Of| ALL.iter().map(|(_, runs)| of(judged(runs, rule))).sum::<f64>();
        for (scenario, runs) in ALL.iter() {
            let (of_ours, of_line) = (judged(runs, ours), judged(runs, line));
            // A burst that would fill the table in minutes if it went on is an alarm while it lasts. A line over an hour
            // does not see it; nor does it see a flood.
            let is_seen = scenario.name != "burst that ends" || line == SHORT_LINE;
            let is_less = of_ours.false_mins_a_run <= of_line.false_mins_a_run;
            assert!(!is_seen || is_less, "{}: {of_ours:?}, {of_line:?}", scenario.name);
        }
        let (mins, alarms): (Of, Of) = (|judged| judged.false_mins_a_run, |judged| judged.false_alarms_a_run);
        for (of, times) in [(mins, 3.0), (alarms, 1.0)] {
            let (of_ours, of_line) = (sum(ours, of), sum(line, of));
            assert!(times * of_ours < of_line, "{ours:?}: {of_ours}, {line:?}: {of_line}");
        }
    }
}

type Of = fn(Judged) -> f64;

fn no_saturation_is_missed() {
    for (scenario, runs) in ALL.iter() {
        assert!(runs.iter().all(|run| run.full_at.is_some() == scenario.fills), "{} is what it says", scenario.name);
        let missed =
            |run: &&Run| run.full_at.is_some() && run.verdicts[..OURS.len()].iter().all(|one| one.lead_secs.is_none());
        assert_eq!(runs.iter().filter(missed).count(), 0, "{}", scenario.name);
    }
}

fn alarms_come_earlier() {
    for (scenario, runs) in ALL.iter().filter(|(scenario, _)| scenario.fills) {
        for (ours, line) in PAIRS {
            let [Judged { lead_secs: of_ours, .. }, Judged { lead_secs: of_line, .. }] =
                [ours, line].map(|rule| judged(runs, rule));
            // A peak that grows by a few hundred entries a day touches the limit by less than chance makes of an hour: the
            // day before tells it, and nothing tells the hour.
            let is_told = scenario.name != "daily peak that grows" || ours == OURS[2];
            assert!(!is_told || of_ours > of_line, "{}: {of_ours} s, {line:?} {of_line} s", scenario.name);
        }
    }
}

fn of_what_is_told_to_be_as_likely_as_not_about_half_comes_true() {
    // Not of floods: before they begin nobody knows of them, and then they are certain.
    let foreseeable =
        ALL.iter().filter(|(scenario, _)| !scenario.name.contains("flood") && !scenario.name.contains(','));
    let told: Vec<_> = foreseeable.flat_map(|(_, runs)| runs).flat_map(|run| &run.told).collect();
    let mut all = (0.0, 0.0, 0.0);
    for secs in WITHIN_SECS {
        let open = told.iter().filter(|(of, chance, _)| *of == secs && (0.2..=0.8).contains(chance));
        let (count, chance, came) = open.fold((0.0, 0.0, 0.0), |sum, (_, chance, came)| {
            (sum.0 + 1.0, sum.1 + chance, sum.2 + f64::from(u8::from(*came)))
        });
        println!("within {secs} s: told {:.2} on the average of {count}, came {:.2}", chance / count, came / count);
        all = (all.0 + count, all.1 + chance, all.2 + came);
    }
    let (count, chance, came) = all;
    assert!(
        count > 500.0 && (chance / count - came / count).abs() < 0.2,
        "told {}, came {}",
        chance / count,
        came / count
    );
}

fn entries_ahead_are_within_their_interval_as_often_as_it_says() {
    for name in ["quiet noisy table", "daily peak below"] {
        let (_, runs) = ALL.iter().find(|(scenario, _)| scenario.name == name).unwrap();
        for (at, secs) in AHEAD_SECS.iter().enumerate() {
            let (held, of) =
                runs.iter().map(|run| run.covered[at]).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            let share = f64::from(held) / f64::from(of.max(1));
            assert!(of == 0 || share > 0.82, "{name}, {secs} s ahead: {share}");
        }
    }
}
