//! What a table holds and what comes to it, as a rehearsal of what will be begins with it.

use plimsoll_model::{Entry, Interval, NamespaceSnapshot};

use crate::Series;
use crate::arrivals::Arrivals;
use crate::table::Table;

/// What a table holds, and what comes to it.
#[derive(Clone, Debug)]
pub struct Present<'a> {
    /// What comes, as far as entries date it.
    pub rates: Vec<Rate>,
    /// The drawn entries.
    pub entries: Vec<PresentEntry<'a>>,
    /// Live entries that a drawn one stands for.
    pub per_drawn: Interval,
}

/// How fast entries of one kind come now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// What they are.
    pub series: Series,
    /// A second.
    pub per_sec: Interval,
}

/// A drawn entry.
#[derive(Clone, Copy, Debug)]
pub struct PresentEntry<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It expires when its time is up: its state is one that no packet arms again.
    Expires,
    /// It cannot be told: packets arm it again, as often as its flow sends any.
    Open,
}

/// What a namespace's table holds and what comes to it; `None` where its entries were not read.
pub fn present(ns: &NamespaceSnapshot) -> Option<Present<'_>> {
    let table = Table::of(ns, &|_| true)?;
    let of = |fate| move |entry| PresentEntry { entry, fate };
    let expiring = table.dated.iter().map(|dated| dated.entry).map(of(Fate::Expires));
    let open = table.undated.iter().map(|drawn| &drawn.entry).map(of(Fate::Open));
    let rates = Arrivals::of(&table);
    Some(Present {
        rates: rates.iter().map(|arrivals| Rate { series: arrivals.series, per_sec: arrivals.per_sec }).collect(),
        entries: expiring.chain(open).collect(),
        per_drawn: table.per_drawn,
    })
}
