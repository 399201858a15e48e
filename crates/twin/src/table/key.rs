//! A tuple with all else that must agree, packed: what is hashed and compared.

use std::net::IpAddr;

use plimsoll_model::{Layer4, Protocol, Tuple, Zone};

use super::line::Ends;
use crate::tuple::answering_type;
use crate::{NamespaceId, Place};

/// What a look-up asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(super) scope: Scope,
    pub(super) layer4: u32,
    pub(super) addresses: Addresses,
}

/// Where a tuple means something: the same addresses elsewhere are others'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    pub(super) namespace: NamespaceId,
    pub(super) zone: Zone,
    pub(super) protocol: Protocol,
}

/// Source and destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Addresses {
    /// IPv4.
    Narrow([u32; 2]),
    /// IPv6: four words of each, the highest first.
    Wide([Words; 2]),
}

/// An IPv6 address.
pub(super) type Words = [u32; 4];

impl Key {
    pub(super) const NOTHING: Self = Self {
        scope: Scope { namespace: NamespaceId(0), zone: Zone(0), protocol: Protocol(0) },
        layer4: 0,
        addresses: Addresses::Narrow([0; 2]),
    };

    #[inline]
    pub(crate) fn new(tuple: &Tuple, place: Place) -> Self {
        Self::narrow(tuple, place)
            .unwrap_or_else(|| Self::by(tuple, place, Addresses::Wide([tuple.source, tuple.destination].map(words))))
    }

