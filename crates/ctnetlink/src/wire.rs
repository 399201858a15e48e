//! The framing of netlink: messages in a datagram, attributes in a message (`linux/netlink.h`).

use crate::error::{AttributePath, ParseError, Problem};

/// `NLMSG_ERROR`: an error, or an acknowledgement where the error is 0.
pub(crate) const NLMSG_ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
pub(crate) const NLMSG_DONE: u16 = 3;
/// `struct nlmsghdr`.
pub(crate) const MESSAGE_HEADER_BYTES: usize = 16;
/// `struct nfgenmsg`, `struct genlmsghdr`.
pub(crate) const FIXED_HEADER_BYTES: usize = 4;
/// `struct nlattr`.
pub(crate) const ATTRIBUTE_HEADER_BYTES: usize = 4;
/// `NLA_TYPE_MASK`: without the bits for "nested" and "network byte order".
const ATTRIBUTE_TYPE_MASK: u16 = 0x3fff;

/// A place that is wrong, before the message's type is added. The place is an address: while all goes well nobody counts
/// offsets, and only an error works out where in the datagram it lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    attribute: AttributePath,
    address: usize,
    problem: Problem,
}

impl Fault {
    #[cold]
    pub(crate) fn at(place: &[u8], problem: Problem) -> Self {
        Self { attribute: AttributePath::default(), address: place.as_ptr().addr(), problem }
    }

    /// This fault as seen from outside the attribute that holds it.
    #[cold]
    pub(crate) fn inside(self, kind: u16) -> Self {
        Self { attribute: self.attribute.inside(kind), ..self }
    }
}

/// A message in a datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) payload: &'a [u8],
    datagram: &'a [u8],
}

impl<'a> Message<'a> {
    /// A fault unless the message is of a kind.
    pub(crate) fn expect(&self, kind: u16) -> Result<(), Fault> {
        if self.kind == kind { Ok(()) } else { Err(Fault::at(self.payload, Problem::Unexpected)) }
    }

    /// `nlmsg_flags`.
    #[inline]
    pub(crate) fn flags(&self) -> u16 {
        self.header().map_or(0, |[_, _, _, _, _, _, low, high, ..]| u16::from_ne_bytes([*low, *high]))
    }

    /// `nlmsg_pid`.
    #[inline]
    pub(crate) fn port(&self) -> u32 {
        self.header().map_or(0, |[.., p0, p1, p2, p3]| u32::from_ne_bytes([*p0, *p1, *p2, *p3]))
    }

    /// The header, looked for only by those who want more of it than the type: a dump's entries do not.
    #[inline]
    fn header(&self) -> Option<&'a [u8; MESSAGE_HEADER_BYTES]> {
        let behind = self.payload.as_ptr().addr() - self.datagram.as_ptr().addr();
        self.datagram.get(..behind)?.last_chunk()
    }

    /// The attributes of a message of nfnetlink, behind its fixed header.
    #[inline]
    pub(crate) fn attributes(&self) -> Result<Attributes<'a>, Fault> {
        self.attributes_behind(FIXED_HEADER_BYTES)
    }

    /// The attributes behind fixed headers of any size.
    #[inline]
    pub(crate) fn attributes_behind(&self, header_bytes: usize) -> Result<Attributes<'a>, Fault> {
        match self.payload.get(header_bytes..) {
            Some(attributes) => Ok(Attributes::of(attributes)),
            None => Err(truncated(self.payload, header_bytes)),
        }
    }

    /// The attribute of a kind, if there is one.
    pub(crate) fn attribute(&self, kind: u16) -> Result<Option<Attribute<'a>>, Fault> {
        let mut attributes = self.attributes()?;
        let found = attributes.by_ref().find(|attribute| attribute.kind == kind);
        attributes.end()?;
        Ok(found)
    }

    /// The error that a fault in this message is.
    #[cold]
    pub(crate) fn error(&self, fault: Fault) -> ParseError {
        ParseError {
            message_type: self.kind,
            attribute: fault.attribute,
            offset: fault.address - self.datagram.as_ptr().addr(),
            problem: fault.problem,
        }
    }
}

