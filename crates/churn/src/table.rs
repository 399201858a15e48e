//! A table's drawn entries, dated where that can be done.

use std::collections::{HashMap, HashSet};

use plimsoll_model::{Census, Coverage, Drawn, Entry, Interval, NamespaceSnapshot};

use crate::Series;
use crate::dating::{Dated, Dating};
use crate::lag::lag_secs;
use crate::poisson;
use crate::ports::{PortSpace, Triple, Weight, weigh};

/// The entries of a table, or a part of them.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    pub(crate) census: &'a Census,
    pub(crate) dating: Dating<'a>,
    /// Live entries that a drawn one stands for.
    pub(crate) per_drawn: Interval,
    /// How long what has expired stays in the count.
    pub(crate) lag_secs: Interval,
    pub(crate) dated: Vec<DatedEntry<'a>>,
    /// The others, crowded ones among them.
    pub(crate) undated: Vec<&'a Drawn>,
    /// Half-open entries of pairs that have nearly all their ports taken. Another SYN from such a port neither makes an
    /// entry nor arms it again: how fast SYNs come these do not tell, and as soon as one expires the next takes its place.
    crowded: Vec<DatedEntry<'a>>,
    pub(crate) spaces: HashMap<Triple, PortSpace>,
}

/// A drawn entry whose state tells its age.
#[derive(Debug)]
pub(crate) struct DatedEntry<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) dated: Dated,
    pub(crate) weight: Weight,
}

impl DatedEntry<'_> {
    pub(crate) fn remaining_secs(&self) -> f64 {
        // The kernel rounds down; in the middle it is half a second more.
        f64::from(self.entry.remaining_secs.unwrap_or(0)) + 0.5
    }
}

impl<'a> Table<'a> {
    /// `None` where no entries were read.
    pub(crate) fn of(ns: &'a NamespaceSnapshot, part: &dyn Fn(&Drawn) -> bool) -> Option<Self> {
        let census = ns.census.as_ref()?;
        let dating = Dating::of(ns, census);
        let lag_secs = lag_secs(census);
        let per_drawn = per_drawn(census, &lag_secs);
        let mut dated = Vec::new();
        let mut undated = Vec::new();
        for drawn in census.drawn.iter().filter(|drawn| part(drawn)) {
            match dating.date(&drawn.entry) {
                Some(date) => dated.push((drawn, date)),
                None => undated.push(drawn),
            }
        }
        let ages: Vec<_> = dated.iter().map(|(drawn, dated)| (&drawn.entry, dated.age_secs)).collect();
        let (weights, spaces) = weigh(&ages, per_drawn.value, ns.settings.local_ports);
        let crowds = crowds(&dated, per_drawn.value, &spaces);
        let (mut alone, mut crowded) = (Vec::new(), Vec::new());
        for ((drawn, dated), weight) in dated.into_iter().zip(weights) {
            let entry = DatedEntry { entry: &drawn.entry, dated, weight };
            if is_half_open(&dated) && Triple::of(&drawn.entry).is_some_and(|(triple, _)| crowds.contains(&triple)) {
                crowded.push(entry);
                undated.push(drawn);
            } else {
                alone.push(entry);
            }
        }
        Some(Self { census, dating, per_drawn, lag_secs, dated: alone, undated, crowded, spaces })
    }

    pub(crate) fn of_series(&self, series: Series) -> impl Iterator<Item = &DatedEntry<'a>> {
        self.dated.iter().chain(&self.crowded).filter(move |entry| entry.dated.series == series)
    }

    /// The drawn entries of this part.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &'a Entry> {
        self.dated.iter().map(|entry| entry.entry).chain(self.undated.iter().map(|drawn| &drawn.entry))
    }

    /// How many arrivals each of the oldest entries stands for: the others' places were taken by younger ones.
    pub(crate) fn replaced(&self) -> Weight {
        let oldest = self.dated.iter().filter(|entry| entry.dated.age_secs * 4 >= entry.dated.timeout_secs * 3);
        let (mut count, mut sum) = (0.0, Weight { likely: 0.0, most: 0.0 });
        for entry in oldest {
            count += 1.0;
            sum = Weight { likely: sum.likely + entry.weight.likely, most: sum.most + entry.weight.most };
        }
        if count == 0.0 { Weight::ONE } else { Weight { likely: sum.likely / count, most: sum.most / count } }
    }

    /// Entries of this part among the drawn ones.
    pub(crate) fn drawn(&self) -> usize {
        self.dated.len() + self.undated.len()
    }

    /// Whether every live entry was drawn, so that their number has no error.
    pub(crate) fn share_drawn(&self) -> f64 {
        (1.0 / self.per_drawn.high).clamp(0.0, 1.0)
    }
}

fn is_half_open(dated: &Dated) -> bool {
    matches!(dated.series, Series::HalfOpen | Series::Answered)
}

/// The pairs that have nearly all ports taken by half-open entries.
fn crowds(dated: &[(&Drawn, Dated)], per_drawn: f64, spaces: &HashMap<Triple, PortSpace>) -> HashSet<Triple> {
    const NEARLY_ALL: f64 = 0.8;
    let mut taken = HashMap::<Triple, f64>::new();
    let half_open = dated.iter().filter(|(_, dated)| is_half_open(dated));
    for (triple, _) in half_open.filter_map(|(drawn, _)| Triple::of(&drawn.entry)) {
        *taken.entry(triple).or_default() += per_drawn;
    }
    let is_crowd = |triple: &Triple, taken: f64| {
        spaces.get(triple).is_some_and(|space| taken >= NEARLY_ALL * f64::from(space.fewest))
    };
    taken.into_iter().filter(|(triple, taken)| is_crowd(triple, *taken)).map(|(triple, _)| triple).collect()
}

/// How many live entries each drawn one stands for. A sample knows only how many entries the kernel counts, expired ones
/// among them, which wait until gc comes by. That they came to expire as fast as the next ones will is assumed.
fn per_drawn(census: &Census, lag_secs: &Interval) -> Interval {
    const NEXT_SECS: u32 = 5;
    let drawn = census.drawn.len() as f64;
    if drawn == 0.0 {
        return Interval::exact(1.0);
    }
    let counted = census.live.high as f64;
    if census.coverage == Coverage::Complete {
        return Interval::exact(counted / drawn);
    }
    let next = census.drawn.iter().filter(|drawn| drawn.entry.remaining_secs.is_some_and(|secs| secs < NEXT_SECS));
    let next = next.count() as u64;
    let live = |next: f64, after_secs: f64| {
        let expired = next / f64::from(NEXT_SECS) * after_secs;
        (counted * drawn / (drawn + expired)).max(census.live.low as f64) / drawn
    };
    Interval {
        low: live(poisson::expected(next).1, lag_secs.high),
        value: live(next as f64, lag_secs.value),
        high: live(0.0, lag_secs.low),
    }
}
