//! What holds of any observations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use plimsoll_survival::{Ages, Flow, Gap, Observed, Resampling, Share, Survival, Weight, resampled, survival};
use proptest::prelude::*;

/// Peer, age at the first look, and how much longer it was seen and had ended.
type Drawn = (u64, u32, u32, Option<u32>);

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let gap =
        (0..6_u64, prop_oneof![3 => Just(0), 1 => 0..50_u32], 0..300_u32, prop::option::weighted(0.7, 1..200_u32));
    prop::collection::vec(gap, 1..40)
}

fn gap((_, seen_from, longer, ends): Drawn) -> Gap {
    let (seen_from, after) = (f64::from(seen_from), f64::from(seen_from + longer));
    match ends {
        Some(ends) => Gap::ended(seen_from, after, after + f64::from(ends)).unwrap(),
        None => Gap::lost(seen_from, after).unwrap(),
    }
}

fn observed(drawn: &[Drawn]) -> Observed {
    let mut observed = Observed::new(Ages::with(&[123.0]).unwrap());
    for drawn in drawn {
        observed.add(&Flow::new(drawn.0, vec![gap(*drawn)]));
    }
    observed
}

fn alike(a: &Survival, b: &Survival) -> Result<(), TestCaseError> {
    for age in (0..700).map(f64::from) {
        match (a.at(age), b.at(age)) {
            (Some(a), Some(b)) => prop_assert!((a - b).abs() < 1e-3, "at {age}: {a}, {b}"),
            (a, b) => prop_assert_eq!(a, b),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn shares_fall_and_are_shares(drawn in drawn()) {
        let survival = survival(&observed(&drawn));
        prop_assert!(survival.has_converged());
        let mut last = 1.0;
        for age in (0..7_000).map(|tenths| f64::from(tenths) / 10.0) {
            let (low, high) = survival.bounds(age, 0.0);
            prop_assert!((0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high) && low <= high);
            prop_assert_eq!(survival.at(age).is_some(), age <= survival.known_until_secs());
            if let Some(share) = survival.at(age) {
                prop_assert!(share <= last + 1e-12 && share >= 0.0);
                last = share;
            }
        }
    }

    #[test]
    fn order_does_not_matter(drawn in drawn(), seed in 0..1_000_u64) {
        let there = observed(&drawn);
        let back: Vec<Drawn> = drawn.iter().rev().copied().collect();
        let back = observed(&back);
        alike(&survival(&there), &survival(&back))?;
        let resampling = Resampling { samples: 5, seed };
        let band = |observed| resampled(observed, resampling).band_given(123.0, 50.0, Share::NINETEEN_OF_TWENTY);
        let bands = [band(&there), band(&back)];
        let itself = resampled(&there, resampling).band_given(50.0, 50.0, Share::NINETEEN_OF_TWENTY);
        prop_assert!(itself.is_some_and(|band| band.low >= 1.0 && band.high <= 1.0));
        if let [Some(there), Some(back)] = bands {
            prop_assert!((there.low - back.low).abs() < 1e-2 && (there.high - back.high).abs() < 1e-2);
        }
    }

    #[test]
    fn a_weight_is_a_repetition(drawn in drawn(), times in 2..4_u32) {
        let weight = Weight::new(f64::from(times)).unwrap();
        let repeated: Vec<Drawn> = drawn.iter().flat_map(|drawn| std::iter::repeat_n(*drawn, times as usize)).collect();
        let mut by_gap = Observed::new(Ages::with(&[123.0]).unwrap());
        let mut by_flow = by_gap.clone();
        for drawn in &drawn {
            by_gap.add(&Flow::new(drawn.0, vec![gap(*drawn).times(weight)]));
            by_flow.add(&Flow { weight, ..Flow::new(drawn.0, vec![gap(*drawn)]) });
        }
        let repeated = survival(&observed(&repeated));
        alike(&repeated, &survival(&by_gap))?;
        alike(&repeated, &survival(&by_flow))?;
    }
}
