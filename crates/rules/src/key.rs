//! What rules look at, and how its values are written.

use std::net::IpAddr;

use plimsoll_model::Protocol;

use crate::model::Opaque;
use crate::numbers::Numbers;

/// Something that a rule looks at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// What a class of packets says.
    Field(Field),
    /// `ct state`, and whether the flow is translated: numbers of [`EntryBit`].
    State,
    /// Direction of the packet in its flow: 0 original, 1 reply.
    Direction,
    /// Bits of the packet's mark.
    Mark {
        /// Which bits.
        mask: u32,
    },
    /// Bits of the entry's mark.
    EntryMark {
        /// Which bits.
        mask: u32,
    },
    /// Flags of TCP, of these bits.
    TcpFlags {
        /// Which bits.
        mask: u8,
    },
    /// Something that is not reckoned with.
    Other(Opaque),
}

/// A field of a packet, or of its way, that a class of packets restricts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// `NFPROTO_IPV4` (2) or `NFPROTO_IPV6` (10).
    Family,
    /// Protocol behind the IP header.
    Protocol,
    /// Source address.
    Source,
    /// Destination address.
    Destination,
    /// Source port.
    SourcePort,
    /// Destination port.
    DestinationPort,
    /// Type of ICMP or ICMPv6.
    IcmpType,
    /// Device that it came by, its name as [`interface`] has it; [`NO_INTERFACE`] where there is none.
    InInterface,
    /// Device that it goes by.
    OutInterface,
    /// What the routing table says of the source: `RTN_*` of `linux/rtnetlink.h`.
    SourceKind,
    /// What it says of the destination.
    DestinationKind,
}

/// `NFPROTO_IPV4`.
pub const IPV4: u128 = 2;
/// `NFPROTO_IPV6`.
pub const IPV6: u128 = 10;
/// `RTN_UNICAST`.
pub const UNICAST: u128 = 1;
/// `RTN_LOCAL`.
pub const LOCAL: u128 = 2;
/// What the kernel compares with where a packet has no such device: an empty name.
pub const NO_INTERFACE: u128 = 0;

impl Field {
    /// All fields.
    pub const ALL: [Self; 11] = [
        Self::Family,
        Self::Protocol,
        Self::Source,
        Self::Destination,
        Self::SourcePort,
        Self::DestinationPort,
        Self::IcmpType,
        Self::InInterface,
        Self::OutInterface,
        Self::SourceKind,
        Self::DestinationKind,
    ];

    /// All values that it may have.
    pub fn every(self) -> Numbers {
        let most = match self {
            Self::Family => return [Numbers::one(IPV4), Numbers::one(IPV6)].into_iter().collect(),
            Self::Protocol | Self::IcmpType => 255,
            Self::Source | Self::Destination | Self::InInterface | Self::OutInterface => u128::MAX,
            Self::SourcePort | Self::DestinationPort => 65_535,
            // RTN_NAT.
            Self::SourceKind | Self::DestinationKind => 10,
        };
        Numbers::range(0, most)
    }
}

/// What `ct state` and `ct status` tell of a packet, by the kernel's bits (`NF_CT_STATE_*`, and of `IPS_*` the two of
/// translation, moved up as `xt_conntrack` has them).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryBit {
    /// It belongs to no flow, or tracking has not seen it yet.
    Invalid,
    /// It belongs to a flow.
    Established,
    /// It belongs to another flow's expectation, or is an error about one.
    Related,
    /// It begins a flow.
    New,
    /// It is not tracked.
    Untracked,
    /// The flow's source is translated.
    Snat,
    /// The flow's destination is translated.
    Dnat,
}

impl EntryBit {
    /// Its number.
    pub const fn number(self) -> u128 {
        match self {
            Self::Invalid => 1,
            Self::Established => 2,
            Self::Related => 4,
            Self::New => 8,
            Self::Untracked => 64,
            Self::Snat => 128,
            Self::Dnat => 256,
        }
    }

