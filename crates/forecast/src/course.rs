//! What the entries do from now on, in all its parts.

use crate::daily::Daily;
use crate::even;
use crate::line::Line;
use crate::mechanism::Mechanism;
use crate::noise::Noise;
use crate::ways::{FURTHEST_SECS, Way};

/// The parts of what is to come. Entries in `h` seconds are
///
/// - where the line is now, and its slope for as long as the trend lasts; or, where the mechanism governs, the way to its
///   level, or to the limit;
/// - what the days before add between now and then;
/// - less what fades of today's deviation from those days, and what such days stray by;
/// - chance.
#[derive(Debug)]
pub(crate) struct Course<'a> {
    pub(crate) capacity: f64,
    pub(crate) now_secs: f64,
    pub(crate) now: f64,
    /// What the entries were before they took the course of now, but for the shape of the day; the least first.
    pub(crate) before: Vec<f64>,
    /// How far readings lie below peaks, the least first.
    pub(crate) depths: Vec<f64>,
    /// A tooth goes on rising after the reading that is its peak, until it is cut: by up to as much as from one reading to
    /// the next.
    pub(crate) rise: f64,
    pub(crate) line: Line,
    pub(crate) mechanism: Option<Mechanism>,
    pub(crate) daily: Option<&'a Daily>,
    pub(crate) noise: Noise,
    pub(crate) counting: Noise,
}

/// What has been seen for less than a minute has been seen for one reading.
const LEAST_SEEN_SECS: f64 = 60.0;

/// A trend that was seen for a time S lasts for longer than another r with the chance (S / (S + r))^0.4: half of all
/// trends last for another 4.7 times as long as they were seen. Nothing about a trend tells its scale, so only the ratio
/// of the two times can matter, and a power is the one law of that kind. The power 1 is that of a moment drawn evenly from
/// a trend's life; a smaller one is more careful of missing a slow leak.
const LASTS: f64 = 0.4;

/// What is the same for all ways.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    secs: f64,
    /// What the days before add until then.
    daily: f64,
    /// What fades of today's deviation from them.
    fades: f64,
    /// What such days stray by: the first of two strays, and the standard deviations of both.
    stray: usize,
    strays: [f64; 2],
    /// Of the way to a level.
    sought: f64,
    /// Of what the entries stray from the line by now: as chance does that comes and goes, and as a day does.
    kept: f64,
    kept_by_days: f64,
    /// The standard deviation of chance.
    spread: f64,
    /// Draws of chance since the moment before.
    pub(crate) draws: f64,
}