/// The messages of a datagram, in order. Ends after the first fault.
#[derive(Clone, Debug)]
pub(crate) struct Messages<'a> {
    datagram: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    pub(crate) const fn of(datagram: &'a [u8]) -> Self {
        Self { datagram, rest: datagram }
    }

    #[cold]
    fn fail(&mut self, kind: u16, problem: Problem) -> ParseError {
        let offset = self.datagram.len() - self.rest.len();
        self.rest = &[];
        ParseError { message_type: kind, attribute: AttributePath::default(), offset, problem }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, ParseError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.rest;
        if bytes.is_empty() {
            return None;
        }
        let Some(&[l0, l1, l2, l3, k0, k1, ..]) = bytes.first_chunk::<MESSAGE_HEADER_BYTES>() else {
            let problem = Problem::Truncated { needs: MESSAGE_HEADER_BYTES, has: bytes.len() };
            return Some(Err(self.fail(0, problem)));
        };
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let kind = u16::from_ne_bytes([k0, k1]);
        if length < MESSAGE_HEADER_BYTES {
            return Some(Err(self.fail(kind, Problem::ImpossibleLength { says: length })));
        }
        let Some(payload) = bytes.get(MESSAGE_HEADER_BYTES..length) else {
            return Some(Err(self.fail(kind, Problem::Truncated { needs: length, has: bytes.len() })));
        };
        self.rest = bytes.get(aligned(length)..).unwrap_or_default();
        Some(Ok(Message { kind, payload, datagram: self.datagram }))
    }
}

/// An attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    pub(crate) kind: u16,
    pub(crate) value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The value as an array of the size that its type has.
    #[inline]
    pub(crate) fn array<const N: usize>(&self) -> Result<[u8; N], Fault> {
        match self.value.try_into() {
            Ok(array) => Ok(array),
            Err(_) => Err(self.wrong_size(N)),
        }
    }

    #[inline]
    pub(crate) fn u8(&self) -> Result<u8, Fault> {
        self.array::<1>().map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn be16(&self) -> Result<u16, Fault> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn be32(&self) -> Result<u32, Fault> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn be64(&self) -> Result<u64, Fault> {
        self.array().map(u64::from_be_bytes)
    }

    /// The attributes that the value holds.
    #[inline]
    pub(crate) const fn nested(&self) -> Attributes<'a> {
        Attributes::of(self.value)
    }

    /// A fault inside this attribute: one that is missing in it.
    #[cold]
    pub(crate) fn missing(&self, kind: u16) -> Fault {
        Fault::at(self.value, Problem::Missing { kind })
    }

    #[cold]
    #[inline(never)]
    fn wrong_size(&self, expected: usize) -> Fault {
        Fault::at(self.value, Problem::WrongSize { expected, has: self.value.len() }).inside(self.kind)
    }
}

/// Attributes in a row. Ends at the first fault, which [`Attributes::end`] then tells: an item that could be an error
/// would cost every attribute of every entry its detour over memory.
#[derive(Clone, Debug)]
pub(crate) struct Attributes<'a> {
    rest: &'a [u8],
    is_broken: bool,
}

impl<'a> Attributes<'a> {
    #[inline]
    const fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, is_broken: false }
    }

    /// Whether all were well formed.
    #[inline]
    pub(crate) fn end(self) -> Result<(), Fault> {
        if self.is_broken { Err(self.fault()) } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn fault(&self) -> Fault {
        let Some(&[l0, l1, k0, k1]) = self.rest.first_chunk() else {
            return truncated(self.rest, ATTRIBUTE_HEADER_BYTES);
        };
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let fault = if length < ATTRIBUTE_HEADER_BYTES {
            Fault::at(self.rest, Problem::ImpossibleLength { says: length })
        } else {
            truncated(self.rest, length)
        };
        fault.inside(u16::from_ne_bytes([k0, k1]) & ATTRIBUTE_TYPE_MASK)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.rest;
        if bytes.is_empty() || self.is_broken {
            return None;
        }
        let Some(&[l0, l1, k0, k1]) = bytes.first_chunk() else {
            self.is_broken = true;
            return None;
        };
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let Some(value) = bytes.get(ATTRIBUTE_HEADER_BYTES..length) else {
            self.is_broken = true;
            return None;
        };
        // The last attribute may go without its padding.
        self.rest = bytes.get(aligned(length)..).unwrap_or_default();
        Some(Attribute { kind: u16::from_ne_bytes([k0, k1]) & ATTRIBUTE_TYPE_MASK, value })
    }
}

/// Four bytes, to be compared with a header.
#[inline]
pub(crate) fn word<const N: usize>(bytes: &[u8; N], at: usize) -> [u8; 4] {
    [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]
}

/// An attribute's header, as the kernel lays it out.
pub(crate) const fn plain(length: u16, kind: u16) -> [u8; 4] {
    let ([l0, l1], [k0, k1]) = (length.to_ne_bytes(), kind.to_ne_bytes());
    [l0, l1, k0, k1]
}

/// A nested attribute's header (`NLA_F_NESTED`).
pub(crate) const fn nested(length: u16, kind: u16) -> [u8; 4] {
    plain(length, kind | 0x8000)
}

#[cold]
fn truncated(place: &[u8], needs: usize) -> Fault {
    Fault::at(place, Problem::Truncated { needs, has: place.len() })
}

/// Messages and attributes begin at multiples of four.
pub(crate) const fn aligned(length: usize) -> usize {
    (length + 3) & !3
}
