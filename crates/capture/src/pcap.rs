//! The old format: a header, then records (draft-ietf-opsawg-pcap).

use std::io::Read;
use std::time::Duration;

use crate::byte_order::ByteOrder;
use crate::error::{Error, Part, Problem};
use crate::format::{Frame, LONGEST_BYTES};
use crate::link::Link;
use crate::stream::{Span, Stream};

const FILE_HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;
/// Of the length of what was captured, in a record's header.
const CAPTURED_AT: u64 = 8;
/// The only version since 1998. Before, the two lengths of a record stood the other way round in some files.
const VERSION: (u16, u16) = (2, 4);

/// What a file's header says of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pcap {
    order: ByteOrder,
    fraction: Fraction,
    link: Link,
}

/// What the second half of a timestamp counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fraction {
    Micros,
    Nanos,
}

impl Pcap {
    /// Whether a file of this format begins so.
    pub(crate) fn begins_with(magic: [u8; 4]) -> bool {
        of_magic(magic).is_some()
    }

    /// Reads the file's header; `None` if the file begins otherwise.
    pub(crate) fn open<R: Read>(magic: [u8; 4], stream: &mut Stream<R>) -> Result<Option<Self>, Error> {
        let Some((order, fraction)) = of_magic(magic) else { return Ok(None) };
        let offset = stream.offset();
        let part = Part::FileHeader;
        let Some(header) = stream.header::<FILE_HEADER_BYTES>(part)? else { return Ok(None) };
        let [_, _, _, _, ma0, ma1, mi0, mi1, .., l0, l1, l2, l3] = *header;
        stream.take(part, FILE_HEADER_BYTES)?;
        let (major, minor) = (order.u16([ma0, ma1]), order.u16([mi0, mi1]));
        if (major, minor) != VERSION {
            return Err(Error::Broken { part, offset: offset + 4, problem: Problem::Version { major, minor } });
        }
        // In the upper half is how long the frames' check sequence is. It lies behind the packet, where nobody looks.
        let [_, _, n0, n1] = order.u32([l0, l1, l2, l3]).to_be_bytes();
        let number = u16::from_be_bytes([n0, n1]);
        let link = Link::of(number).ok_or(Error::UnsupportedLinkType { number, offset: offset + 20 })?;
        Ok(Some(Self { order, fraction, link }))
    }

    /// The next frame; `None` at the end.
    // By itself: within its caller compilers put frames together byte by byte, for the errors that could lie in their place.
    #[inline(never)]
    pub(crate) fn next_frame<R: Read>(self, stream: &mut Stream<R>) -> Result<Option<Frame>, Error> {
        let part = Part::Record;
        let offset = stream.offset();
        let Some(header) = stream.header::<RECORD_HEADER_BYTES>(part)? else { return Ok(None) };
        // The last word is the length that the packet had. Its own header says that better.
        let [s0, s1, s2, s3, f0, f1, f2, f3, c0, c1, c2, c3, ..] = *header;
        let [secs, fraction, captured] =
            [[s0, s1, s2, s3], [f0, f1, f2, f3], [c0, c1, c2, c3]].map(|word| self.order.u32(word));
        if captured > LONGEST_BYTES {
            return Err(too_long(part, offset + CAPTURED_AT, captured));
        }
        let record = stream.take(part, RECORD_HEADER_BYTES + captured as usize)?;
        // A fraction may be more than a second where a file is broken.
        let at = match self.fraction {
            Fraction::Micros => Duration::from_secs(secs.into()) + Duration::from_micros(fraction.into()),
            Fraction::Nanos => Duration::new(secs.into(), fraction),
        };
        Ok(Some(Frame {
            at: Some(at),
            link: self.link,
            span: Span { start: record.start + RECORD_HEADER_BYTES, ..record },
        }))
    }
}

#[cold]
pub(crate) fn too_long(part: Part, offset: u64, says: u32) -> Error {
    let problem = Problem::TooLong { says: says.into(), most: LONGEST_BYTES.into() };
    Error::Broken { part, offset, problem }
}

/// What a file's first bytes say.
const fn of_magic(magic: [u8; 4]) -> Option<(ByteOrder, Fraction)> {
    match magic {
        [0xd4, 0xc3, 0xb2, 0xa1] => Some((ByteOrder::Little, Fraction::Micros)),
        [0xa1, 0xb2, 0xc3, 0xd4] => Some((ByteOrder::Big, Fraction::Micros)),
        [0x4d, 0x3c, 0xb2, 0xa1] => Some((ByteOrder::Little, Fraction::Nanos)),
        [0xa1, 0xb2, 0x3c, 0x4d] => Some((ByteOrder::Big, Fraction::Nanos)),
        _ => None,
    }
}