    /// Of IPv4.
    #[inline]
    pub(crate) const fn narrow(tuple: &Tuple, place: Place) -> Option<Self> {
        match (tuple.source, tuple.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                Some(Self::by(tuple, place, Addresses::Narrow([source.to_bits(), destination.to_bits()])))
            }
            _ => None,
        }
    }

    #[inline]
    const fn by(tuple: &Tuple, place: Place, addresses: Addresses) -> Self {
        let Place { namespace, zone } = place;
        let [first, second] = match tuple.layer4 {
            Layer4::Ports { source, destination } => [source, destination],
            Layer4::Icmp { id, kind, code } => [id, u16::from_be_bytes([kind, code])],
            Layer4::None => [0, 0],
        };
        Self {
            scope: Scope { namespace, zone, protocol: tuple.protocol },
            layer4: (first as u32) << 16 | second as u32,
            addresses,
        }
    }

    /// The tuple, if it is IPv4's, and ports are all that it says.
    #[inline]
    pub(super) const fn plain(&self) -> Option<Ends> {
        match self.addresses {
            Addresses::Narrow(addresses) if !self.is_icmp() => Some(Ends { addresses, layer4: self.layer4 }),
            _ => None,
        }
    }

    const fn is_icmp(&self) -> bool {
        matches!(self.scope.protocol, Protocol::ICMP | Protocol::ICMPV6)
    }

    /// The key of what answers to it at the same place (see [`crate::inverted`]).
    #[inline]
    pub(crate) const fn answer(&self) -> Option<Self> {
        let addresses = match self.addresses {
            Addresses::Narrow([source, destination]) => Addresses::Narrow([destination, source]),
            Addresses::Wide([source, destination]) => Addresses::Wide([destination, source]),
        };
        let protocol = self.scope.protocol;
        let layer4 = if self.is_icmp() {
            let [id_high, id_low, kind, code] = self.layer4.to_be_bytes();
            match answering_type(protocol, kind) {
                Some(kind) => u32::from_be_bytes([id_high, id_low, kind, code]),
                None => return None,
            }
        } else {
            self.layer4.rotate_left(16)
        };
        Some(Self { layer4, addresses, ..*self })
    }

    pub(crate) const fn place(&self) -> Place {
        Place { namespace: self.scope.namespace, zone: self.scope.zone }
    }

    pub(crate) const fn protocol(&self) -> Protocol {
        self.scope.protocol
    }

    pub(crate) fn tuple(&self) -> Tuple {
        let [source, destination] = match self.addresses {
            Addresses::Narrow(addresses) => addresses.map(|address| IpAddr::V4(address.into())),
            Addresses::Wide(addresses) => addresses.map(|words| IpAddr::V6(bits(words).into())),
        };
        let protocol = self.scope.protocol;
        let (first, second) = ((self.layer4 >> 16) as u16, (self.layer4 & 0xffff) as u16);
        let layer4 = match protocol {
            Protocol::ICMP | Protocol::ICMPV6 => {
                let [kind, code] = second.to_be_bytes();
                Layer4::Icmp { id: first, kind, code }
            }
            // Where these have no tracker nobody looks for ports.
            Protocol::UDPLITE | Protocol::DCCP if self.layer4 == 0 => Layer4::None,
            Protocol::TCP | Protocol::UDP | Protocol::UDPLITE | Protocol::SCTP | Protocol::DCCP | Protocol::GRE => {
                Layer4::Ports { source: first, destination: second }
            }
            _ => Layer4::None,
        };
        Tuple { source, destination, protocol, layer4 }
    }

    /// Spreads as the kernel's siphash does (`hash_conntrack_raw`), so that buckets fill alike, and is quick. An answer's hash is
    /// [`answering`].
    #[inline]
    pub(super) fn hash(&self, seed: u64) -> u32 {
        let Scope { namespace, zone, protocol } = self.scope;
        let rest = u64::from(namespace.0) << 48 | u64::from(zone.0) << 32 | u64::from(protocol.0) << 24;
        let ([source_port, destination_port], id) = self.ports_and_id();
        let [source, destination] = match self.addresses {
            Addresses::Narrow(addresses) => addresses.map(u64::from),
            Addresses::Wide(addresses) => addresses.map(|address| {
                let bits = bits(address);
                fold(low(bits >> 64) ^ seed.rotate_left(21), low(bits) ^ ODD.rotate_left(13)) >> 16
            }),
        };
        let (source, destination) =
            (source << 16 | u64::from(source_port), destination << 16 | u64::from(destination_port));
        // Of a flow's two ends the lower one comes first, whoever sends.
        let ends = fold(source.min(destination) ^ seed, source.max(destination) ^ ODD);
        let hash = (fold(ends ^ rest ^ u64::from(id), seed.rotate_left(42) ^ ODD.rotate_left(29)) >> 32) as u32;
        // Who answers itself has one tuple, and so one hash.
        if source == destination {
            return hash & 0xffff | hash << 16;
        }
        // Without a branch: from which side the next packet comes is not foreseen.
        hash.rotate_left(if source > destination { ANSWERS_BY } else { 0 })
    }

    /// Ports, and what is the same in both directions. Those of ICMP are its type, and the answering one.
    #[inline]
    const fn ports_and_id(&self) -> ([u16; 2], u32) {
        let [source, destination] = [(self.layer4 >> 16) as u16, (self.layer4 & 0xffff) as u16];
        if !self.is_icmp() {
            return ([source, destination], 0);
        }
        let [kind, code] = destination.to_be_bytes();
        let answering = match answering_type(self.scope.protocol, kind) {
            Some(kind) => kind,
            None => kind,
        };
        ([kind as u16, answering as u16], (source as u32) << 8 | code as u32)
    }
}

/// The hash of what answers to a tuple with this hash: it has the same halves, swapped.
#[inline]
pub(super) const fn answering(hash: u32) -> u32 {
    hash.rotate_left(ANSWERS_BY)
}

/// So many bits are half of them.
const ANSWERS_BY: u32 = 16;

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

fn words(address: IpAddr) -> Words {
    let bits = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let bytes = bits.to_be_bytes();
    std::array::from_fn(|word| u32::from_be_bytes(std::array::from_fn(|byte| bytes[word * 4 + byte])))
}

fn bits(words: Words) -> u128 {
    words.into_iter().fold(0, |bits, word| bits << 32 | u128::from(word))
}

const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    low(product) ^ low(product >> 64)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
const fn low(bits: u128) -> u64 {
    bits as u64
}

