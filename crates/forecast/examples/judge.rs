//! The forecast against `predict_linear`, on traffic whose truth is known:
//! `cargo run --release -p plimsoll-forecast --example judge [SEEDS [SCENARIO [FIRST SEED]]]`.
#![allow(clippy::unwrap_used, clippy::panic, dead_code, reason = "a simulation, of which a part is used")]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times and counts, small and not negative")]

#[path = "../tests/judge/mod.rs"]
mod judge;
#[path = "../tests/simulated/mod.rs"]
mod simulated;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seeds = arguments.next().and_then(|seeds| seeds.parse().ok()).unwrap_or(50);
    let only: Option<usize> = arguments.next().and_then(|at| at.parse().ok());
    let first = arguments.next().and_then(|seed| seed.parse().ok()).unwrap_or(judge::FRESH_SEEDS);
    for (at, scenario) in judge::SCENARIOS.iter().enumerate() {
        if only.is_none_or(|only| only == at) {
            println!("{at}: {}", judge::lines(scenario, &scenario.runs(first..first + seeds)));
        }
    }
}
