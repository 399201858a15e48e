//! The line that the number of entries follows now, and for how long it has done so.

use crate::noise::Noise;

/// A line through the newest part of a history: as much of it as one line describes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// For so long the entries have followed it.
    pub(crate) seen_secs: f64,
    /// Entries a second.
    pub(crate) per_sec: f64,
    /// Standard error of that.
    pub(crate) per_sec_sd: f64,
    /// Where it is now.
    pub(crate) now: f64,
    /// Standard error of that.
    pub(crate) now_sd: f64,
    /// How far single values lie from it, as a standard deviation.
    pub(crate) stray_sd: f64,
    /// By so much steeper the newest readings go, where they do what none before them did; 0 else.
    pub(crate) swerves_by: f64,
}

/// What a line may owe to chance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noises {
    /// That of the readings.
    pub(crate) usual: Noise,
    /// That of counting, where it is more.
    pub(crate) counting: Noise,
    /// And that of a day that is not as those before.
    pub(crate) days: Option<Noise>,
}

impl Noises {
    /// All of them together, in some respect.
    fn chance(&self, of: &dyn Fn(&Noise) -> f64) -> f64 {
        of(&self.usual).max(of(&self.counting)).hypot(self.days.as_ref().map_or(0.0, of))
    }
}

/// How long a line may be looked back for. Between two of them is a factor of about two: a change of course is noticed
/// when the new course has lasted for half as long as the old one was looked at.
const WINDOWS_SECS: [f64; 12] =
    [60.0, 120.0, 240.0, 480.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 57_600.0, 86_400.0];

/// Fewer values make no line.
pub(crate) const FEWEST: usize = 6;

impl Line {
    /// Of values by time, which is 0 now and negative before, the oldest first. `None` where they are too few.
    ///
    /// Windows are looked at from the shortest on. Each gives a slope and an end, with errors; as long as all agree the
    /// longest is the most exact, and the first that does not agree reaches back beyond a change of course (the rule of
    /// intersecting confidence intervals, Goldenshluger and Nemirovski 1997).
    pub(crate) fn newest(series: &[(f64, f64)], noises: &Noises) -> Option<Self> {
        /// In standard errors: twelve windows agree by chance nearly always.
        const AGREE: f64 = 3.0;
        /// What values stray by where it is no chance any more, in standard deviations.
        const BENT: f64 = 4.0;
        /// A window that is filled less than so far is no longer one.
        const FILLED: f64 = 0.8;
        let oldest = -series.first()?.0;
        let mut chosen: Option<Self> = None;
        let (mut slopes, mut ends) = (Agreement::ALL, Agreement::ALL);
        for window in WINDOWS_SECS {
            let part = &series[series.partition_point(|(at, _)| *at < -window)..];
            let secs = part.first().map_or(0.0, |(at, _)| -at);
            if part.len() < FEWEST || secs < FILLED * window.min(oldest) {
                continue;
            }
            let line = Self::through(part, secs, noises);
            slopes.narrow(line.per_sec, AGREE * line.per_sec_sd);
            ends.narrow(line.now, AGREE * line.now_sd);
            let is_bent = line.stray_sd > BENT * noises.chance(&|noise| noise.sd);
            if chosen.is_some() && (is_bent || slopes.is_empty() || ends.is_empty()) {
                break;
            }
            chosen = Some(line);
            if secs >= oldest {
                break;
            }
        }
        chosen.map(|line| Self { seen_secs: line.followed_secs(series), ..line })
    }

    /// For how long values have lain near the line: beyond what it was drawn through, too, for windows are far apart.
    fn followed_secs(&self, series: &[(f64, f64)]) -> f64 {
        /// Of values and of the line, in standard deviations.
        const NEAR: f64 = 3.0;
        let is_near = |(at, value): &&(f64, f64)| {
            let off = value - self.now - self.per_sec * at;
            off.abs() <= NEAR * self.stray_sd.hypot(self.now_sd)
        };
        let before = series.iter().rev().skip_while(|(at, _)| -at <= self.seen_secs);
        before.take_while(is_near).last().map_or(self.seen_secs, |(at, _)| -at)
    }

