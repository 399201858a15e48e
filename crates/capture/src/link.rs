//! Link layers: where in a frame the IP packet begins.

use crate::byte_order::ByteOrder;
use crate::skipped::Reason;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// 802.1Q, 802.1ad, and what was used for the latter before there was a standard.
const ETHERTYPES_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// A link layer, by the numbers of tcpdump.org/linktypes.html.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// 1.
    Ethernet,
    /// 113: what Linux gives for all interfaces at once, or for one without a link header of its own.
    Cooked,
    /// 276: the same with the interface's index.
    Cooked2,
    /// 101; 12 and 14 in files written without regard for the number's meaning elsewhere.
    Raw,
    /// 228.
    Ipv4,
    /// 229.
    Ipv6,
    /// 0: an address family in the byte order of the machine that captured.
    Null,
    /// 108: an address family in network order.
    Loop,
}

impl Link {
    /// The link layer of a number, if it is a known one.
    pub(crate) fn of(number: u16) -> Option<Self> {
        Some(match number {
            0 => Self::Null,
            1 => Self::Ethernet,
            12 | 14 | 101 => Self::Raw,
            108 => Self::Loop,
            113 => Self::Cooked,
            228 => Self::Ipv4,
            229 => Self::Ipv6,
            276 => Self::Cooked2,
            _ => return None,
        })
    }
}

/// The rest of a frame from the IP header on. That it is IP is only what the link header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    pub(crate) version: Version,
    pub(crate) bytes: &'a [u8],
}

/// Which IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V6,
}

impl<'a> Packet<'a> {
    /// The packet in a frame.
    #[inline]
    pub(crate) fn of(link: Link, frame: &'a [u8]) -> Result<Self, Reason> {
        match link {
            Link::Ethernet => {
                let (header, rest) = split::<14>(frame)?;
                by_ethertype([header[12], header[13]], rest)
            }
            Link::Cooked => {
                let (header, rest) = split::<16>(frame)?;
                by_ethertype([header[14], header[15]], rest)
            }
            Link::Cooked2 => {
                let (header, rest) = split::<20>(frame)?;
                by_ethertype([header[0], header[1]], rest)
            }
            Link::Raw => match frame.first().ok_or(Reason::HeadersCut)? >> 4 {
                4 => Ok(Self::v4(frame)),
                6 => Ok(Self::v6(frame)),
                _ => Err(Reason::Version),
            },
            Link::Ipv4 => Ok(Self::v4(frame)),
            Link::Ipv6 => Ok(Self::v6(frame)),
            Link::Null => {
                let (family, rest) = split::<4>(frame)?;
                // No family is above 65,535, so that the order shows; the file may have been rewritten in another.
                let order = if family[0] == 0 && family[1] == 0 { ByteOrder::Big } else { ByteOrder::Little };
                by_family(order.u32(*family), rest)
            }
            Link::Loop => {
                let (family, rest) = split::<4>(frame)?;
                by_family(ByteOrder::Big.u32(*family), rest)
            }
        }
    }

    const fn v4(bytes: &'a [u8]) -> Self {
        Self { version: Version::V4, bytes }
    }

    const fn v6(bytes: &'a [u8]) -> Self {
        Self { version: Version::V6, bytes }
    }
}

#[inline]
fn split<const BYTES: usize>(frame: &[u8]) -> Result<(&[u8; BYTES], &[u8]), Reason> {
    frame.split_first_chunk().ok_or(Reason::LinkHeaderCut)
}

#[inline]
fn by_ethertype(ethertype: [u8; 2], rest: &[u8]) -> Result<Packet<'_>, Reason> {
    let (mut ethertype, mut rest) = (u16::from_be_bytes(ethertype), rest);
    loop {
        match ethertype {
            ETHERTYPE_IPV4 => return Ok(Packet::v4(rest)),
            ETHERTYPE_IPV6 => return Ok(Packet::v6(rest)),
            _ if ETHERTYPES_VLAN.contains(&ethertype) => {
                let (tag, behind) = split::<4>(rest)?;
                ethertype = u16::from_be_bytes([tag[2], tag[3]]);
                rest = behind;
            }
            _ => return Err(Reason::NotIp),
        }
    }
}

/// By `AF_INET`, which is 2 everywhere, and `AF_INET6`, which is 10 on Linux, 24 on NetBSD and OpenBSD, 28 on FreeBSD
/// and 30 on macOS.
fn by_family(family: u32, rest: &[u8]) -> Result<Packet<'_>, Reason> {
    match family {
        2 => Ok(Packet::v4(rest)),
        10 | 24 | 28 | 30 => Ok(Packet::v6(rest)),
        _ => Err(Reason::NotIp),
    }
}
