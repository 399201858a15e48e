//! In which order lists are.

use std::cmp::Ordering;

use crate::known::Table;

/// In which order lists are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// The fullest table, the largest group, the worst finding first.
    #[default]
    Most,
    /// What loses most, of tables; as `Most` otherwise.
    Losing,
    /// By name.
    Name,
}

impl Order {
    pub(crate) const fn next(self) -> Self {
        match self {
            Self::Most => Self::Losing,
            Self::Losing => Self::Name,
            Self::Name => Self::Most,
        }
    }

    /// What comes first.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Most => "fullest",
            Self::Losing => "losing most",
            Self::Name => "name",
        }
    }

    /// Of two tables, which comes first.
    pub(crate) fn of_tables(self, one: &Table, other: &Table) -> Ordering {
        let by = |key: fn(&Table) -> f64| key(other).total_cmp(&key(one));
        let by_name = || one.namespace.name.cmp(&other.namespace.name);
        match self {
            Self::Most => by(fullness).then_with(by_name),
            Self::Losing => by(losses).then_with(|| by(fullness)).then_with(by_name),
            Self::Name => by_name(),
        }
    }
}

/// Where it is not known, it comes last.
fn fullness(table: &Table) -> f64 {
    table.occupancy.map_or(-1.0, |occupancy| f64::from(occupancy.0))
}

fn losses(table: &Table) -> f64 {
    let rates = table.rates;
    [rates.dropped, rates.insert_failed, rates.early_drop].into_iter().flatten().sum()
}