#[cfg(test)]
mod tests {
    use super::super::index::Tag;
    use super::*;

    fn place(namespace: u16, zone: u16) -> Place {
        Place { namespace: NamespaceId(namespace), zone: Zone(zone) }
    }

    #[test]
    fn a_key_holds_its_tuple() {
        let v6 = Tuple {
            source: "2001:db8::1".parse().unwrap(),
            destination: "2001:db8::2".parse().unwrap(),
            protocol: Protocol::ICMPV6,
            layer4: Layer4::Icmp { id: 0xfffe, kind: 128, code: 3 },
        };
        let v4 = Tuple {
            source: "255.255.255.254".parse().unwrap(),
            destination: "192.0.2.1".parse().unwrap(),
            protocol: Protocol::TCP,
            layer4: Layer4::Ports { source: 65_535, destination: 443 },
        };
        for tuple in [v4, v6] {
            assert_eq!(Key::new(&tuple, place(3, 7)).tuple(), tuple);
            assert_ne!(Key::new(&tuple, place(3, 7)), Key::new(&tuple, place(3, 8)));
            assert_ne!(Key::new(&tuple, place(3, 7)), Key::new(&tuple, place(2, 7)));
        }
    }

    #[test]
    fn an_answer_is_the_inverted_tuples() {
        let layers = [
            (Protocol::TCP, Layer4::Ports { source: 1, destination: 0xfffe }),
            (Protocol::GRE, Layer4::Ports { source: 7, destination: 9 }),
            (Protocol::ICMP, Layer4::Icmp { id: 5, kind: 8, code: 1 }),
            (Protocol::ICMP, Layer4::Icmp { id: 5, kind: 3, code: 1 }),
            (Protocol::ICMPV6, Layer4::Icmp { id: 5, kind: 129, code: 0 }),
            (Protocol(89), Layer4::None),
            (Protocol::DCCP, Layer4::None),
        ];
        for (source, destination) in [("192.0.2.1", "10.0.0.1"), ("2001:db8::1", "2001:db8:2::2")] {
            for (protocol, layer4) in layers {
                let [source, destination] = [source, destination].map(|address| address.parse().unwrap());
                let tuple = Tuple { source, destination, protocol, layer4 };
                let key = |tuple: &Tuple| Key::new(tuple, place(1, 2));
                assert_eq!(key(&tuple).answer(), crate::inverted(&tuple).as_ref().map(key), "{tuple:?}");
                if let Some(answer) = key(&tuple).answer() {
                    assert_eq!(answer.hash(3), answering(key(&tuple).hash(3)), "{tuple:?}");
                }
                let itself = Tuple { destination: tuple.source, ..tuple };
                if let Some(answer) = key(&itself).answer() {
                    assert_eq!(answer.hash(3), answering(key(&itself).hash(3)), "{itself:?}");
                }
                assert_eq!(key(&tuple).tuple(), tuple);
            }
        }
    }

    /// Chains of a good hash are as long as those that chance makes: at one node a bucket, 36.8 % are empty. So it is with tuples, with
    /// their answers, and with the tags of both.
    #[test]
    fn tuples_that_differ_little_are_spread_as_chance_spreads_them() {
        for place_of in [|hash: u32| hash, answering, |hash: u32| Tag::of(hash).number()] {
            let mut counts = vec![0; 4096];
            for port in 0..4096 {
                let tuple = Tuple {
                    source: "10.0.0.1".parse().unwrap(),
                    destination: "192.0.2.1".parse().unwrap(),
                    protocol: Protocol::TCP,
                    layer4: Layer4::Ports { source: port, destination: 443 },
                };
                counts[(place_of(Key::new(&tuple, place(0, 0)).hash(1)) >> 20) as usize] += 1;
            }
            let empty = counts.iter().filter(|count| **count == 0).count();
            // 1507 are expected, with a standard deviation of about 20.
            assert!((1400..1620).contains(&empty), "{empty}");
        }
    }
}
