//! A flow's tuples, packed: the same for a tuple and for that of its answers.

use std::net::{IpAddr, Ipv4Addr};

use plimsoll_model::{Layer4, Tuple};
use plimsoll_twin::inverted;

/// What tells a flow from others of its IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key<A> {
    addresses: [A; 2],
    /// The upper half is what lies behind the addresses in the tuple; then the protocol.
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

/// An address, packed.
pub(super) trait Address: Copy + Ord {
    /// Spreads two of them. Who does not know the seeds cannot make pairs that come together.
    fn spread(pair: [Self; 2], seeds: &Seeds) -> u64;
}

/// What a hash is drawn by.
pub(super) type Seeds = [u64; 4];

/// IPv4's.
pub(super) type Narrow = u32;

/// The halves of IPv6's, the upper one first.
pub(super) type Wide = [u64; 2];

impl Address for Narrow {
    #[inline]
    fn spread([one, other]: [Self; 2], seeds: &Seeds) -> u64 {
        fold((u64::from(one) << 32 | u64::from(other)) ^ seeds[0], seeds[1])
    }
}

impl Address for Wide {
    #[inline]
    fn spread([[a, b], [c, d]]: [Self; 2], seeds: &Seeds) -> u64 {
        fold(fold(a ^ seeds[0], b ^ seeds[1]) ^ seeds[0], fold(c ^ seeds[2], d ^ seeds[3]) ^ seeds[1])
    }
}

#[inline]
pub(super) const fn narrow(address: Ipv4Addr) -> Narrow {
    address.to_bits()
}

/// Of IPv4's as IPv6 has it mapped.
#[expect(clippy::cast_possible_truncation, reason = "halves")]
pub(super) const fn wide(address: IpAddr) -> Wide {
    let bits = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    };
    [(bits >> 64) as u64, bits as u64]
}

impl<A: Address> Key<A> {
    /// That of a tuple's flow, and which of the two the tuple is; `None` of ICMP that is no query and no answer to one. The tuple's
    /// addresses are these.
    #[inline]
    pub(super) fn of(tuple: &Tuple, [source, destination]: [A; 2]) -> Option<(Self, Which)> {
        let [own, answers] = match tuple.layer4 {
            Layer4::Ports { source, destination } => [source, destination].map(u32::from),
            Layer4::Icmp { kind, .. } => [kind, answering_type(tuple)?].map(u32::from),
            Layer4::None => [0, 0],
        };
        let which = if (source, own) <= (destination, answers) { Which::Key } else { Which::Other };
        let (addresses, [first, second]) = match which {
            Which::Key => ([source, destination], [own, answers]),
            Which::Other => ([destination, source], [answers, own]),
        };
        // Of ICMP the pair of types is known by either.
        let behind = match tuple.layer4 {
            Layer4::Icmp { id, code, .. } => u32::from(id) << 16 | u32::from(code) << 8 | first,
            Layer4::Ports { .. } | Layer4::None => first << 16 | second,
        };
        Some((Self { addresses, rest: u64::from(behind) << 32 | u64::from(tuple.protocol.0) }, which))
    }

    /// Spreads keys. Who does not know the seeds cannot make keys that lie together.
    #[inline]
    pub(super) fn hash(&self, seeds: &Seeds) -> u32 {
        (fold(A::spread(self.addresses, seeds) ^ self.rest, seeds[2]) >> 32) as u32
    }
}

/// Of which type ICMP's answers to a tuple are.
#[inline(never)]
fn answering_type(tuple: &Tuple) -> Option<u8> {
    match inverted(tuple)?.layer4 {
        Layer4::Icmp { kind, .. } => Some(kind),
        _ => None,
    }
}

/// Both halves of a product.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "halves")]
const fn fold(one: u64, other: u64) -> u64 {
    let product = one as u128 * other as u128;
    product as u64 ^ (product >> 64) as u64
}
