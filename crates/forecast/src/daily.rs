//! The shape of the days before.

use crate::history::Span;
use crate::noise::Noise;

/// What the days before let expect, by the time of the day.
///
/// Whatever it says of a moment comes from the same time of the days before that moment, never from the moment itself:
/// so what it missed in the past is what it may miss in the future.
#[derive(Debug)]
pub(crate) struct Daily {
    /// Days that were seen.
    pub(crate) days: u32,
    /// How far the entries stray from it, as a share.
    strays: Noise,
    /// Expected entries by slot.
    expected: Vec<Option<f64>>,
    /// The first of those slots, counted since time 0.
    first: i64,
}

/// Long enough that chance is small, short enough for the ramp of a morning.
const SLOT_SECS: f64 = 900.0;
const SLOTS_A_DAY: i64 = 96;
/// Misses are looked at over four days: what was expected earlier came from fewer days than what is expected now.
const NEWEST: i64 = 4 * SLOTS_A_DAY;
/// A day tells nothing of days. Two tell what they have in common.
const FEWEST_DAYS: f64 = 2.0;

impl Daily {
    /// `None` where less than two days were seen.
    pub(crate) fn of(coarse: &[(f64, f64)], now_secs: f64) -> Option<Self> {
        /// Of the day to come, so much has to be expected by two days.
        const KNOWN: f64 = 0.9;
        let slots = Slots::of(coarse, now_secs)?;
        let next = slots.last + 1;
        let known = (next..next + SLOTS_A_DAY).filter(|slot| slots.before(*slot).count() >= 2).count();
        if (known as f64) < KNOWN * SLOTS_A_DAY as f64 {
            return None;
        }
        // As far back as misses are looked at, and one more than a day ahead: what lies between two slots comes from both.
        let first = slots.first.max(next - NEWEST);
        let expected = slots.expected(first, next + SLOTS_A_DAY);
        let days = u32::try_from((next - slots.first) / SLOTS_A_DAY).unwrap_or(u32::MAX);
        Some(Self { days, strays: missed(&slots, first, &expected), expected, first })
    }

    /// How far the entries stray from it at a time, in entries.
    pub(crate) fn noise(&self, at_secs: f64) -> Noise {
        Noise { sd: (self.strays.sd * self.at(at_secs).unwrap_or(0.0)).max(1.0), ..self.strays }
    }

    /// Expected entries at a time within a day from now; `None` where the days before have a gap, or are too few.
    pub(crate) fn at(&self, at_secs: f64) -> Option<f64> {
        let at = at_secs / SLOT_SECS - 0.5;
        let value = |slot: i64| *self.expected.get(usize::try_from(slot - self.first).ok()?)?;
        let (before, share) = (at.floor(), at - at.floor());
        match (value(whole(before)), value(whole(before) + 1)) {
            (Some(one), Some(other)) => Some(one + share * (other - one)),
            (one, other) => one.or(other),
        }
    }
}

/// How far what was seen lay from what the days before let expect.
fn missed(slots: &Slots, first: i64, expected: &[Option<f64>]) -> Noise {
    /// Half a day at least: fewer slots than that say nothing of a spread.
    const ENOUGH: usize = 48;
    let past = || (first..=slots.last).zip(expected);
    // In shares: where there is more, there is more to miss.
    let miss = |slot: i64, expected: Option<f64>| Some(slots.value(slot)? / expected?.max(1.0) - 1.0);
    // What many days let expect tells most of what many days let expect; of two days the second has missed the first.
    let by = |least: usize| {
        past().map(move |(slot, of)| miss(slot, of.filter(|_| slots.before(slot).count() >= least))).collect::<Vec<_>>()
    };
    let is_enough = |missed: &Vec<Option<f64>>| missed.iter().flatten().count() >= ENOUGH;
    let missed = [3, 2].map(by).into_iter().find(is_enough).unwrap_or_else(|| by(1));
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let variance = mean(missed.iter().flatten().map(|miss| miss * miss).collect());
    // An hour later: four slots.
    let pairs = missed.iter().zip(missed.iter().skip(4));
    let common = mean(pairs.filter_map(|(one, later)| Some((*one)? * (*later)?)).collect());
    let kept = (common / variance.max(f64::MIN_POSITIVE)).clamp(0.01, 0.99);
    Noise { sd: variance.sqrt(), keeps_secs: (-3600.0 / kept.ln()).clamp(SLOT_SECS, 86_400.0) }
}

/// Averages of quarters of an hour.
struct Slots {
    values: Vec<Option<f64>>,
    first: i64,
    last: i64,
}

/// A line through the same time of some days.
struct Days {
    mean: f64,
    /// So many days lie between their middle and the moment.
    before: f64,
    growth_a_day: f64,
    /// Of the growth.
    variance: f64,
}

impl Slots {
    fn of(coarse: &[(f64, f64)], now_secs: f64) -> Option<Self> {
        /// More than a week is not looked at.
        const MOST: i64 = 8 * SLOTS_A_DAY;
        let slot = |(from, _): &(f64, f64)| whole(((from + Span::SECS / 2.0) / SLOT_SECS).floor());
        let last = whole((now_secs / SLOT_SECS).floor());
        let first = slot(coarse.first()?).max(last - MOST);
        let mut values = vec![None; usize::try_from(last - first + 1).ok()?];
        for spans in coarse.chunk_by(|one, other| slot(one) == slot(other)) {
            let mean = spans.iter().map(|(_, entries)| entries).sum::<f64>() / spans.len() as f64;
            let at = spans.first().and_then(|span| usize::try_from(slot(span) - first).ok());
            if let Some(value) = at.and_then(|at| values.get_mut(at)) {
                *value = Some(mean);
            }
        }
        Some(Self { values, first, last })
    }