    /// By nft's name, or in capitals iptables'.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "invalid" => Self::Invalid,
            "established" => Self::Established,
            "related" => Self::Related,
            "new" => Self::New,
            "untracked" => Self::Untracked,
            "snat" => Self::Snat,
            "dnat" => Self::Dnat,
            _ => return None,
        })
    }
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Family,
    Protocol,
    Address,
    Port,
    IcmpType,
    Icmpv6Type,
    Interface,
    RouteType,
    State,
    Direction,
    Number,
}

impl Kind {
    /// A value as a person or a program writes it; `None` where it is not understood.
    pub(crate) fn read(self, text: &str) -> Option<Numbers> {
        if self == Self::Interface {
            return interface(text);
        }
        if self == Self::Address {
            return address(text);
        }
        let named = match self {
            Self::Family => match text {
                "ipv4" | "ip" => Some(IPV4),
                "ipv6" | "ip6" => Some(IPV6),
                _ => return None,
            },
            Self::Protocol => protocol(text).map(|protocol| u128::from(protocol.0)),
            Self::IcmpType => icmp_type(text),
            Self::Icmpv6Type => icmpv6_type(text),
            Self::RouteType => address_kind(text),
            Self::State => EntryBit::named(text).map(EntryBit::number),
            Self::Direction => match text {
                "original" | "ORIGINAL" => Some(0),
                "reply" | "REPLY" => Some(1),
                _ => None,
            },
            _ => None,
        };
        named.or_else(|| number(text)).map(Numbers::one)
    }
}