impl Course<'_> {
    /// What is common to all ways at a moment that comes `step_secs` after another.
    pub(crate) fn moment(&self, secs: f64, step_secs: f64) -> Moment {
        let at = |daily: &Daily| Some(daily.at(self.now_secs + secs)? - daily.at(self.now_secs)?);
        let faded = |daily: &Daily| self.usual_deviation(daily) * (1.0 - daily.noise(self.now_secs).kept(secs));
        let (stray, strays) = self.daily.map_or((0, [0.0; 2]), |daily| self.strays(daily, secs));
        Moment {
            secs,
            daily: self.daily.and_then(at).unwrap_or(0.0),
            fades: self.daily.map_or(0.0, faded),
            stray,
            strays,
            sought: self.sought(secs),
            kept: self.noise.kept(secs),
            kept_by_days: self.daily.map_or(0.0, |daily| daily.noise(self.now_secs).kept(secs)),
            spread: self.chance_sd(secs),
            draws: step_secs / self.noise.keeps_secs,
        }
    }

    /// How far today lies from the days before, as far as such days do: what lies beyond is something else, and does not
    /// fade as they do.
    fn usual_deviation(&self, daily: &Daily) -> f64 {
        const USUAL: f64 = 2.0;
        let usual = USUAL * daily.noise(self.now_secs).sd;
        daily.at(self.now_secs).map_or(0.0, |expected| (self.line.now - expected).clamp(-usual, usual))
    }

    /// One way that it may go.
    pub(crate) fn way(&self, way: Way) -> Followed<'_> {
        let slope = self.line.slope_at(way.slope);
        let (from, per_sec, level) = match &self.mechanism {
            None => (self.line.now + way.level * self.line.now_sd, slope, self.now),
            // A young line is the way to the level, and no trend beside it.
            Some(Mechanism::Level(level)) if !level.is_outlived_by(&self.line) => (self.now, 0.0, level.at(way.level)),
            Some(Mechanism::Level(level)) => (self.now, slope, level.at(way.level)),
            Some(Mechanism::Fills(fills)) => {
                let per_sec = fills.at(way.level).map_or(0.0, |secs| (self.capacity - self.now) / secs);
                (self.now, per_sec, self.now)
            }
        };
        let lasts_secs = self.line.seen_secs.max(LEAST_SEEN_SECS) * (way.outlasted_by.powf(-1.0 / LASTS) - 1.0);
        let count = self.daily.map_or(0, |daily| self.strays(daily, FURTHEST_SECS).0 + 2);
        // The first is the way's own. Shares times powers of a number are spread as evenly, and hardly go together.
        let day = |at: usize| even::deviations((way.day * 7_f64.powi(i32::try_from(at).unwrap_or(0))).fract());
        Followed {
            course: self,
            days: (0..count).map(day).collect(),
            from,
            per_sec,
            level,
            lasts_secs,
            held_secs: self.held_secs(level, even::beyond(way.slope)),
            sought: self.sought(lasts_secs),
            after: self.after(way.after),
            stray_now: self.stray_now(from),
        }
    }

    /// What the entries stray by from where a way begins: as far as chance leads, and beyond. What lies beyond comes of a day
    /// that is another than those before; where no days are known, all is chance.
    fn stray_now(&self, from: f64) -> (f64, f64) {
        const USUAL: f64 = 2.0;
        let stray = self.now - from;
        let usual = USUAL * self.noise.sd;
        let chance = self.daily.map_or(stray, |_| stray.clamp(-usual, usual));
        (chance, stray - chance)
    }

    /// How long what is more than a level stays: what came at once leaves at once, when its time is over, and what came bit by
    /// bit leaves so. So each way has a moment of its own.
    fn held_secs(&self, level: f64, share: f64) -> f64 {
        match &self.mechanism {
            Some(Mechanism::Level(falls)) if level < self.now => share * falls.reached_secs(),
            _ => 0.0,
        }
    }

    /// Where a way goes that has ended: half of them stay where they are, as what has leaked does, and the others go to where
    /// the entries were before, as after a storm.
    fn after(&self, share: f64) -> Option<f64> {
        even::quantile(&self.before, 2.0 * share - 1.0).filter(|_| share > 0.5)
    }

    /// How much of the way to a level is behind after so long.
    fn sought(&self, secs: f64) -> f64 {
        match &self.mechanism {
            Some(Mechanism::Level(level)) => -(-secs / level.seeks_secs.max(1.0)).exp_m1(),
            Some(Mechanism::Fills(_)) | None => 0.0,
        }
    }

    /// How far a day strays from those before: another way after twice as long as a stray keeps, but not more often than
    /// each two hours. The first of the two strays that a moment lies between, and the standard deviation of each then,
    /// so that the spread of both together is what it is.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number, not negative")]
    fn strays(&self, daily: &Daily, secs: f64) -> (usize, [f64; 2]) {
        let noise = daily.noise(self.now_secs + secs);
        let at = secs / (2.0 * noise.keeps_secs).max(7200.0);
        let (sin, cos) = (at.fract() * std::f64::consts::FRAC_PI_2).sin_cos();
        let sd = noise.sd * noise.spread(secs);
        (at as usize, [sd * cos, sd * sin])
    }

    /// Chance about the course after so long, from what is known now.
    fn chance_sd(&self, secs: f64) -> f64 {
        let of = |noise: &Noise| noise.sd * noise.spread(secs);
        of(&self.noise).max(of(&self.counting))
    }

    /// How far a reading lies below the peak, where such a share lie less far.
    pub(crate) fn depth(&self, share: f64) -> f64 {
        even::quantile(&self.depths, share).unwrap_or(0.0)
    }
}

/// A way that is followed.
#[derive(Debug)]
pub(crate) struct Followed<'a> {
    course: &'a Course<'a>,
    /// How this day strays from those before, at one time and the next, in standard deviations.
    days: Vec<f64>,
    from: f64,
    per_sec: f64,
    level: f64,
    /// It ends then.
    lasts_secs: f64,
    /// What is more than the level leaves then.
    held_secs: f64,
    /// So much of the way to the level it has gone when it ends.
    sought: f64,
    /// Where it goes when it has ended; `None` if it stays.
    after: Option<f64>,
    /// What the entries stray from it by now: by chance, and beyond as days do.
    stray_now: (f64, f64),
}

impl Followed<'_> {
    fn stray(&self, moment: &Moment) -> f64 {
        let of = |at: usize| self.days.get(at).copied().unwrap_or(0.0);
        let [first, second] = moment.strays;
        first * of(moment.stray) + second * of(moment.stray + 1)
    }

    /// Entries at a moment, and the standard deviation of chance about them.
    pub(crate) fn at(&self, moment: &Moment) -> (f64, f64) {
        let course = self.course;
        let sought = if moment.secs < self.held_secs { 0.0 } else { moment.sought.min(self.sought) };
        let followed = self.from + (self.level - course.now) * sought + self.per_sec * moment.secs.min(self.lasts_secs);
        let mean = self.after.filter(|_| moment.secs > self.lasts_secs).unwrap_or(followed) + moment.daily
            - moment.fades
            + self.stray(moment)
            + self.stray_now.0 * moment.kept
            + self.stray_now.1 * moment.kept_by_days;
        // Chance grows as the root of a number.
        let more = (mean / course.now.max(1.0)).max(1.0);
        (mean.max(0.0), moment.spread * more.sqrt())
    }
}
