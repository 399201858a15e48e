//! Points that fill a space evenly: what random ones do on the average, without their chance.

use statrs::function::erf::{erfc, erfc_inv};

/// In how many respects one way differs from another.
pub(crate) const RESPECTS: usize = 7;

/// So many points between 0 and 1, by the additive recurrence with square roots, whose multiples fill the unit evenly
/// (Weyl 1916). These seven are the roots among those of small numbers of which, over 128 points, no two go together.
pub(crate) fn points(count: u32) -> impl Iterator<Item = [f64; RESPECTS]> {
    const ROOTS_OF: [f64; RESPECTS] = [2.0, 7.0, 10.0, 11.0, 14.0, 15.0, 30.0];
    let steps = ROOTS_OF.map(f64::sqrt);
    (1..=count).map(move |at| steps.map(|step| (0.5 + step * f64::from(at)).fract()))
}

/// The value below which such a share of some lies, which are in order; `None` of none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank, not negative")]
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = (share * sorted.len() as f64 - 0.5).clamp(0.0, last as f64);
    let low = sorted.get(rank as usize)?;
    let high = sorted.get(rank as usize + 1).unwrap_or(low);
    Some(low + rank.fract() * (high - low))
}

/// The value of the normal distribution, in standard deviations, below which this share lies.
pub(crate) fn deviations(share: f64) -> f64 {
    /// Nothing is infinitely far.
    const LEAST: f64 = 1e-9;
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * share.clamp(LEAST, 1.0 - LEAST))
}

/// The share of the normal distribution that lies beyond so many standard deviations.
pub(crate) fn beyond(deviations: f64) -> f64 {
    0.5 * erfc(deviations / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_respect_is_filled_evenly_and_no_two_go_together() {
        let all: Vec<_> = points(128).collect();
        for one in 0..RESPECTS {
            for tenth in 0..10 {
                let low = f64::from(tenth) / 10.0;
                let within = all.iter().filter(|point| (low..low + 0.1).contains(&point[one])).count();
                assert!((8..=18).contains(&within), "respect {one}, from {low}: {within} of 128");
            }
            for other in 0..one {
                let common =
                    all.iter().map(|point| deviations(point[one]) * deviations(point[other])).sum::<f64>() / 128.0;
                assert!(common.abs() < 0.1, "{one} and {other}: {common}");
            }
        }
    }

    #[test]
    fn shares_and_deviations_are_those_of_the_normal_distribution() {
        assert!((deviations(0.975) - 1.96).abs() < 1e-3 && (beyond(1.96) - 0.025).abs() < 1e-4);
        assert!((deviations(0.1) + 1.2816).abs() < 1e-3 && (beyond(-1.2816) - 0.9).abs() < 1e-4);
    }
}
