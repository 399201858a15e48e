//! How fast the number of entries really grew while it was watched.

use std::time::Duration;

use plimsoll_model::{Interval, Occupancy};

use crate::poisson::Z;

/// With fewer readings than this nothing can be said of their spread.
const FEWEST_READINGS: usize = 6;

/// Growth of a number of entries that was watched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Growth {
    /// Entries a second.
    pub(crate) per_sec: Interval,
    /// Of which entries.
    pub(crate) of: Of,
}

/// What was seen to grow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Of {
    /// Live entries: between two moments at which it is known how many of those counted had expired.
    Live,
    /// Entries counted, between gc's runs: expired ones are among them.
    Counted {
        /// So many a second may have expired and still be counted, at most; `None` where that is not known.
        expired_per_sec: Option<f64>,
    },
}

/// Growth from counts that were taken from time to time, at the end of which so many of those counted had expired.
///
/// A run of gc is a step down in the counts, after which nothing that has expired is left.
pub(crate) fn growth(course: &[(Duration, Occupancy)], expired_at_end: Option<f64>) -> Option<Growth> {
    if course.len() < FEWEST_READINGS {
        return None;
    }
    let steps: Vec<_> = course.windows(2).map(|pair| Step::between(pair[0], pair[1])).collect();
    let floor = usual_floor(&steps);
    let is_gc = |step: &Step| step.per_sec() < floor;
    let usual: Vec<_> = steps.iter().copied().filter(|step| !is_gc(step)).collect();
    if usual.len() + 1 < FEWEST_READINGS {
        return None;
    }
    let noise = noise_per_root_sec(&usual);

    // Readings after which it is known how many of the entries counted had expired.
    let after_gc = (0..steps.len()).filter(|at| is_gc(&steps[*at]) && !steps.get(at + 1).is_some_and(is_gc));
    let mut anchors: Vec<_> = after_gc.map(|at| (course[at + 1], 0.0)).collect();
    anchors.extend(course.last().copied().zip(expired_at_end));
    let whole = Step::between(course[0], course[course.len() - 1]).secs;
    if let (Some((first, expired_first)), Some((last, expired_last))) = (anchors.first(), anchors.last()) {
        let step = Step::between(*first, *last);
        // Less than a third of the time would throw away more than the rest leaves open.
        if step.secs * 3.0 >= whole && step.secs > 0.0 {
            let gained = step.gained - expired_last + expired_first;
            return Some(Growth { per_sec: around(gained / step.secs, noise, step.secs), of: Of::Live });
        }
    }
    let secs: f64 = usual.iter().map(|step| step.secs).sum();
    let gained: f64 = usual.iter().map(|step| step.gained).sum();
    // gc has taken others that expired meanwhile, and that step was left out.
    let is_all = usual.len() == steps.len();
    let expired_per_sec = expired_at_end.filter(|_| is_all).map(|expired| expired / whole);
    Some(Growth { per_sec: around(gained / secs, noise, secs), of: Of::Counted { expired_per_sec } })
}

#[derive(Clone, Copy, Debug)]
struct Step {
    secs: f64,
    gained: f64,
}

impl Step {
    fn between(before: (Duration, Occupancy), after: (Duration, Occupancy)) -> Self {
        Self {
            secs: after.0.saturating_sub(before.0).as_secs_f64(),
            gained: f64::from(after.1.0) - f64::from(before.1.0),
        }
    }

    fn per_sec(&self) -> f64 {
        if self.secs > 0.0 { self.gained / self.secs } else { 0.0 }
    }
}

fn around(value: f64, noise_per_root_sec: f64, secs: f64) -> Interval {
    // Nothing moves by less than one entry.
    let half = (noise_per_root_sec / secs.sqrt()).max(1.0 / secs);
    Interval { low: value - half, value, high: value + half }
}

/// The half-width of the 95 % interval of what one second gains; of `n` seconds it is √n times as much.
fn noise_per_root_sec(steps: &[Step]) -> f64 {
    let secs: f64 = steps.iter().map(|step| step.secs).sum();
    let mean = steps.iter().map(|step| step.gained).sum::<f64>() / secs;
    let spread: f64 = steps.iter().map(|step| (step.gained - mean * step.secs).powi(2) / step.secs.max(1e-3)).sum();
    let free = (steps.len() as f64 - 1.0).max(1.0);
    // Student's t for so few steps, to a hundredth (2.57 for six, 2.26 for ten).
    let t = Z * (1.0 + 1.4 / free);
    t * (spread / free).max(mean.abs()).sqrt()
}

/// A step below this many entries a second is gc's: six deviations under the median.
fn usual_floor(steps: &[Step]) -> f64 {
    let usual = median(steps.iter().map(Step::per_sec));
    // 1.4826 times the median deviation is the standard deviation of a normal distribution.
    let deviation = 1.4826 * median(steps.iter().map(|step| (step.per_sec() - usual).abs()));
    let secs = median(steps.iter().map(|step| step.secs)).max(1e-3);
    usual - 6.0 * deviation.max((usual.abs() / secs).sqrt()).max(1.0 / secs)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(counts: &[u32]) -> Vec<(Duration, Occupancy)> {
        counts.iter().enumerate().map(|(at, count)| (Duration::from_secs(at as u64), Occupancy(*count))).collect()
    }

    /// 100 new ones a second; 80 expire, and gc takes them out at the fifth.
    const SAWTOOTH: [u32; 12] = [1000, 1100, 1200, 1300, 1400, 900, 1000, 1100, 1200, 1300, 1400, 1500];

    #[test]
    fn gc_taking_what_expired_is_no_fall() {
        let growth = growth(&course(&SAWTOOTH), None).unwrap();
        assert!(growth.per_sec.covers(100.0) && growth.per_sec.half_width() < 30.0, "{growth:?}");
        assert_eq!(growth.of, Of::Counted { expired_per_sec: None });
    }

    #[test]
    fn after_gc_and_with_what_had_expired_at_the_end_the_live_ones_are_known() {
        let growth = growth(&course(&SAWTOOTH), Some(6.0 * 80.0)).unwrap();
        assert!(growth.per_sec.covers(20.0) && growth.per_sec.half_width() < 30.0, "{growth:?}");
        assert_eq!(growth.of, Of::Live);
    }

    #[test]
    fn few_readings_tell_nothing() {
        assert_eq!(growth(&course(&[1, 2, 3]), None), None);
    }

    #[test]
    fn a_number_that_does_not_move_has_no_slope() {
        let growth = growth(&course(&[50; 31]), Some(0.0)).unwrap();
        assert!(growth.per_sec.covers(0.0) && growth.per_sec.half_width() < 0.1, "{growth:?}");
    }
}
