//! The framing of netlink: messages in a datagram, attributes in a message (`linux/netlink.h`).

use crate::error::{AttributePath, ParseError, Problem};

/// `NLMSG_ERROR`: an error, or an acknowledgement where the error is 0.
pub(crate) const NLMSG_ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
pub(crate) const NLMSG_DONE: u16 = 3;
/// `struct nlmsghdr`.
pub(crate) const MESSAGE_HEADER_BYTES: usize = 16;
/// `struct nfgenmsg`.
pub(crate) const NFGENMSG_BYTES: usize = 4;
/// `struct nlattr`.
pub(crate) const ATTRIBUTE_HEADER_BYTES: usize = 4;
/// `NLA_TYPE_MASK`: without the bits for "nested" and "network byte order".
const ATTRIBUTE_TYPE_MASK: u16 = 0x3fff;

/// A place in a datagram that is wrong, before the message's type is added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) attribute: AttributePath,
    pub(crate) offset: usize,
    pub(crate) problem: Problem,
}

impl Fault {
    pub(crate) fn at(offset: usize, problem: Problem) -> Self {
        Self { attribute: AttributePath::default(), offset, problem }
    }

    #[cold]
    pub(crate) fn inside(self, kind: u16) -> Self {
        Self { attribute: self.attribute.inside(kind), ..self }
    }

    #[cold]
    pub(crate) fn in_message(self, message_type: u16) -> ParseError {
        ParseError { message_type, attribute: self.attribute, offset: self.offset, problem: self.problem }
    }
}

/// Bytes and where they begin in their datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) offset: usize,
}

impl<'a> Span<'a> {
    /// The value as an array of the size that its type has.
    #[inline]
    fn array<const N: usize>(self) -> Result<[u8; N], Fault> {
        self.bytes
            .try_into()
            .map_err(|_| Fault::at(self.offset, Problem::WrongSize { expected: N, has: self.bytes.len() }))
    }

    #[inline]
    pub(crate) fn u8(self) -> Result<u8, Fault> {
        self.array::<1>().map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn be16(self) -> Result<u16, Fault> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn be32(self) -> Result<u32, Fault> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn ipv4(self) -> Result<[u8; 4], Fault> {
        self.array()
    }

    #[inline]
    pub(crate) fn ipv6(self) -> Result<[u8; 16], Fault> {
        self.array()
    }

    /// Without the fixed header of the subsystem.
    pub(crate) fn after(self, header_bytes: usize) -> Result<Self, Fault> {
        match self.bytes.get(header_bytes..) {
            Some(bytes) => Ok(Self { bytes, offset: self.offset + header_bytes }),
            None => Err(Fault::at(self.offset, Problem::Truncated { needs: header_bytes, has: self.bytes.len() })),
        }
    }

    /// The attributes that these bytes hold.
    pub(crate) const fn attributes(self) -> Attributes<'a> {
        Attributes { rest: self }
    }
}

/// A message in a datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) sequence: u32,
    pub(crate) payload: Span<'a>,
}

/// The messages of a datagram, in order. Ends after the first fault.
#[derive(Clone, Debug)]
pub(crate) struct Messages<'a> {
    rest: Span<'a>,
}

impl<'a> Messages<'a> {
    pub(crate) const fn of(datagram: &'a [u8]) -> Self {
        Self { rest: Span { bytes: datagram, offset: 0 } }
    }

    fn fault(&mut self, kind: u16, problem: Problem) -> ParseError {
        let fault = Fault::at(self.rest.offset, problem);
        self.rest.bytes = &[];
        fault.in_message(kind)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, ParseError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let Span { bytes, offset } = self.rest;
        if bytes.is_empty() {
            return None;
        }
        let Some((header, _)) = bytes.split_first_chunk::<MESSAGE_HEADER_BYTES>() else {
            return Some(Err(self.fault(0, Problem::Truncated { needs: MESSAGE_HEADER_BYTES, has: bytes.len() })));
        };
        let [l0, l1, l2, l3, k0, k1, _, _, s0, s1, s2, s3, ..] = *header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let kind = u16::from_ne_bytes([k0, k1]);
        if length < MESSAGE_HEADER_BYTES {
            return Some(Err(self.fault(kind, Problem::ImpossibleLength { says: length })));
        }
        let Some(payload) = bytes.get(MESSAGE_HEADER_BYTES..length) else {
            return Some(Err(self.fault(kind, Problem::Truncated { needs: length, has: bytes.len() })));
        };
        let end = aligned(length).min(bytes.len());
        self.rest = Span { bytes: &bytes[end..], offset: offset + end };
        Some(Ok(Message {
            kind,
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            payload: Span { bytes: payload, offset: offset + MESSAGE_HEADER_BYTES },
        }))
    }
}

/// An attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    pub(crate) kind: u16,
    pub(crate) value: Span<'a>,
}

/// Attributes in a row. Ends after the first fault.
#[derive(Clone, Debug)]
pub(crate) struct Attributes<'a> {
    rest: Span<'a>,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Fault>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let Span { bytes, offset } = self.rest;
        if bytes.is_empty() {
            return None;
        }
        let Some((&[l0, l1, k0, k1], _)) = bytes.split_first_chunk::<ATTRIBUTE_HEADER_BYTES>() else {
            self.rest.bytes = &[];
            let problem = Problem::Truncated { needs: ATTRIBUTE_HEADER_BYTES, has: bytes.len() };
            return Some(Err(Fault::at(offset, problem)));
        };
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let kind = u16::from_ne_bytes([k0, k1]) & ATTRIBUTE_TYPE_MASK;
        let Some(value) = bytes.get(ATTRIBUTE_HEADER_BYTES..length) else {
            self.rest.bytes = &[];
            let problem = if length < ATTRIBUTE_HEADER_BYTES {
                Problem::ImpossibleLength { says: length }
            } else {
                Problem::Truncated { needs: length, has: bytes.len() }
            };
            return Some(Err(Fault::at(offset, problem).inside(kind)));
        };
        let end = aligned(length).min(bytes.len());
        self.rest = Span { bytes: &bytes[end..], offset: offset + end };
        Some(Ok(Attribute { kind, value: Span { bytes: value, offset: offset + ATTRIBUTE_HEADER_BYTES } }))
    }
}

/// Messages and attributes begin at multiples of four.
pub(crate) const fn aligned(length: usize) -> usize {
    (length + 3) & !3
}
