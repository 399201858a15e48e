//! How far the number of entries strays from its own course.

use crate::history::{Point, Seen};
use crate::line::{Fit, median};

/// Chance that comes and goes: it moves as a random walk within moments, and returns to the course within a while. A
/// count of flows that come at random and are each held for some time is of this kind, and the while is the time held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    /// Standard deviation from the course, in entries.
    pub(crate) sd: f64,
    /// After so many seconds little of a deviation is left (1/e).
    pub(crate) keeps_secs: f64,
}

impl Noise {
    /// What a line through this noise over so many seconds has for a slope by chance, as a standard deviation. Within a
    /// second it walks by a variance of at least `least_walk`.
    ///
    /// Between the two ends that can be worked out: a line through a random walk (6/5 · q/W), as the noise is within a
    /// time much shorter than it keeps, and one through values of which each `2 · keeps` has one of its own.
    pub(crate) fn slope_sd(&self, over_secs: f64, least_walk: f64) -> f64 {
        let walk = self.walk().max(least_walk);
        (1.2 * walk / over_secs / (1.0 + (over_secs / self.keeps_secs).powi(2) / 10.0)).sqrt()
    }

    /// The same of where the line is at its end, in entries.
    pub(crate) fn end_sd(&self, over_secs: f64, least_walk: f64) -> f64 {
        let walk = self.walk().max(least_walk);
        (walk * over_secs / 7.5 / (1.0 + (over_secs / self.keeps_secs).powi(2) / 30.0)).sqrt()
    }

    /// The variance that a second adds, within a time much shorter than it keeps.
    fn walk(&self) -> f64 {
        2.0 * self.sd.powi(2) / self.keeps_secs
    }

    /// How much of a deviation is left after so many seconds.
    pub(crate) fn kept(&self, secs: f64) -> f64 {
        (-secs / self.keeps_secs).exp()
    }

    /// The share of the full standard deviation that there is after so many seconds, from a known deviation.
    pub(crate) fn spread(&self, secs: f64) -> f64 {
        (1.0 - self.kept(2.0 * secs)).max(0.0).sqrt()
    }

    /// The least that there is: a number of flows that come at random varies by its root, and for as long as they are held.
    /// Beneath quicker chance, such as the garbage collector's, it is not seen.
    pub(crate) fn of_counting(seen: &Seen) -> Self {
        /// Where it is not known for how long flows are held: between the 30 s of a question and the hours of a session.
        const HELD_SECS: f64 = 900.0;
        let came: Vec<_> = seen.fine.iter().filter_map(|point| point.new_per_sec).collect();
        let per_sec = came.iter().sum::<f64>() / came.len().max(1) as f64;
        let entries = seen.now.entries.max(1.0);
        let held_secs = if per_sec > 0.0 { entries / per_sec } else { HELD_SECS };
        Self { sd: entries.sqrt(), keeps_secs: held_secs.clamp(1.0, 86_400.0) }
    }

    /// From the readings before the newest minutes: what happens now is no measure of what is usual.
    pub(crate) fn usual(seen: &Seen) -> Self {
        /// A flood is in full course, or over, after so long.
        const NEWEST_SECS: f64 = 600.0;
        /// With fewer steps the newest have to do as well.
        const ENOUGH: usize = 30;
        /// Steps this far out are changes of course.
        const ONE_IN: usize = 20;
        /// What is left of a normal distribution's variance without those.
        const LEFT: f64 = 0.76;
        /// Nothing moves by less than an entry, and hardly a table by less than one a minute.
        const LEAST_WALK: f64 = 1.0 / 60.0;

        let usual = seen.fine.partition_point(|point| point.at_secs <= seen.now.at_secs - NEWEST_SECS);
        let points = if usual > ENOUGH { &seen.fine[..usual] } else { &seen.fine };
        let steps = steps(points);
        let mut rates: Vec<_> = steps.iter().map(|(secs, gained)| gained / secs).collect();
        let rate = median(&mut rates).unwrap_or(0.0);
        let mut walks: Vec<_> = steps.iter().map(|(secs, gained)| (gained - rate * secs).powi(2) / secs).collect();
        walks.sort_unstable_by(f64::total_cmp);
        walks.truncate(walks.len() - walks.len() / ONE_IN);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let came: Vec<_> = points.iter().filter_map(|point| point.new_per_sec).collect();
        // Flows that come at random alone make the count walk so much.
        let walk = (mean(&walks) / LEFT).max(mean(&came)).max(LEAST_WALK);

        let series: Vec<_> = points.iter().map(|point| (point.at_secs - seen.now.at_secs, point.entries)).collect();
        let fit = Fit::through(&series);
        let mut strays: Vec<_> = series.iter().map(|(at, entries)| (entries - fit.at(*at)).abs()).collect();
        // The median of a normal distribution's absolute values is so much less than its standard deviation. And a number
        // of flows that come at random varies by as much as they are, at least: an hour does not show all of it where
        // they are held for long.
        let sd = (1.4826 * median(&mut strays).unwrap_or(0.0)).max(fit.now.max(1.0).sqrt());
        let step_secs = steps.first().map_or(1.0, |(secs, _)| *secs);
        Self { sd, keeps_secs: (2.0 * sd.powi(2) / walk).clamp(step_secs, 3600.0) }
    }
}