    /// The same with what the newest reading says of it.
    ///
    /// A course that has changed within the last minute is too young for a line of its own. But where the newest reading
    /// lies further off than chance leads, the old line has ended; and a step upwards that is twice as steep as the steepest
    /// before it is no chance.
    pub(crate) fn until_now(self, series: &[(f64, f64)], noises: &Noises) -> Self {
        /// In standard deviations.
        const FAR: f64 = 4.0;
        const STEEPER: f64 = 2.0;
        const NEWEST_SECS: f64 = 60.0;
        let steep = |step: &[(f64, f64)]| match step {
            [(from, then), (to, now)] => (now - then) / (to - from),
            _ => 0.0,
        };
        let before = &series[..series.partition_point(|(at, _)| *at < -NEWEST_SECS)];
        let steepest = before.windows(2).map(|step| steep(step).abs()).reduce(f64::max);
        let newest = series.windows(2).next_back().map_or(0.0, steep);
        let swerves = steepest.is_some_and(|steepest| newest > STEEPER * steepest);
        let line = Self { swerves_by: if swerves { newest - self.per_sec } else { 0.0 }, ..self };
        let sd = noises.chance(&|noise| noise.sd).hypot(self.now_sd);
        match series.last() {
            Some((_, now)) if (now - self.now).abs() > FAR * sd => {
                Self { now: *now, now_sd: 0.0, seen_secs: 0.0, ..line }
            }
            _ => line,
        }
    }

    /// The slope at so many standard deviations: its error reaches as far as the newest readings go.
    pub(crate) fn slope_at(&self, deviations: f64) -> f64 {
        let sd = if deviations > 0.0 { self.per_sec_sd.hypot(self.swerves_by) } else { self.per_sec_sd };
        self.per_sec + deviations * sd
    }

    /// One reading: it has been seen to do nothing.
    pub(crate) const fn point(entries: f64) -> Self {
        Self {
            seen_secs: 0.0,
            per_sec: 0.0,
            per_sec_sd: 0.0,
            now: entries,
            now_sd: 0.0,
            stray_sd: 0.0,
            swerves_by: 0.0,
        }
    }

    fn through(part: &[(f64, f64)], secs: f64, noises: &Noises) -> Self {
        let fit = Fit::through(part);
        // What grows by so much a second had at least so many arrivals a second, each a chance of its own.
        let walk = fit.per_sec.abs();
        let strays = part.iter().map(|(at, value)| (value - fit.at(*at)).powi(2)).sum::<f64>();
        Self {
            seen_secs: secs,
            per_sec: fit.per_sec,
            per_sec_sd: noises.chance(&|noise| noise.slope_sd(secs, walk)),
            now: fit.now,
            now_sd: noises.chance(&|noise| noise.end_sd(secs, walk)),
            stray_sd: (strays / (part.len() as f64 - 2.0)).sqrt(),
            swerves_by: 0.0,
        }
    }

    /// The same with its slope drawn towards none, by as much as it may be chance. A slope many times its error stays.
    pub(crate) fn shrunk(self) -> Self {
        let variance = self.per_sec_sd.powi(2);
        let share = self.per_sec.powi(2) / (self.per_sec.powi(2) + variance).max(f64::MIN_POSITIVE);
        Self { per_sec: self.per_sec * share, per_sec_sd: self.per_sec_sd * share.sqrt(), ..self }
    }
}

/// What lies within all of some intervals.
struct Agreement {
    low: f64,
    high: f64,
}

impl Agreement {
    const ALL: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };

    fn narrow(&mut self, value: f64, half: f64) {
        self.low = self.low.max(value - half);
        self.high = self.high.min(value + half);
    }

    fn is_empty(&self) -> bool {
        self.low > self.high
    }
}

/// A line through values, which values that lie far out hardly move: the median of the slopes of all pairs (Theil 1950,
/// Sen 1968).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    pub(crate) per_sec: f64,
    pub(crate) now: f64,
}

impl Fit {
    pub(crate) fn through(series: &[(f64, f64)]) -> Self {
        let means = means(series);
        let pairs =
            means.iter().enumerate().flat_map(|(at, one)| means[at + 1..].iter().map(move |other| (one, other)));
        let mut slopes: Vec<_> = pairs.map(|(one, other)| (other.1 - one.1) / (other.0 - one.0)).collect();
        let per_sec = median(&mut slopes).unwrap_or(0.0);
        let mut ends: Vec<_> = means.iter().map(|(at, value)| value - per_sec * at).collect();
        Self { per_sec, now: median(&mut ends).unwrap_or(0.0) }
    }

    pub(crate) fn at(&self, secs: f64) -> f64 {
        self.now + self.per_sec * secs
    }
}

