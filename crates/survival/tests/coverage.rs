//! Whether bounds hold the truth as often as they say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod simulated;

use plimsoll_draw::Draw;
use plimsoll_survival::{Ages, Resampling, Share, resampled};
use simulated::{Lengths, TrueFlow, World, observed};

const SEEDS: u64 = 200;
const SAMPLES: u32 = 40;
/// Shares are of the gaps that outlast this.
const FROM: f64 = 30.0;
const AGES: [f64; 5] = [45.0, 60.0, 120.0, 300.0, 600.0];

const WORLD: World = World {
    lengths: Lengths::Exponential { mean: 60.0 },
    others: (0.0, Lengths::Exponential { mean: 60.0 }),
    half_dead: 0.02,
    closes: 0.02,
    peers: 60,
    flows_per_peer: 8,
    look_secs: 30.0,
    missed: 0.1,
    window_secs: 900.0,
    in_force_secs: 3_600.0,
    lost_after_secs: 3_000.0,
};

/// Bounds of 95 % hold the truth in at least 93 % of 200 cases, at each age.
fn holds(world: &World) {
    let ages = Ages::with(&[AGES.as_slice(), &[FROM, world.in_force_secs]].concat()).unwrap();
    let truth_flows = World { peers: 15_000, ..*world }.look(&mut Draw::new(1 << 40));
    let truths = AGES.map(|age| true_share(&truth_flows, age));
    let mut misses: [Vec<u64>; AGES.len()] = Default::default();
    let mut bias = [0.0; AGES.len()];
    let mut width = [0.0; AGES.len()];
    for seed in 0..SEEDS {
        let observed = observed(&world.look(&mut Draw::new(seed)), &ages);
        let resampled = resampled(&observed, Resampling { samples: SAMPLES, seed });
        assert!(resampled.survival().has_converged(), "seed {seed}");
        for (number, age) in AGES.into_iter().enumerate() {
            let band = resampled.band_given(age, FROM, Share::NINETEEN_OF_TWENTY).unwrap();
            bias[number] += (band.value - truths[number]) / SEEDS as f64;
            width[number] += (band.high - band.low) / SEEDS as f64;
            if !band.covers(truths[number]) {
                misses[number].push(seed);
            }
        }
    }
    for (number, age) in AGES.into_iter().enumerate() {
        let covered = 1.0 - misses[number].len() as f64 / SEEDS as f64;
        println!(
            "{age} s: truth {:.4}, covered {covered:.3}, bias {:+.4}, width {:.4}; missed by seeds {:?}",
            truths[number], bias[number], width[number], misses[number]
        );
        assert!(covered >= 0.93, "{age} s: {covered}");
        assert!(bias[number].abs() < 0.02 * truths[number].max(0.5), "{age} s: {}", bias[number]);
    }
}

/// Of gaps that were in sight when as old as `FROM`, the share that outlasts an age.
fn true_share(flows: &[TrueFlow], age: f64) -> f64 {
    let gaps = flows.iter().flat_map(|flow| &flow.gaps);
    let gaps = gaps.filter(|gap| gap.gap.seen_from_secs() <= FROM && gap.length > FROM);
    let (all, longer) =
        gaps.fold((0.0, 0.0), |(all, longer), gap| (all + 1.0, longer + f64::from(u8::from(gap.length > age))));
    longer / all
}

#[test]
fn exponential() {
    holds(&WORLD);
}

#[test]
fn weibull_falling() {
    holds(&World { lengths: Lengths::Weibull { shape: 0.6, scale: 60.0 }, ..WORLD });
}

#[test]
fn weibull_rising() {
    holds(&World { lengths: Lengths::Weibull { shape: 2.0, scale: 120.0 }, ..WORLD });
}

#[test]
fn pareto() {
    holds(&World { lengths: Lengths::Pareto { least: 5.0, shape: 1.0 }, ..WORLD });
}

#[test]
fn keepalives() {
    holds(&World { lengths: Lengths::Keepalive { mean: 40.0, keepalive: 200.0 }, ..WORLD });
}

#[test]
fn peers_that_are_not_alike() {
    holds(&World { others: (0.2, Lengths::Weibull { shape: 2.0, scale: 300.0 }), half_dead: 0.05, ..WORLD });
}
