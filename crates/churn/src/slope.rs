//! How fast the number of entries really grew while it was watched.

use std::time::Duration;

use plimsoll_model::{Interval, Occupancy};

use crate::poisson::Z;

/// With fewer readings than this nothing can be said of their spread.
const FEWEST_READINGS: usize = 6;

/// Growth a second between gc's runs, from counts that were taken meanwhile. A run takes what has expired out at
/// once, which is a step down and no slope.
pub(crate) fn between_gc_runs(course: &[(Duration, Occupancy)]) -> Option<Interval> {
    let mut steps: Vec<_> = course
        .windows(2)
        .map(|pair| {
            let secs = pair[1].0.saturating_sub(pair[0].0).as_secs_f64();
            (secs, f64::from(pair[1].1.0) - f64::from(pair[0].1.0))
        })
        .filter(|(secs, _)| *secs > 0.0)
        .collect();
    if steps.len() + 1 < FEWEST_READINGS {
        return None;
    }
    let floor = usual_floor(&steps);
    steps.retain(|(secs, gained)| gained / secs >= floor);
    let secs: f64 = steps.iter().map(|(secs, _)| secs).sum();
    let gained: f64 = steps.iter().map(|(_, gained)| gained).sum();
    let per_sec = gained / secs;
    let spread: f64 = steps.iter().map(|(secs, gained)| (gained - per_sec * secs).powi(2)).sum();
    // Student's t for so few steps, to a hundredth (2.57 for five, 2.26 for nine).
    let steps = steps.len() as f64;
    let t = Z * (1.0 + 1.35 / (steps - 1.0).max(1.0));
    let of_steps = (spread * steps / (steps - 1.0).max(1.0)).sqrt();
    let half = t * of_steps.max(gained.abs().sqrt()).max(1.0) / secs;
    Some(Interval { low: per_sec - half, value: per_sec, high: per_sec + half })
}

/// A step below this many entries a second is gc's: six deviations under the median.
fn usual_floor(steps: &[(f64, f64)]) -> f64 {
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    let mut rates: Vec<_> = steps.iter().map(|(secs, gained)| gained / secs).collect();
    let usual = median(&mut rates);
    let mut off: Vec<_> = rates.iter().map(|rate| (rate - usual).abs()).collect();
    // 1.4826 times the median deviation is the standard deviation of a normal distribution.
    let deviation = 1.4826 * median(&mut off);
    let mut secs: Vec<_> = steps.iter().map(|(secs, _)| *secs).collect();
    let secs = median(&mut secs);
    usual - 6.0 * deviation.max((usual.abs() / secs).sqrt()).max(1.0 / secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(counts: &[u32]) -> Vec<(Duration, Occupancy)> {
        counts.iter().enumerate().map(|(at, count)| (Duration::from_secs(at as u64), Occupancy(*count))).collect()
    }

    #[test]
    fn gc_taking_what_expired_is_no_fall() {
        let slope = between_gc_runs(&course(&[1000, 1100, 1200, 1300, 1400, 400, 500, 600, 700, 800])).unwrap();
        assert!(slope.covers(100.0) && slope.half_width() < 30.0, "{slope:?}");
    }

    #[test]
    fn few_readings_tell_nothing() {
        assert_eq!(between_gc_runs(&course(&[1, 2, 3])), None);
    }

    #[test]
    fn a_number_that_does_not_move_has_no_slope() {
        let slope = between_gc_runs(&course(&[50; 31])).unwrap();
        assert!(slope.covers(0.0) && slope.half_width() < 0.1, "{slope:?}");
    }
}