/// Means over parts of equal length: enough for a line, and few enough for all their pairs.
fn means(series: &[(f64, f64)]) -> Vec<(f64, f64)> {
    const PARTS: f64 = 24.0;
    let (Some((first, _)), Some((last, _))) = (series.first(), series.last()) else { return Vec::new() };
    let part = |at: f64| ((at - first) / (last - first).max(f64::MIN_POSITIVE) * PARTS).floor().min(PARTS - 1.0);
    let same = |one: &(f64, f64), other: &(f64, f64)| part(one.0) >= part(other.0);
    let mean = |values: &[(f64, f64)]| {
        let count = values.len() as f64;
        (
            values.iter().map(|(at, _)| at).sum::<f64>() / count,
            values.iter().map(|(_, value)| value).sum::<f64>() / count,
        )
    };
    series.chunk_by(same).map(mean).collect()
}

/// The middle one; the order is changed.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    let (_, median, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*median)
}

#[cfg(test)]
mod tests {
    use plimsoll_draw::Draw;

    use super::*;

    /// Chance of a known kind: a deviation of 1 that is kept for so long, read each 10 s.
    fn chance(draw: &mut Draw, keeps_secs: f64, count: u32) -> Vec<(f64, f64)> {
        let kept = (-10.0 / keeps_secs).exp();
        let normal = |draw: &mut Draw| crate::even::deviations(draw.fraction().max(1e-9));
        let mut value = normal(draw);
        let next = |at: u32| {
            value = kept * value + (1.0 - kept * kept).sqrt() * normal(draw);
            (-10.0 * f64::from(count - 1 - at), value)
        };
        (0..count).map(next).collect()
    }

    fn large(series: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
        series.into_iter().map(|(at, value)| (at, 1e6 * value)).collect()
    }

    fn alone(noise: Noise) -> Noises {
        Noises { usual: noise, counting: noise, days: None }
    }

    #[test]
    fn the_error_of_a_slope_knows_that_neighbours_are_alike() {
        for keeps_secs in [10.0, 60.0, 600.0, 3600.0] {
            // So large that the least chance of a count is nothing beside it.
            let noise = Noise { sd: 1e6, keeps_secs };
            for count in [13, 91, 361] {
                let secs = 10.0 * f64::from(count - 1);
                let mut draw = Draw::new(1);
                let lines =
                    (0..400).map(|_| Line::through(&large(chance(&mut draw, keeps_secs, count)), secs, &alone(noise)));
                let stated: Vec<_> = lines.map(|line| line.per_sec / line.per_sec_sd).collect();
                let spread = (stated.iter().map(|one| one * one).sum::<f64>() / 400.0).sqrt();
                assert!((0.5..1.25).contains(&spread), "kept {keeps_secs} s, over {secs} s: {spread} stated errors");
            }
        }
    }

    #[test]
    fn a_line_reaches_back_to_the_last_change_of_course_and_no_further() {
        let noise = Noise { sd: 1.0, keeps_secs: 30.0 };
        for (rose_for_secs, per_sec) in [(100.0, 1.0), (300.0, 0.5), (900.0, 0.1)] {
            for seed in 0..50 {
                let flat = chance(&mut Draw::new(seed), 30.0, 361);
                let rise = |at: f64| per_sec * (at + rose_for_secs).max(0.0);
                let series: Vec<_> = flat.iter().map(|(at, value)| (*at, value + rise(*at))).collect();
                let line = Line::newest(&series, &alone(noise)).unwrap();
                assert!(line.seen_secs <= 1.5 * rose_for_secs, "{rose_for_secs} {seed}: {line:?}");
                assert!((line.per_sec - per_sec).abs() < 4.0 * line.per_sec_sd, "{rose_for_secs} {seed}: {line:?}");
                let line = Line::newest(&flat, &alone(noise)).unwrap();
                assert!(line.per_sec.abs() < 4.0 * line.per_sec_sd, "{seed}: {line:?}");
            }
        }
        let whole =
            |seed| Line::newest(&chance(&mut Draw::new(seed), 30.0, 361), &alone(noise)).unwrap().seen_secs >= 3600.0;
        assert!((0..50).filter(|seed| whole(*seed)).count() >= 47, "where nothing changes all is looked at");
    }

    #[test]
    fn a_slope_that_may_be_chance_shrinks_and_a_clear_one_does_not() {
        let line = |per_sec| {
            Line { seen_secs: 600.0, per_sec, per_sec_sd: 1.0, now: 0.0, now_sd: 1.0, stray_sd: 1.0, swerves_by: 0.0 }
                .shrunk()
        };
        assert!(line(0.5).per_sec < 0.11 && line(20.0).per_sec > 19.9);
    }
}
