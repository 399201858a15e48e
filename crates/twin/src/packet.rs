//! A packet, as far as connection tracking looks at it.

use std::net::IpAddr;

use plimsoll_model::Tuple;

/// A packet behind defragmentation, as it comes to the tracking hook.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Packet<'a> {
    /// It belongs to a flow.
    Flow {
        /// Whose, in the direction in which it goes, before any translation.
        tuple: Tuple,
        /// What the flow's tracker looks at.
        content: Content<'a>,
    },
    /// An ICMP error about another packet.
    IcmpError(IcmpError),
    /// `ICMPv6` that is never tracked: neighbour and router discovery, multicast listeners
    /// (`noct_valid_new` in `nf_conntrack_proto_icmpv6.c`).
    Unwatched,
    /// No header of a transport protocol can be had: a counted `invalid`.
    Unreadable,
}

/// What a flow's tracker looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Content<'a> {
    /// TCP.
    Tcp(Segment),
    /// UDP, UDP-Lite, ICMP and `ICMPv6` queries, GRE, and whatever has no tracker: the tuple says all.
    Plain,
    /// SCTP.
    Sctp(Chunks<'a>),
    /// The transport header is cut off, or its checksum wrong. An entry is looked for, and allocated, all the same, before the
    /// tracker refuses the packet (`nf_conntrack_in`).
    Malformed,
}

/// A TCP segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Flags, as the header's 14th byte has them ([`flags`]).
    pub flags: u8,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number, whether or not the flag is set.
    pub acknowledgement: u32,
    /// Window, not scaled.
    pub window: u16,
    /// Bytes of payload.
    pub payload_bytes: u32,
    /// The highest right edge of the SACK blocks, if it lies beyond the acknowledgement; else the acknowledgement
    /// (`tcp_sack`).
    pub highest_sack: u32,
    /// Options; `None` where the header has no room for any, which is not the same as none that is known.
    pub options: Option<TcpOptions>,
}

/// Options of a TCP segment that tracking takes note of (`tcp_options`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Window scale (RFC 7323), as it was sent.
    pub window_scale: Option<u8>,
    /// Whether selective acknowledgements are permitted (RFC 2018).
    pub sack_permitted: bool,
}

/// TCP flags (RFC 9293).
pub mod flags {
    /// The sender has sent all.
    pub const FIN: u8 = 0x01;
    /// Sequence numbers begin here.
    pub const SYN: u8 = 0x02;
    /// The connection is aborted.
    pub const RST: u8 = 0x04;
    /// Data to be handed on at once.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number holds.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer holds.
    pub const URG: u8 = 0x20;
    /// ECN echo.
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u8 = 0x80;
}

impl Segment {
    /// A segment without options, payload or SACK.
    pub const fn new(flags: u8, sequence: u32, acknowledgement: u32, window: u16) -> Self {
        Self {
            flags,
            sequence,
            acknowledgement,
            window,
            payload_bytes: 0,
            highest_sack: acknowledgement,
            options: None,
        }
    }

    /// Whether a flag is set.
    pub const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether it neither opens nor closes: it acknowledges, with data or without.
    #[inline]
    pub(crate) const fn only_acknowledges(&self) -> bool {
        self.flags & !(flags::PSH | flags::ECE | flags::CWR) == flags::ACK
    }

    /// Whether it is a SYN, and nothing else that matters.
    #[inline]
    pub(crate) const fn only_opens(&self) -> bool {
        self.flags & !(flags::PSH | flags::ECE | flags::CWR) == flags::SYN
    }

    /// The sequence number behind it: SYN and FIN take one each.
    pub const fn end(&self) -> u32 {
        self.sequence
            .wrapping_add(self.payload_bytes)
            .wrapping_add(self.has(flags::SYN) as u32)
            .wrapping_add(self.has(flags::FIN) as u32)
    }
}

/// The chunks of an SCTP packet, and its verification tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks<'a> {
    /// Verification tag, in host byte order.
    pub tag: u32,
    /// All behind the common header.
    pub bytes: &'a [u8],
}

/// An ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// Where it goes.
    pub destination: IpAddr,
    /// Whether translation can rewrite what it quotes: not in a redirect, and not where it quotes less than the eight bytes
    /// of a transport header that it must (RFC 792).
    pub is_translatable: bool,
    /// The packet that it is about, as it is quoted; `None` where the message itself is broken, of an unknown type, or
    /// quotes too little.
    pub about: Option<Tuple>,
}
