//! The IP header, and IPv6's extension headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use plimsoll_model::{Layer4, Protocol, Tuple};

/// A datagram's addresses, protocol, and what lies behind its headers.
#[derive(Clone, Copy)]
pub(super) struct Datagram<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: Protocol,
    /// As much as is there.
    pub(super) payload: &'a [u8],
    /// As much as there should be.
    pub(super) payload_length: usize,
    /// TTL or hop limit.
    pub(super) hops: u8,
}

impl<'a> Datagram<'a> {
    /// Reads a datagram; `None` where tracking cannot tell its protocol (`get_l4proto`).
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::of_v4(bytes),
            6 => Self::of_v6(bytes, usize::from(u16::from_be_bytes([*bytes.get(4)?, *bytes.get(5)?]))),
            _ => None,
        }
    }

    /// Reads what an ICMP error quotes: the beginning of a datagram, whose length nobody looks at.
    pub(super) fn of_quoted(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::behind_v4(bytes, bytes.len()),
            6 => Self::of_v6(bytes, bytes.len().checked_sub(40)?),
            _ => None,
        }
    }

    #[inline]
    pub(super) const fn tuple(&self, layer4: Layer4) -> Tuple {
        Tuple { source: self.source, destination: self.destination, protocol: self.protocol, layer4 }
    }

    /// The same, of an IPv4 datagram.
    #[inline]
    pub(super) fn of_v4(bytes: &'a [u8]) -> Option<Self> {
        let [version, _, high, low] = *bytes.first_chunk()?;
        if version >> 4 != 4 {
            return None;
        }
        Self::behind_v4(bytes, u16::from_be_bytes([high, low]).into())
    }

    #[inline]
    fn behind_v4(bytes: &'a [u8], total: usize) -> Option<Self> {
        const FRAGMENT_OFFSET: u16 = 0x1fff;
        let header: &[u8; 20] = bytes.first_chunk()?;
        let header_length = usize::from(header[0] & 0xf) * 4;
        let fragment = u16::from_be_bytes([header[6], header[7]]);
        if header_length < header.len() || total < header_length || fragment & FRAGMENT_OFFSET != 0 {
            return None;
        }
        let [source, destination] = [12, 16].map(|at| {
            let octets = header.get(at..).and_then(|octets| octets.first_chunk()).copied();
            Ipv4Addr::from_octets(octets.unwrap_or_default())
        });
        Some(Self {
            source: source.into(),
            destination: destination.into(),
            protocol: Protocol(header[9]),
            payload: bytes.get(header_length..bytes.len().min(total)).unwrap_or_default(),
            payload_length: total - header_length,
            hops: header[8],
        })
    }

    fn of_v6(bytes: &'a [u8], length: usize) -> Option<Self> {
        let (header, behind) = bytes.split_first_chunk::<40>()?;
        let behind = behind.get(..length.min(behind.len()))?;
        let mut source = [0; 16];
        let mut destination = [0; 16];
        source.copy_from_slice(&header[8..24]);
        destination.copy_from_slice(&header[24..40]);
        let (protocol, skipped) = behind_extensions(header[6], behind)?;
        Some(Self {
            source: Ipv6Addr::from(source).into(),
            destination: Ipv6Addr::from(destination).into(),
            protocol: Protocol(protocol),
            payload: behind.get(skipped..).unwrap_or_default(),
            payload_length: length.checked_sub(skipped)?,
            hops: header[7],
        })
    }
}

/// The protocol behind IPv6's extension headers, and how long they are (`ipv6_skip_exthdr`).
fn behind_extensions(mut next: u8, bytes: &[u8]) -> Option<(u8, usize)> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const AUTHENTICATION: u8 = 51;
    const NONE: u8 = 59;
    const DESTINATION: u8 = 60;
    let mut at = 0;
    loop {
        if !matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | NONE | DESTINATION) {
            return Some((next, at));
        }
        if next == NONE {
            return None;
        }
        let [following, length, high, low, ..] = *bytes.get(at..)? else { return None };
        at += match next {
            // What is not the first fragment has no header of its protocol.
            FRAGMENT if u16::from_be_bytes([high, low]) & 0xfff8 != 0 => return None,
            FRAGMENT => 8,
            AUTHENTICATION => (usize::from(length) + 2) * 4,
            _ => (usize::from(length) + 1) * 8,
        };
        next = following;
    }
}
