//! The shape of the days before.

use crate::history::Span;
use crate::line::median;
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
        let before: Vec<_> = (first..=next + SLOTS_A_DAY).map(|slot| slots.mean_before(slot)).collect();
        let miss = |(slot, before): (i64, &Option<Before>)| {
            let before = (*before)?;
            Some(Missed { share: slots.value(slot)? / before.mean.max(1.0) - 1.0, before })
        };
        let missed: Vec<_> = (first..=slots.last).zip(&before).map(miss).collect();
        let growth = Growth::of(&missed);
        let expected = before.iter().map(|before| before.map(|before| before.mean * growth.over(&before))).collect();
        let days = u32::try_from((next - slots.first) / SLOTS_A_DAY).unwrap_or(u32::MAX);
        Some(Self { days, strays: strays(&missed, &growth), expected, first })
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
fn strays(missed: &[Option<Missed>], growth: &Growth) -> Noise {
    /// Half a day at least: fewer slots than that say nothing of a spread.
    const ENOUGH: usize = 48;
    // What many days let expect tells most of what many days let expect; of two days the second has missed the first.
    let by = |least: usize| {
        let stray = |missed: &Missed| (1.0 + missed.share) / growth.over(&missed.before).max(0.01) - 1.0;
        let of = |missed: &Option<Missed>| missed.as_ref().filter(|missed| missed.before.days >= least).map(stray);
        missed.iter().map(of).collect::<Vec<_>>()
    };
    let is_enough = |strays: &Vec<Option<f64>>| strays.iter().flatten().count() >= ENOUGH;
    let strays = [3, 2].map(by).into_iter().find(is_enough).unwrap_or_else(|| by(1));
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let variance = mean(strays.iter().flatten().map(|stray| stray * stray).collect());
    let ago = mean(missed.iter().flatten().map(|missed| missed.before.ago.powi(2)).collect());
    // An hour later: four slots.
    let pairs = strays.iter().zip(strays.iter().skip(4));
    let common = mean(pairs.filter_map(|(one, later)| Some((*one)? * (*later)?)).collect());
    let kept = (common / variance.max(f64::MIN_POSITIVE)).clamp(0.01, 0.99);
    Noise {
        sd: (variance + growth.variance * ago).sqrt(),
        keeps_secs: (-3600.0 / kept.ln()).clamp(SLOT_SECS, 86_400.0),
    }
}

/// Averages of quarters of an hour.
struct Slots {
    values: Vec<Option<f64>>,
    first: i64,
    last: i64,
}

/// The same time of the days before.
#[derive(Clone, Copy)]
struct Before {
    /// So many days.
    days: usize,
    /// Their mean.
    mean: f64,
    /// How many days lie between their middle and the moment.
    ago: f64,
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

    fn mean_before(&self, slot: i64) -> Option<Before> {
        let days = self.before(slot).count();
        let mean = |of: &dyn Fn((f64, f64)) -> f64| self.before(slot).map(of).sum::<f64>() / days as f64;
        (days > 0).then(|| Before { days, mean: mean(&|(_, value)| value), ago: mean(&|(day, _)| day) })
    }
}

/// What the days before missed in the past.
struct Missed {
    before: Before,
    /// As a share: where there is more, there is more to miss.
    share: f64,
}

/// Growth from day to day, as a share: the same for peaks and valleys, since where there are more users there is more of
/// everything.
#[derive(Clone, Copy)]
struct Growth {
    a_day: f64,
    variance: f64,
}

impl Growth {
    /// What the days before missed by for their age, as far as it is more than chance. The median of it: what leaks, or
    /// storms, for some hours of some days is no growth.
    fn of(missed: &[Option<Missed>]) -> Self {
        let sum = |of: &dyn Fn(&Missed) -> f64| missed.iter().flatten().map(of).sum::<f64>();
        let weight = sum(&|missed| missed.before.ago.powi(2));
        if weight == 0.0 {
            return Self { a_day: 0.0, variance: 0.0 };
        }
        let mut growths: Vec<_> = missed.iter().flatten().map(|missed| missed.share / missed.before.ago).collect();
        let a_day = median(&mut growths).unwrap_or(0.0);
        let strays = sum(&|missed| (missed.share - a_day * missed.before.ago).powi(2)) / sum(&|_| 1.0);
        // What slots stray by they have mostly in common with their day: a day is one value, not as many as it has slots.
        let variance = strays / (weight / SLOTS_A_DAY as f64);
        let share = a_day.powi(2) / (a_day.powi(2) + variance).max(f64::MIN_POSITIVE);
        Self { a_day: share * a_day, variance: share * variance }
    }

    /// By so much there is more than there was.
    fn over(&self, before: &Before) -> f64 {
        (1.0 + self.a_day * before.ago).max(0.0)
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
        for growth_a_day in [0.0, 0.05] {
            let entries = |at: f64| up_and_down(at) * (1.0 + growth_a_day * at / DAY);
            let daily = Daily::of(&spans(5.3, entries), 5.3 * DAY).unwrap();
            for hour in 0..24 {
                let at = 5.3 * DAY + 3600.0 * f64::from(hour);
                let (expected, truth) = (daily.at(at).unwrap(), entries(at));
                assert!((expected - truth).abs() < 0.01 * truth, "{growth_a_day} {hour} h ahead: {expected}, {truth}");
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
