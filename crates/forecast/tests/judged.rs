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

use judge::{FRESH_SEEDS, Judged, Rule, Run, SCENARIOS, Scenario, ahead_covered, full_in_covered, judged, lines};
use plimsoll_forecast::{AHEAD_SECS, WITHIN_SECS};

const SEEDS: u64 = 20;

/// By seeds that were not seen when the forecast was made.
static ALL: LazyLock<Vec<(Scenario, Vec<Run>)>> = LazyLock::new(|| {
    let seeds = FRESH_SEEDS..FRESH_SEEDS + SEEDS;
    let all: Vec<_> = SCENARIOS.into_iter().map(|scenario| (scenario, scenario.runs(seeds.clone()))).collect();
    for (scenario, runs) in &all {
        println!("{}", lines(scenario, runs));
    }
    all
});

/// One test, since each is a process of its own and would simulate all of it again. `cargo run --release -p plimsoll-forecast --example
/// judge 50` judges by more seeds, and prints the table. What an alarm is [`Rule`] says.
#[test]
fn forecasts_are_better_than_straight_lines() {
    there_are_fewer_false_alarms();
    no_saturation_is_missed();
    alarms_come_earlier();
    of_what_is_told_to_be_as_likely_as_not_about_half_comes_true();
    what_comes_is_within_its_interval();
}

fn both(runs: &[Run]) -> [Judged; 2] {
    [Rule::Forecast, Rule::Lines].map(|rule| judged(runs, rule))
}

fn there_are_fewer_false_alarms() {
    /// Of a leak that fills the table: an hour's alarm that came some minutes too early.
    const MINUTES: f64 = 0.5;
    let mut sums = [(0.0, 0.0); 2];
    for (scenario, runs) in ALL.iter() {
        let all = both(runs);
        for (sum, one) in sums.iter_mut().zip(&all) {
            *sum = (sum.0 + one.false_mins_a_run, sum.1 + one.false_alarms_a_run);
        }
        let [of_ours, of_lines] = all;
        assert!(
            of_ours.false_mins_a_run <= of_lines.false_mins_a_run.max(MINUTES),
            "{}: {of_ours:?}, {of_lines:?}",
            scenario.name
        );
    }
    let [of_ours, of_lines] = sums;
    assert!(1.5 * of_ours.0 < of_lines.0 && 1.5 * of_ours.1 < of_lines.1, "{of_ours:?}, {of_lines:?}");
}

fn no_saturation_is_missed() {
    for (scenario, runs) in ALL.iter() {
        assert!(runs.iter().all(|run| run.full_at.is_some() == scenario.fills), "{} is what it says", scenario.name);
        assert_eq!(judged(runs, Rule::Forecast).missed, 0, "{}", scenario.name);
    }
}

fn alarms_come_earlier() {
    for (scenario, runs) in ALL.iter().filter(|(scenario, _)| scenario.fills) {
        let [of_ours, of_lines] = both(runs).map(|judged| judged.lead_secs);
        assert!(of_ours > of_lines, "{}: {of_ours} s, {of_lines} s", scenario.name);
    }
}

fn of_what_is_told_to_be_as_likely_as_not_about_half_comes_true() {
    let told: Vec<_> = ALL.iter().flat_map(|(_, runs)| runs).flat_map(|run| &run.told).collect();
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

/// An interval of 95 % covers less where nothing like it was seen before. It has to cover this much everywhere.
const COVERED: f64 = 0.85;

fn what_comes_is_within_its_interval() {
    /// Fewer say nothing.
    const ENOUGH: u32 = 50;
    let is_covered = |(held, of): (u32, u32)| of < ENOUGH || f64::from(held) > COVERED * f64::from(of);
    for (scenario, runs) in ALL.iter() {
        for (secs, covered) in AHEAD_SECS.iter().zip(ahead_covered(runs)) {
            assert!(is_covered(covered), "{}, entries in {secs} s: {covered:?}", scenario.name);
        }
        let covered = full_in_covered(runs);
        assert!(is_covered(covered), "{}, time until full: {covered:?}", scenario.name);
    }
}
