//! Where the entries lead by what they are, rather than by how many they were.

use plimsoll_churn::{Assumption, Direction, Outlook};

use crate::history::{GC_SECS, Read, Seen};
use crate::line::Line;

/// What the mechanism says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mechanism {
    /// The number seeks a level.
    Level(Level),
    /// The number reaches the limit.
    Fills(Fills),
}

/// A level that the number seeks: dN/dt = (level − N) / `seeks_secs`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    pub(crate) low: f64,
    pub(crate) value: f64,
    pub(crate) high: f64,
    pub(crate) seeks_secs: f64,
    pub(crate) direction: Direction,
    /// So far ahead that may be carried on.
    pub(crate) known_secs: f64,
}

/// When the number reaches the limit, in seconds from now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fills {
    pub(crate) low: f64,
    pub(crate) value: f64,
    /// `None` where it may not.
    pub(crate) high: Option<f64>,
}

/// What the outlook calls there "but for a fiftieth" is so many times as long as what is left takes to a 1/e.
const FIFTIETH: f64 = 3.9;
/// What comes is assumed to go on for so long at least, as far as the mechanism knows nothing else: the nearest horizon.
const CARRIES_SECS: f64 = 900.0;

impl Mechanism {
    /// What governs the next minutes, if it is not the line.
    ///
    /// A line that is older than what the entries remember has the mechanism in it, and more exactly. A younger one is
    /// what the mechanism explains: a ramp that ends at the level. And what has just begun, or ended, only the entries
    /// show.
    pub(crate) fn governing(seen: &Seen, reads: &[Read<'_>], line: Option<&Line>) -> Option<Self> {
        let mechanism = reads.iter().rev().find_map(|read| Self::of_outlook(seen, read, line))?;
        let Some(line) = line else { return Some(mechanism) };
        let governs = match mechanism {
            Self::Fills(fills) => fills.high.is_some() || line.seen_secs < fills.value.max(Level::REMEMBERS_SECS),
            Self::Level(level) => {
                let to = level.seeks_secs * FIFTIETH;
                let strays = 2.0 * line.now_sd.hypot(line.per_sec_sd * to);
                let then = line.now + line.per_sec * to;
                !level.is_outlived_by(line)
                    || match level.direction {
                        Direction::Rises => level.low > then + strays,
                        Direction::Falls => level.high < then - strays,
                        Direction::Stays => false,
                    }
            }
        };
        governs.then_some(mechanism)
    }

    fn of_outlook(seen: &Seen, read: &Read<'_>, line: Option<&Line>) -> Option<Self> {
        /// As long as it takes until the garbage collector has passed, and half a minute more: then the churn is another.
        const OLDEST_SECS: f64 = 90.0;
        let age_secs = seen.now.at_secs - read.at_secs;
        if !(0.0..=OLDEST_SECS).contains(&age_secs) {
            return None;
        }
        match read.outlook {
            Outlook::Full | Outlook::NotKnown { .. } => None,
            // What cannot be dated was counted for half a minute then, and by the line for longer.
            Outlook::FullIn { at_most_secs: None, assuming: Assumption::UndatedGrow { .. }, .. } if line.is_some() => {
                None
            }
            // Where there is more already, more comes than came.
            Outlook::LevelsOff { entries, .. } if age_secs > 0.0 && seen.now.entries > entries.high => None,
            Outlook::LevelsOff { direction, entries, within_secs, for_secs, .. } => Some(Self::Level(Level {
                low: entries.low,
                value: entries.value,
                high: entries.high,
                seeks_secs: (within_secs - age_secs).max(0.0) / FIFTIETH,
                direction: *direction,
                known_secs: for_secs.unwrap_or(CARRIES_SECS),
            })),
            Outlook::FullIn { secs, at_least_secs, at_most_secs, .. } => {
                let left = |secs: f64| (secs - age_secs).max(1.0);
                Some(Self::Fills(Fills { low: left(*at_least_secs), value: left(*secs), high: at_most_secs.map(left) }))
            }
        }
    }

    /// So far ahead it tells.
    pub(crate) fn known_secs(&self) -> f64 {
        match self {
            Self::Level(level) => level.known_secs,
            Self::Fills(fills) => fills.high.unwrap_or(fills.value).max(CARRIES_SECS),
        }
    }
}

impl Level {
    /// What stock timeouts let entries that tell their age remember, and the garbage collector after them: 120 s, 60 s.
    const REMEMBERS_SECS: f64 = 180.0;

    /// When it is reached but for a fiftieth, and the garbage collector has passed.
    pub(crate) fn reached_secs(&self) -> f64 {
        self.seeks_secs * FIFTIETH + GC_SECS
    }

    /// Whether a line is so old that what it rises by is no way to this level.
    pub(crate) fn is_outlived_by(&self, line: &Line) -> bool {
        line.seen_secs >= (self.seeks_secs * FIFTIETH).max(Self::REMEMBERS_SECS)
    }

    /// The level at so many standard deviations.
    pub(crate) fn at(&self, deviations: f64) -> f64 {
        let half = if deviations < 0.0 { self.value - self.low } else { self.high - self.value };
        (self.value + half * deviations / Z).max(0.0)
    }
}

/// Half of a 95 % interval, in standard deviations.
pub(crate) const Z: f64 = 1.96;

impl Fills {
    /// The time at so many standard deviations, the later ones above; `None` where it does not fill.
    pub(crate) fn at(&self, deviations: f64) -> Option<f64> {
        /// Where no last time is stated more than a fortieth do not fill: this many, a tenth, is taken.
        const DOES_NOT: f64 = 1.28;
        /// And the last time as late again as the likely one.
        const LATER: f64 = 2.0;
        let value = self.value.max(1.0);
        if self.high.is_none() && deviations > DOES_NOT {
            return None;
        }
        let end = if deviations < 0.0 { self.low.max(value / 100.0) } else { self.high.unwrap_or(LATER * value) };
        Some(value * (end.max(1.0) / value).powf(deviations.abs() / Z))
    }
}