    fn value(&self, slot: i64) -> Option<f64> {
        *self.values.get(usize::try_from(slot - self.first).ok()?)?
    }

    /// Values at the same time of the days before, and how many days before.
    fn before(&self, slot: i64) -> impl Iterator<Item = (f64, f64)> {
        (1..=8).filter_map(move |day| Some((day as f64, self.value(slot - day * SLOTS_A_DAY)?)))
    }

    /// What the days before let expect of some slots: their mean, and growth from day to day as far as it is more than
    /// chance.
    fn expected(&self, first: i64, last: i64) -> Vec<Option<f64>> {
        /// Growth is looked at over an hour to either side: it changes less within a day than the entries do.
        const AROUND: usize = 4;
        let all: Vec<_> = (first..=last).map(|slot| self.days(slot)).collect();
        let expected = |(at, days): (usize, &Option<Days>)| {
            let days = days.as_ref()?;
            let near = &all[at.saturating_sub(AROUND)..(at + AROUND + 1).min(all.len())];
            let count = near.iter().flatten().count() as f64;
            let mean = |of: &dyn Fn(&Days) -> f64| near.iter().flatten().map(of).sum::<f64>() / count;
            let growth = mean(&|days| days.growth_a_day);
            // What neighbours stray by they have mostly in common, so it is not divided by their number.
            let variance = mean(&|days| days.variance);
            let share = growth.powi(2) / (growth.powi(2) + variance).max(f64::MIN_POSITIVE);
            Some((days.mean + share * growth * days.before).max(0.0))
        };
        all.iter().enumerate().map(expected).collect()
    }

    fn days(&self, slot: i64) -> Option<Days> {
        let count = self.before(slot).count() as f64;
        if count == 0.0 {
            return None;
        }
        let mean =
            |of: &dyn Fn(f64, f64) -> f64| self.before(slot).map(|(day, value)| of(day, value)).sum::<f64>() / count;
        let (day, value) = (mean(&|day, _| day), mean(&|_, value| value));
        let spread = mean(&|at, _| (at - day).powi(2));
        if count <= FEWEST_DAYS || spread == 0.0 {
            // A line through two days fits whatever they are.
            return Some(Days { mean: value, before: day, growth_a_day: 0.0, variance: 0.0 });
        }
        // Days are counted back from the moment.
        let growth = -mean(&|at, entries| (at - day) * (entries - value)) / spread;
        let strays = mean(&|at, entries| (entries - value + growth * (at - day)).powi(2));
        Some(Days { mean: value, before: day, growth_a_day: growth, variance: strays / spread / (count - 2.0) })
    }
}

/// A number of slots: what it is rounded from is whole, and far from the bounds.
#[expect(clippy::cast_possible_truncation, reason = "whole, and within bounds")]
fn whole(slots: f64) -> i64 {
    const FAR: f64 = 1e15;
    slots.clamp(-FAR, FAR) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: f64 = 86_400.0;

    fn spans(days: f64, entries: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        let from = (0..).map(|at| f64::from(at) * Span::SECS).take_while(|from| *from < days * DAY);
        from.map(|from| (from, entries(from + Span::SECS / 2.0))).collect()
    }

    fn up_and_down(at: f64) -> f64 {
        6_000.0 - 3_000.0 * (at / DAY * std::f64::consts::TAU).cos()
    }

    #[test]
    fn a_day_alone_has_no_shape() {
        for (days, is_known) in [(0.5, false), (1.8, false), (2.0, true), (7.0, true)] {
            assert_eq!(Daily::of(&spans(days, up_and_down), days * DAY).is_some(), is_known, "{days} days");
        }
        let with_gap: Vec<_> = spans(4.0, up_and_down).into_iter().filter(|(from, _)| from % DAY > 0.3 * DAY).collect();
        assert!(Daily::of(&with_gap, 4.0 * DAY).is_none(), "a third of each day was never seen");
    }

    #[test]
    fn the_same_day_again_is_expected_and_growth_goes_on() {
        for growth_a_day in [0.0, 300.0] {
            let entries = |at: f64| up_and_down(at) + growth_a_day * at / DAY;
            let daily = Daily::of(&spans(5.3, entries), 5.3 * DAY).unwrap();
            for hour in 0..24 {
                let at = 5.3 * DAY + 3600.0 * f64::from(hour);
                let (expected, truth) = (daily.at(at).unwrap(), entries(at));
                assert!((expected - truth).abs() < 40.0, "{growth_a_day} {hour} h ahead: {expected}, {truth}");
            }
        }
    }

    #[test]
    fn what_is_of_today_is_not_expected_for_today() {
        let leak = |at: f64| up_and_down(at) + 0.2 * (at - 5.0 * DAY).max(0.0);
        let daily = Daily::of(&spans(5.5, leak), 5.5 * DAY).unwrap();
        assert!((daily.at(5.4 * DAY).unwrap() - up_and_down(5.4 * DAY)).abs() < 20.0);
    }

    #[test]
    fn what_days_have_not_in_common_is_its_error() {
        // Each day a tenth more or a twentieth less than usual.
        let entries = |at: f64| up_and_down(at) * if (at / DAY).floor() % 3.0 < 1.0 { 1.1 } else { 0.95 };
        let daily = Daily::of(&spans(7.0, entries), 7.0 * DAY).unwrap();
        let (noon, midnight) = (daily.noise(7.5 * DAY), daily.noise(8.0 * DAY));
        assert!((400.0..1_400.0).contains(&noon.sd) && noon.keeps_secs > 3.0 * 3600.0, "{noon:?}");
        assert!((2.5..3.5).contains(&(noon.sd / midnight.sd)), "a third of the entries stray by a third: {midnight:?}");
    }
}