/// What was gained within each minute, and within what time. Peaks are those of a minute: from one reading to the next they
/// mostly do not move, and then leap.
fn steps(points: &[Point]) -> Vec<(f64, f64)> {
    const STEP_SECS: f64 = 60.0;
    /// A step over a longer time is a gap of the watch.
    const GAP_SECS: f64 = 120.0;
    let mut steps = Vec::new();
    let mut from = points.first();
    for point in points {
        let Some(last) = from.filter(|last| point.at_secs - last.at_secs >= STEP_SECS) else { continue };
        let secs = point.at_secs - last.at_secs;
        if secs <= GAP_SECS {
            steps.push((secs, point.entries - last.entries));
        }
        from = Some(point);
    }
    steps
}

#[cfg(test)]
mod tests {
    use plimsoll_draw::Draw;

    use super::*;
    use crate::history::{History, Limit};

    /// Flows that come at random, so many on the average, each held for a random time of this mean.
    fn flows(seed: u64, entries: f64, held_secs: f64, after: impl Fn(f64) -> f64) -> Vec<Point> {
        let mut draw = Draw::new(seed);
        let mut normal = || crate::even::deviations(draw.fraction().max(1e-9));
        let kept = (-10.0 / held_secs).exp();
        let mut stray = entries.sqrt() * normal();
        let point = |at: u32| {
            stray = kept * stray + (entries * (1.0 - kept * kept)).sqrt() * normal();
            let at_secs = 10.0 * f64::from(at);
            Point { at_secs, entries: entries + stray + after(at_secs), new_per_sec: None }
        };
        (0..=360).map(point).collect()
    }

    fn usual(fine: &[Point]) -> Noise {
        let limits = [Limit { since_secs: 0.0, entries: 1e6 }];
        let history = History { fine, coarse: &[], limits: &limits, restarted_at_secs: None };
        Noise::usual(&Seen::of(&history).unwrap())
    }

    #[test]
    fn a_spread_and_how_long_it_keeps_are_found() {
        let of = |held_secs| (0..50).map(|seed| usual(&flows(seed, 10_000.0, held_secs, |_| 0.0))).collect::<Vec<_>>();
        for held_secs in [30.0, 120.0] {
            let noises = of(held_secs);
            let mean = |of: &dyn Fn(&Noise) -> f64| noises.iter().map(of).sum::<f64>() / 50.0;
            let (sd, keeps_secs) = (mean(&|noise| noise.sd), mean(&|noise| noise.keeps_secs));
            assert!((80.0..120.0).contains(&sd), "held {held_secs} s: {sd}");
            // Peaks stay for a minute; and what keeps for too long makes errors too large, never too small.
            assert!((0.6 * held_secs..1_000.0).contains(&keeps_secs), "held {held_secs} s: {keeps_secs}");
        }
    }

    #[test]
    fn a_flood_of_the_last_minutes_is_no_noise() {
        let flood = |at: f64| 200.0 * (at - 3_300.0).max(0.0);
        for seed in 0..50 {
            let (with, without) =
                (usual(&flows(seed, 10_000.0, 60.0, flood)), usual(&flows(seed, 10_000.0, 60.0, |_| 0.0)));
            assert!((with.sd, with.keeps_secs) == (without.sd, without.keeps_secs), "{with:?} {without:?}");
        }
    }
}
