//! Ports that are used again before their entry has expired: the younger entry takes the place of the older.

use std::collections::HashMap;
use std::net::IpAddr;

use plimsoll_model::{Entry, Layer4, Protocol};

/// Between whom: one side has to choose a port for each flow, and has no more of them than there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Triple {
    protocol: Protocol,
    source: IpAddr,
    destination: IpAddr,
    destination_port: u16,
}

impl Triple {
    pub(crate) fn of(entry: &Entry) -> Option<(Self, u16)> {
        let Layer4::Ports { source, destination } = entry.original.layer4 else { return None };
        let tuple = &entry.original;
        let triple = Self {
            protocol: tuple.protocol,
            source: tuple.source,
            destination: tuple.destination,
            destination_port: destination,
        };
        Some((triple, source))
    }
}

/// The widest ranges that sources choose from: all but the well-known ports, and all. Port 0 is none.
const WIDEST: Span = Span { first: 1024, last: 65_535 };
const ALL: Span = Span { first: 1, last: 65_535 };

/// Ranges that systems choose from: Linux' `ip_local_port_range` as compiled in, and the IANA's (RFC 6335), which
/// Windows and the BSDs use.
const USUAL: [Span; 2] = [Span { first: 49_152, last: 65_535 }, Span { first: 32_768, last: 60_999 }];

/// So many ports seen that are all even or all odd, or all within a range of less than half of all, are no chance any
/// more (2^-9).
const TELLING: usize = 10;

#[derive(Clone, Copy, Debug)]
struct Span {
    first: u16,
    last: u16,
}

impl Span {
    fn ports(self) -> u32 {
        u32::from(self.last - self.first) + 1
    }

    fn holds(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

/// How many ports a source has to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortSpace {
    /// The fewest that fit what is seen.
    pub(crate) fewest: u32,
    /// The most that fit what is seen.
    pub(crate) most: u32,
}

impl PortSpace {
    /// From the ports seen, and how many are taken. Linux' connect(2) takes ports of one parity while it finds any free or fit for
    /// use again (`__inet_hash_connect`): half of the range.
    fn of(ports: &[u16], taken: f64, local_ports: Option<(u16, u16)>) -> Self {
        let seen =
            Span { first: ports.iter().copied().min().unwrap_or(0), last: ports.iter().copied().max().unwrap_or(0) };
        let widest = if WIDEST.holds(seen) { WIDEST } else { ALL };
        let local = local_ports.filter(|(first, last)| first <= last).map(|(first, last)| Span { first, last });
        let fits = local.into_iter().chain(USUAL).filter(|span| span.holds(seen)).map(Span::ports);
        let holds_taken = |ports: &u32| taken <= f64::from(*ports);
        let span = fits.filter(holds_taken).fold(widest.ports(), u32::min);
        let is_telling = ports.len() >= TELLING;
        let is_one_parity = ports.windows(2).all(|pair| pair[0] % 2 == pair[1] % 2) && holds_taken(&(span / 2));
        Self {
            fewest: if is_telling && is_one_parity { span / 2 } else { span },
            most: if is_telling { span } else { widest.ports() },
        }
    }
}

/// How many entries an entry of some age stands for, given that younger ones may have taken ports of older ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Weight {
    /// Where ports are chosen at random from the fewest that fit.
    pub(crate) likely: f64,
    /// Where they are chosen in runs that happen to meet.
    pub(crate) most: f64,
}

impl Weight {
    pub(crate) const ONE: Self = Self { likely: 1.0, most: 1.0 };
}

/// Of every port in a run Linux uses one in 4.5 on the average, so entries of one time live or die together (the
/// `get_random_u32_below(8)` in `__inet_hash_connect`): chance weighs so much more.
const CLUMPING: f64 = 1.0 / 4.5;

/// How often a port may have been taken again since: of ports that were so twice, a seventh is left, and where nearly
/// all are taken, how much more there was cannot be told.
const MOST_HITS: f64 = 2.0;

/// The weight of each of some dated entries, in their order, and the port space of each pair that is seen often.
pub(crate) fn weigh(
    entries: &[(&Entry, u32)],
    per_drawn: f64,
    local_ports: Option<(u16, u16)>,
) -> (Vec<Weight>, HashMap<Triple, PortSpace>) {
    let mut by_triple = HashMap::<Triple, Vec<(u32, usize, u16)>>::new();
    for (index, (entry, age_secs)) in entries.iter().enumerate() {
        if let Some((triple, port)) = Triple::of(entry) {
            by_triple.entry(triple).or_default().push((*age_secs, index, port));
        }
    }
    let mut weights = vec![Weight::ONE; entries.len()];
    let mut spaces = HashMap::new();
    for (triple, mut members) in by_triple {
        if members.len() < 2 {
            continue;
        }
        members.sort_unstable();
        let ports: Vec<_> = members.iter().map(|(_, _, port)| *port).collect();
        let space = PortSpace::of(&ports, members.len() as f64 * per_drawn, local_ports);
        spaces.insert(triple, space);
        // From the youngest to the oldest: of ports chosen at random, exp(−younger/ports) are left.
        let mut younger = 0.0;
        for (_, index, _) in members {
            let hits = (younger / f64::from(space.fewest)).min(MOST_HITS);
            let weight =
                Weight { likely: hits.exp(), most: (hits + crate::poisson::Z * (CLUMPING * hits).sqrt()).exp() };
            weights[index] = weight;
            younger += weight.likely * per_drawn;
        }
    }
    (weights, spaces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_space_is_the_smallest_that_fits() {
        assert_eq!(PortSpace::of(&[40_000, 60_999], 0.0, None).fewest, 28_232);
        assert_eq!(PortSpace::of(&[50_000, 65_000], 0.0, None).fewest, 16_384);
        assert_eq!(PortSpace::of(&[2_000, 65_000], 0.0, None).fewest, 64_512);
        assert_eq!(PortSpace::of(&[2_000, 2_500], 0.0, Some((2_000, 2_999))).fewest, 1_000);
        let even: Vec<_> = (0..20).map(|n| 40_000 + 2 * n).collect();
        assert_eq!(PortSpace::of(&even, 0.0, None).fewest, 14_116);
        assert_eq!(PortSpace::of(&even, 0.0, None).most, 28_232);
        assert_eq!(PortSpace::of(&even[..9], 0.0, None).most, 64_512);
        assert_eq!(PortSpace::of(&even, 20_000.0, None).fewest, 28_232, "more are taken than one parity has");
        assert_eq!(PortSpace::of(&even, 30_000.0, None).fewest, 32_256, "more are taken than the usual range has");
        assert_eq!(PortSpace::of(&[22, 40_000], 0.0, None).fewest, 65_535);
    }

    #[test]
    fn where_all_ports_are_taken_weights_stay_finite() {
        let address = IpAddr::from([127, 0, 0, 1]);
        let entries: Vec<_> = (0..1000)
            .map(|port| {
                let layer4 = Layer4::Ports { source: 40_000 + port, destination: 443 };
                let tuple =
                    plimsoll_model::Tuple { source: address, destination: address, protocol: Protocol::TCP, layer4 };
                Entry::of(tuple)
            })
            .collect();
        let aged: Vec<_> = entries.iter().zip(0..).collect();
        let (weights, _) = weigh(&aged, 1.0, Some((40_000, 40_999)));
        assert!(weights.iter().all(|weight| weight.likely <= weight.most && weight.most < 30.0));
        let (first, last) = (weights[0], weights[999]);
        assert!(last.likely > 7.0 && first == Weight::ONE, "{last:?}, {first:?}");
    }
}