/// A number in decimal or, after `0x`, hexadecimal digits.
pub(crate) fn number(text: &str) -> Option<u128> {
    match text.strip_prefix("0x") {
        Some(digits) => u128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// An address, or a prefix with its length or mask.
pub(crate) fn address(text: &str) -> Option<Numbers> {
    let (text, length) = text.split_once('/').map_or((text, None), |(text, length)| (text, Some(length)));
    let address: IpAddr = text.parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = match length {
        None => width,
        Some(length) => match length.parse::<u32>() {
            Ok(bits) => bits,
            Err(_) => contiguous(address_number(length.parse().ok()?), width)?,
        },
    };
    (bits <= width).then(|| Numbers::prefix(address_number(address), bits, width))
}

/// How many bits a mask has, where they are all at its beginning.
fn contiguous(mask: u128, width: u32) -> Option<u32> {
    let bits = mask.count_ones();
    (Numbers::prefix(mask, bits, width).spans().first()?.first == mask
        && mask.trailing_zeros().min(width) == width - bits)
        .then_some(bits)
}

/// An address as a number.
pub fn address_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The names that a name of an interface stands for: itself, or all that begin alike, where it ends in `*` (nft) or `+` (iptables).
/// A name is the sixteen bytes that the kernel compares.
pub fn interface(name: &str) -> Option<Numbers> {
    let (prefix, rest) = match name.strip_suffix(['*', '+']) {
        Some(prefix) => (prefix, 0xff),
        None => (name, 0),
    };
    if prefix.len() > 15 {
        return None;
    }
    let filled = |rest: u8| {
        let mut bytes = [rest; 16];
        bytes.iter_mut().zip(prefix.bytes()).for_each(|(to, from)| *to = from);
        u128::from_be_bytes(bytes)
    };
    Some(Numbers::range(filled(0), filled(rest)))
}

/// A protocol by its name or number.
fn protocol(name: &str) -> Option<Protocol> {
    let known = [
        Protocol::ICMP,
        Protocol::TCP,
        Protocol::UDP,
        Protocol::DCCP,
        Protocol::GRE,
        Protocol::ICMPV6,
        Protocol::SCTP,
        Protocol::UDPLITE,
    ];
    let found = known.into_iter().find(|known| known.name() == Some(name));
    found.or(match name {
        "ipv6-icmp" => Some(Protocol::ICMPV6),
        "igmp" => Some(Protocol(2)),
        "ipencap" | "ipip" => Some(Protocol(4)),
        "ipv6" => Some(Protocol(41)),
        "esp" => Some(Protocol(50)),
        "ah" => Some(Protocol(51)),
        "ospf" | "ospfigp" => Some(Protocol(89)),
        "vrrp" => Some(Protocol(112)),
        _ => None,
    })
}

/// RFC 792 and its successors, as nft and iptables name them.
fn icmp_type(name: &str) -> Option<u128> {
    Some(match name {
        "echo-reply" => 0,
        "destination-unreachable" => 3,
        "source-quench" => 4,
        "redirect" => 5,
        "echo-request" => 8,
        "router-advertisement" => 9,
        "router-solicitation" => 10,
        "time-exceeded" => 11,
        "parameter-problem" => 12,
        "timestamp-request" => 13,
        "timestamp-reply" => 14,
        "info-request" => 15,
        "info-reply" => 16,
        "address-mask-request" => 17,
        "address-mask-reply" => 18,
        _ => return None,
    })
}

/// RFC 4443, 2710, 4861, 3810, as nft and ip6tables name them.
fn icmpv6_type(name: &str) -> Option<u128> {
    Some(match name {
        "destination-unreachable" => 1,
        "packet-too-big" => 2,
        "time-exceeded" => 3,
        "parameter-problem" => 4,
        "echo-request" => 128,
        "echo-reply" => 129,
        "mld-listener-query" => 130,
        "mld-listener-report" => 131,
        "mld-listener-done" | "mld-listener-reduction" => 132,
        "nd-router-solicit" | "router-solicitation" => 133,
        "nd-router-advert" | "router-advertisement" => 134,
        "nd-neighbor-solicit" | "neighbour-solicitation" => 135,
        "nd-neighbor-advert" | "neighbour-advertisement" => 136,
        "nd-redirect" | "redirect" => 137,
        "router-renumbering" => 138,
        "ind-neighbor-solicit" => 141,
        "ind-neighbor-advert" => 142,
        "mld2-listener-report" => 143,
        _ => return None,
    })
}

/// `RTN_*` of `linux/rtnetlink.h`, as nft names them and, in capitals, iptables.
fn address_kind(name: &str) -> Option<u128> {
    const NAMES: [&str; 11] = [
        "unspec",
        "unicast",
        "local",
        "broadcast",
        "anycast",
        "multicast",
        "blackhole",
        "unreachable",
        "prohibit",
        "throw",
        "nat",
    ];
    NAMES.iter().position(|known| known.eq_ignore_ascii_case(name)).and_then(|at| u128::try_from(at).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_lengths_and_masks() {
        assert_eq!(address("10.0.0.0/255.255.0.0"), Some(Numbers::prefix(0x0a00_0000, 16, 32)));
        assert_eq!(address("10.1.2.3"), Some(Numbers::one(0x0a01_0203)));
        assert_eq!(address("0.0.0.0/0.0.0.0"), Some(Numbers::range(0, 0xffff_ffff)));
        assert_eq!(address("2001:db8::/32"), Some(Numbers::prefix(0x2001_0db8 << 96, 32, 128)));
        for odd in ["", "10.0.0.0/33", "10.0.0.0/255.0.255.0", "10.0.0.0/x", "::/129"] {
            assert_eq!(address(odd), None, "{odd}");
        }
    }

    #[test]
    fn names_of_interfaces_stand_for_themselves_or_for_all_that_begin_alike() {
        let names = |text| interface(text).unwrap();
        let eth0 = names("eth0").single().unwrap();
        assert!(names("eth*").has(eth0) && names("eth+").has(eth0) && names("+").has(eth0));
        assert!(!names("eth1*").has(eth0) && !names("eth").has(eth0));
        assert_eq!(interface("a-name-of-sixteen"), None);
    }
}
