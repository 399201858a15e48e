//! A flow's tuples, packed: the same for a tuple and for that of its answers.

use std::net::IpAddr;

use plimsoll_model::{Layer4, Protocol, Tuple};
use plimsoll_twin::inverted;

/// What tells a flow from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// The halves of both addresses, upper ones first; of IPv4, lower ones alone.
    addresses: [u64; 4],
    /// Of 64 bits, the upper half is what lies behind the addresses in the tuple; then the protocol, and which IP it is.
    rest: u64,
}

/// One of a flow's two tuples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The one that the key is made of.
    Key,
    /// Its answers'. A tuple that answers itself is the key's.
    Other,
}

impl Key {
    /// That of a tuple's flow, and which of the two the tuple is; `None` of ICMP that is no query and no answer to one.
    #[inline]
    pub(super) fn of(tuple: &Tuple) -> Option<(Self, Which)> {
        let [source, destination] = [tuple.source, tuple.destination].map(halves);
        let [own, answers] = match tuple.layer4 {
            Layer4::Ports { source, destination } => [source, destination].map(u32::from),
            Layer4::Icmp { kind, .. } => match inverted(tuple)?.layer4 {
                Layer4::Icmp { kind: answer, .. } => [kind, answer].map(u32::from),
                _ => return None,
            },
            Layer4::None => [0, 0],
        };
        let which = if (source, own) <= (destination, answers) { Which::Key } else { Which::Other };
        let ([[a, b], [c, d]], [first, second]) = match which {
            Which::Key => ([source, destination], [own, answers]),
            Which::Other => ([destination, source], [answers, own]),
        };
        // Of ICMP the pair of types is known by either.
        let behind = match tuple.layer4 {
            Layer4::Icmp { id, code, .. } => u32::from(id) << 16 | u32::from(code) << 8 | first,
            Layer4::Ports { .. } | Layer4::None => first << 16 | second,
        };
        let version = u64::from(tuple.source.is_ipv6());
        Some((
            Self {
                addresses: [a, b, c, d],
                rest: u64::from(behind) << 32 | u64::from(tuple.protocol.0) << 8 | version,
            },
            which,
        ))
    }

    /// Spreads keys. Who does not know the seeds cannot make keys that lie together.
    #[inline]
    pub(super) const fn hash(&self, seeds: &[u64; 4]) -> u32 {
        let [a, b, c, d] = self.addresses;
        let first = fold(a ^ seeds[0], b ^ seeds[1]);
        let second = fold(c ^ seeds[2], d ^ seeds[3]);
        (fold(first ^ self.rest, second ^ seeds[0]) >> 32) as u32
    }

    #[expect(clippy::cast_possible_truncation, reason = "eight bits of it are the protocol")]
    pub(super) const fn protocol(&self) -> Protocol {
        Protocol((self.rest >> 8) as u8)
    }
}

/// Both halves of a product.
#[expect(clippy::cast_possible_truncation, reason = "halves")]
const fn fold(one: u64, other: u64) -> u64 {
    let product = one as u128 * other as u128;
    product as u64 ^ (product >> 64) as u64
}

#[expect(clippy::cast_possible_truncation, reason = "halves")]
fn halves(address: IpAddr) -> [u64; 2] {
    match address {
        IpAddr::V4(address) => [0, address.to_bits().into()],
        IpAddr::V6(address) => [(address.to_bits() >> 64) as u64, address.to_bits() as u64],
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_draw::Draw;

    use super::*;

    fn drawn(draw: &mut Draw) -> Tuple {
        let is_v6 = draw.below(2) == 0;
        let address = |draw: &mut Draw| -> IpAddr {
            match u8::try_from(draw.below(3)).unwrap() {
                host if is_v6 => [0x20, 1, host, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1].into(),
                host => [10, 0, 0, host].into(),
            }
        };
        let small = |draw: &mut Draw, below| u8::try_from(draw.below(below)).unwrap();
        let (protocol, layer4) = match draw.below(4) {
            0 => (Protocol(99), Layer4::None),
            1 => {
                let kinds: [u8; 4] = if is_v6 { [128, 129, 139, 140] } else { [8, 0, 13, 14] };
                let kind = kinds[draw.below(4) as usize];
                let protocol = if is_v6 { Protocol::ICMPV6 } else { Protocol::ICMP };
                (protocol, Layer4::Icmp { id: small(draw, 2).into(), kind, code: small(draw, 2) })
            }
            other => {
                let protocol = if other == 2 { Protocol::TCP } else { Protocol::UDP };
                let ports = Layer4::Ports { source: small(draw, 3).into(), destination: small(draw, 3).into() };
                (protocol, ports)
            }
        };
        Tuple { source: address(draw), destination: address(draw), protocol, layer4 }
    }

    #[test]
    fn tuples_have_one_key_where_they_are_one_flows_and_only_there() {
        let mut draw = Draw::new(5);
        for _ in 0..300_000 {
            let [one, other] = [(); 2].map(|()| drawn(&mut draw));
            let answer = inverted(&one).unwrap();
            let [(key, which), (key_of_other, which_of_other)] = [one, other].map(|tuple| Key::of(&tuple).unwrap());
            assert_eq!(key == key_of_other, one == other || answer == other, "{one:?} {other:?}");
            if key == key_of_other {
                assert_eq!(which == which_of_other, one == other, "{one:?} {other:?}");
            }
            assert_eq!(Key::of(&answer).unwrap().0, key);
        }
        let unreachable = Layer4::Icmp { id: 0, kind: 3, code: 0 };
        assert_eq!(Key::of(&Tuple { protocol: Protocol::ICMP, layer4: unreachable, ..drawn(&mut draw) }), None);
    }
}
