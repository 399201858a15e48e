//! A fragment of a datagram.

/// What the fragments of one datagram have in common (RFC 791 §3.2, RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    V4 { source: [u8; 4], destination: [u8; 4], id: [u8; 2], protocol: u8 },
    V6 { source: [u8; 16], destination: [u8; 16], id: [u8; 4] },
}

/// A fragment, whole, as it was captured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fragment<'a> {
    pub(crate) key: Key,
    pub(crate) headers: Headers<'a>,
    /// Its part of what was cut into fragments, which begins at `offset` there.
    pub(crate) payload: &'a [u8],
    pub(crate) offset: u32,
    pub(crate) follows: Follows,
    pub(crate) ecn: Ecn,
}

/// What stands before the payload and is in every fragment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Headers<'a> {
    /// The IPv4 header.
    V4(&'a [u8]),
    /// The headers before the fragment header. One of them names it as the next; the whole datagram has none, and this
    /// byte is `next_header` there.
    V6 { bytes: &'a [u8], next_header_at: usize, next_header: u8 },
}

/// Whether there is more behind a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follows {
    More,
    Nothing,
}

/// The ECN codepoints of some fragments, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ecn(u8);

impl Ecn {
    const NOT_CAPABLE: u8 = 1 << 0b00;
    const CONGESTED: u8 = 1 << 0b11;

    /// Of a TOS or traffic class byte.
    pub(crate) fn of(traffic_class: u8) -> Self {
        Self(1 << (traffic_class & 0b11))
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether fragments with and without ECN are among them.
    pub(crate) fn is_mixed(self) -> bool {
        self.0 & Self::NOT_CAPABLE != 0 && self.0 != Self::NOT_CAPABLE
    }

    /// The bits that the whole datagram has beyond those of its first fragment: congestion that any of them met.
    pub(crate) fn congestion(self) -> u8 {
        if self.0 & Self::CONGESTED != 0 { 0b11 } else { 0 }
    }
}
