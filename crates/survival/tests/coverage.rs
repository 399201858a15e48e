//! Whether bounds hold the truth as often as they say.

mod simulated;

use plimsoll_draw::Draw;
use plimsoll_survival::{Ages, Resampling, Share, resampled};
use simulated::{Lengths, World, observed};

const SEEDS: u64 = 200;

const WORLD: World = World {
    lengths: Lengths::Exponential { mean: 60.0 },
    others: (0.0, Lengths::Exponential { mean: 60.0 }),
    half_dead: 0.02,
    closes: 0.02,
    peers: 100,
    flows_per_peer: 8,
    look_secs: 30.0,
    missed: 0.1,
    window_secs: 900.0,
    in_force_secs: 3_600.0,
    lost_after_secs: 3_000.0,
};

fn covered(world: &World, from: f64, ages: &[f64], truth: impl Fn(f64) -> f64) {
    let mut exact = ages.to_vec();
    exact.push(from);
    exact.push(world.in_force_secs);
    let grid = Ages::with(&exact).unwrap();
    let began = std::time::Instant::now();
    let mut hits = vec![(0_u64, 0_u64, 0_u64, 0.0, 0.0); ages.len()];
    let (mut rounds, mut gaps, mut not) = (0, 0, 0);
    for seed in 0..SEEDS {
        let mut draw = Draw::new(seed);
        let observed = observed(&world.look(&mut draw), &grid);
        let resampled = resampled(&observed, Resampling { samples: 100, seed });
        rounds += resampled.survival().rounds();
        not += resampled.not_converged();
        gaps += observed.gaps();
        for (age, hit) in ages.iter().zip(&mut hits) {
            let Some(band) = resampled.band_given(*age, from, Share::NINETEEN_OF_TWENTY) else {
                hit.2 += 1;
                continue;
            };
            let truth = truth(*age) / truth(from);
            hit.0 += u64::from(band.low > truth);
            hit.1 += u64::from(band.high < truth);
            hit.3 += (band.value - truth) / SEEDS as f64;
            hit.4 += (band.high - band.low) / SEEDS as f64;
        }
    }
    println!(
        "{:?} from {from}: {} gaps, {} rounds, not {not} {:?}",
        world.lengths,
        gaps as u64 / SEEDS,
        u64::from(rounds) / SEEDS,
        began.elapsed()
    );
    for (age, hit) in ages.iter().zip(hits) {
        let truth = truth(*age) / truth(from);
        println!(
            "  {age}: truth {truth:.5}  too high {} too low {} unknown {} bias {:.5} width {:.5}",
            hit.0, hit.1, hit.2, hit.3, hit.4
        );
    }
}

#[test]
fn explore() {
    let worlds = [
        (Lengths::Exponential { mean: 60.0 }, 0.02),
        (Lengths::Weibull { shape: 0.6, scale: 60.0 }, 0.02),
        (Lengths::Weibull { shape: 2.0, scale: 120.0 }, 0.02),
        (Lengths::Pareto { least: 5.0, shape: 1.0 }, 0.02),
        (Lengths::Keepalive { mean: 20.0, keepalive: 60.0 }, 0.02),
    ];
    for (lengths, half_dead) in worlds {
        let world = World { lengths, half_dead, ..WORLD };
        let truth = |age: f64| half_dead + (1.0 - half_dead) * lengths.outlast(age);
        covered(&world, 0.0, &[10.0, 60.0, 200.0], truth);
        covered(&world, 30.0, &[45.0, 60.0, 120.0, 300.0, 600.0, 1500.0], truth);
    }
}
