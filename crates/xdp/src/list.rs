//! Allowed and dropped networks as one list, which is searched once for each packet.

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll_model::Network;

use crate::config::{Config, Dropped};

/// What becomes of a listed network's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    Allowed,
    Dropped { until: Duration },
}

/// The networks of a configuration, so that the longest that holds a source decides: what is allowed always is, and a short time
/// for a small network does not cut short a longer one for a large network around it.
pub(crate) fn compiled(config: &Config) -> BTreeMap<Network, Listed> {
    let mut listed: BTreeMap<Network, Listed> = BTreeMap::new();
    for &Dropped { network, until } in &config.dropped {
        let dropped = Listed::Dropped { until };
        listed.entry(network).and_modify(|other| *other = other.within(dropped)).or_insert(dropped);
    }
    listed.extend(config.allowed.iter().map(|network| (*network, Listed::Allowed)));

    // In this order a network comes behind all that cover it.
    let mut around: Vec<(Network, Listed)> = Vec::new();
    for (network, own) in &mut listed {
        around.truncate(around.iter().take_while(|(outer, _)| outer.covers(*network)).count());
        if let Some((_, outer)) = around.last() {
            *own = own.within(*outer);
        }
        around.push((*network, *own));
    }
    listed
}

impl Listed {
    /// What becomes of a network in another one.
    fn within(self, outer: Self) -> Self {
        match (self, outer) {
            (Self::Dropped { until }, Self::Dropped { until: longer }) => Self::Dropped { until: until.max(longer) },
            (Self::Allowed, _) | (_, Self::Allowed) => Self::Allowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn compiled(allowed: &[&str], dropped: &[(&str, u64)]) -> Vec<(String, Option<u64>)> {
        let config = testing::lists(allowed, dropped);
        let shown = |(network, listed): (&Network, &Listed)| match listed {
            Listed::Allowed => (network.to_string(), None),
            Listed::Dropped { until } => (network.to_string(), Some(until.as_secs())),
        };
        super::compiled(&config).iter().map(shown).collect()
    }

    #[test]
    fn the_longest_time_of_all_networks_around_a_source_counts() {
        let dropped =
            [("10.1.0.0/16", 50), ("10.0.0.0/8", 9), ("10.1.2.3/32", 7), ("10.1.2.3/32", 3), ("10.2.0.0/16", 4)];
        let expected = [("10.0.0.0/8", 9), ("10.1.0.0/16", 50), ("10.1.2.3/32", 50), ("10.2.0.0/16", 9)];
        assert_eq!(compiled(&[], &dropped), expected.map(|(network, secs)| (network.to_string(), Some(secs))));
    }

    #[test]
    fn what_is_allowed_is_allowed_whatever_is_dropped_within_or_around_it() {
        let dropped = [("0.0.0.0/0", 9), ("10.1.2.0/24", 8), ("10.1.2.3/32", 7), ("::/0", 1)];
        let expected = [
            ("0.0.0.0/0", Some(9)),
            ("10.1.0.0/16", None),
            ("10.1.2.0/24", None),
            ("10.1.2.3/32", None),
            ("::/0", Some(1)),
            ("2001:db8::/32", None),
        ];
        let expected = expected.map(|(network, secs)| (network.to_string(), secs));
        assert_eq!(compiled(&["10.1.0.0/16", "2001:db8::/32"], &dropped), expected);
        assert_eq!(compiled(&["10.0.0.1/32"], &[("10.0.0.1/32", 4)]), [("10.0.0.1/32".to_string(), None)]);
    }
}
