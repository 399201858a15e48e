//! Whether a timeout that was chosen keeps to what is permitted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod simulated;

use plimsoll_draw::Draw;
use plimsoll_survival::{Ages, Change, Resampling, Share, resampled};
use simulated::{Lengths, TrueFlow, World, observed};

const SEEDS: u64 = 200;
const SAMPLES: u32 = 40;
const GUARD: f64 = 120.0;
const PERMITTED: f64 = 0.05;
const CANDIDATES: [f64; 8] = [150.0, 200.0, 300.0, 450.0, 600.0, 900.0, 1_200.0, 1_800.0];

const WORLD: World = World {
    lengths: Lengths::Exponential { mean: 80.0 },
    others: (0.0, Lengths::Exponential { mean: 80.0 }),
    half_dead: 0.05,
    closes: 0.05,
    peers: 200,
    flows_per_peer: 4,
    look_secs: 60.0,
    missed: 0.1,
    window_secs: 1_800.0,
    in_force_secs: 3_600.0,
    lost_after_secs: 6_000.0,
};

/// Of 200 timeouts chosen, at most 5 % kill more than is permitted, and at each candidate at most 5 % of the upper bounds
/// are below the true rate. Bounds of 95 % to both sides hold it in 92 % (where gaps of a flow are alike, the rate is
/// found too high). Returns how many were chosen.
fn keeps(world: &World) -> usize {
    let ages = Ages::with(&[CANDIDATES.as_slice(), &[GUARD, world.in_force_secs]].concat()).unwrap();
    let truth_flows = World { peers: 40_000, ..*world }.look(&mut Draw::new(1 << 40));
    let truths = CANDIDATES.map(|timeout| true_rate(&truth_flows, timeout, world.in_force_secs, GUARD));
    let mut wrong = Vec::new();
    let mut chosen: Vec<f64> = Vec::new();
    let mut misses: [Vec<u64>; CANDIDATES.len()] = Default::default();
    let mut above: [Vec<u64>; CANDIDATES.len()] = Default::default();
    let mut mean = [0.0; CANDIDATES.len()];
    let mut upper = [0.0; CANDIDATES.len()];
    for seed in 0..SEEDS {
        let observed = observed(&world.look(&mut Draw::new(seed)), &ages);
        let resampled = resampled(&observed, Resampling { samples: SAMPLES, seed });
        let judge = resampled.judge(GUARD).unwrap();
        let found = CANDIDATES.map(|timeout_secs| {
            let change = Change { timeout_secs, in_force_secs: world.in_force_secs };
            judge.false_kills(&change, Share::NINETEEN_OF_TWENTY).unwrap()
        });
        // From the longest down, as far as they pass.
        if let Some(passed) = found.iter().rev().take_while(|found| found.upper <= PERMITTED).last() {
            chosen.push(passed.timeout_secs);
            if true_rate(&truth_flows, passed.timeout_secs, world.in_force_secs, GUARD) > PERMITTED {
                wrong.push(seed);
            }
        }
        for (number, found) in found.into_iter().enumerate() {
            mean[number] += found.rate.value / SEEDS as f64;
            upper[number] += found.upper / SEEDS as f64;
            if !found.rate.covers(truths[number]) {
                misses[number].push(seed);
            }
            if found.upper < truths[number] {
                above[number].push(seed);
            }
        }
    }
    chosen.sort_by(f64::total_cmp);
    println!("wrong {wrong:?}, chosen {} times, middle {:?} s", chosen.len(), chosen.get(chosen.len() / 2));
    for (number, timeout) in CANDIDATES.into_iter().enumerate() {
        println!(
            "{timeout} s: truth {:.5}, mean {:.5}, mean upper {:.5}; not within bounds {:?}, above upper {:?}",
            truths[number], mean[number], upper[number], misses[number], above[number]
        );
    }
    for (number, timeout) in CANDIDATES.into_iter().enumerate() {
        assert!(above[number].len() as f64 <= 0.05 * SEEDS as f64, "{timeout} s");
        assert!(misses[number].len() as f64 <= 0.08 * SEEDS as f64, "{timeout} s");
    }
    assert!(wrong.len() as f64 <= 0.05 * SEEDS as f64);
    chosen.len()
}

/// Flows with a seen gap longer than `timeout` that a packet ended in time, of those with a seen gap longer than
/// `guard`.
fn true_rate(flows: &[TrueFlow], timeout: f64, in_force: f64, guard: f64) -> f64 {
    let some = |from: f64, below: f64| {
        flows.iter().filter(|flow| flow.gaps.iter().any(|gap| gap.length > from && gap.length < below)).count() as f64
    };
    let long = flows.iter().filter(|flow| flow.gaps.iter().any(|gap| gap.length > guard)).count() as f64;
    some(timeout, in_force) / long
}

#[test]
fn exponential() {
    assert!(keeps(&WORLD) > 150);
}

#[test]
fn weibull() {
    keeps(&World { lengths: Lengths::Weibull { shape: 0.6, scale: 40.0 }, ..WORLD });
}

#[test]
fn pareto() {
    keeps(&World { lengths: Lengths::Pareto { least: 10.0, shape: 1.2 }, ..WORLD });
}

#[test]
fn few_peers_with_keepalives() {
    keeps(&World { others: (0.06, Lengths::Keepalive { mean: 60.0, keepalive: 900.0 }), ..WORLD });
}
