//! The new format: blocks, in sections, of several interfaces (draft-ietf-opsawg-pcapng).

use std::io::Read;

use crate::byte_order::ByteOrder;
use crate::clock::Clock;
use crate::error::{Error, Part, Problem};
use crate::format::{Frame, LONGEST_BYTES};
use crate::link::Link;
use crate::stream::{Span, Stream, truncated};

/// The same from either end, so that it is known before the byte order is.
const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Type and length.
const BLOCK_HEADER_BYTES: usize = 8;
/// The length again.
const TRAILER_BYTES: usize = 4;
/// What is read of each block before its type is known. No block is shorter.
const LEAST_BLOCK_BYTES: usize = BLOCK_HEADER_BYTES + TRAILER_BYTES;
/// With the byte-order mark, version and length of the section.
const SECTION_HEADER_BYTES: usize = 24;
/// With the link type and snaplen.
const INTERFACE_HEADER_BYTES: usize = 16;
/// With the interface, two halves of a timestamp and two lengths: the enhanced packet block, and the obsolete one, which
/// has a count of dropped packets in the interface's upper half.
const PACKET_HEADER_BYTES: usize = 28;
/// With the packet's original length.
const SIMPLE_PACKET_HEADER_BYTES: usize = 12;

/// The version that all files have. 1.2 was written for a while and is the same.
const VERSIONS: [(u16, u16); 2] = [(1, 0), (1, 2)];
const MOST_INTERFACES: usize = 65_536;
const OPTION_END: u16 = 0;
const OPTION_TSRESOL: u16 = 9;
const OPTION_TSOFFSET: u16 = 14;

/// The section that is being read.
#[derive(Debug)]
pub(crate) struct Pcapng {
    order: ByteOrder,
    interfaces: Vec<Interface>,
}

/// What a block says of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interface {
    link_number: u16,
    /// `None` where the link layer is unknown. That is an error only when a packet comes from it.
    link: Option<Link>,
    /// The most that is captured of a packet; 0 is no limit.
    snaplen: u32,
    clock: Clock,
}

/// A block that was taken whole.
#[derive(Clone, Copy)]
struct Block {
    part: Part,
    /// Of its beginning in the stream.
    offset: u64,
    span: Span,
}

impl Default for Pcapng {
    /// Before the first section header, which says more.
    fn default() -> Self {
        Self { order: ByteOrder::Little, interfaces: Vec::new() }
    }
}

impl Pcapng {
    /// Whether a file of this format begins so.
    pub(crate) fn begins_with(magic: [u8; 4]) -> bool {
        magic == SECTION_HEADER
    }

    /// The next frame; `None` at the end.
    // By itself: within its caller compilers put frames together byte by byte, for the errors that could lie in their place.
    #[inline(never)]
    pub(crate) fn next_frame<R: Read>(&mut self, stream: &mut Stream<R>) -> Result<Option<Frame>, Error> {
        loop {
            let offset = stream.offset();
            let Some(header) = stream.header::<LEAST_BLOCK_BYTES>(Part::Block)? else { return Ok(None) };
            let [t0, t1, t2, t3, l0, l1, l2, l3, mark @ ..] = *header;
            let kind = [t0, t1, t2, t3];
            if kind == SECTION_HEADER {
                self.order = order_by(mark).map_err(|problem| Error::Broken {
                    part: Part::SectionHeader,
                    offset: offset + 8,
                    problem,
                })?;
            }
            let length = self.order.u32([l0, l1, l2, l3]);
            let take = |stream: &mut Stream<R>, part, header_bytes| {
                self.take_block(stream, Head { part, offset, length, header_bytes })
            };
            match self.order.u32(kind) {
                ENHANCED_PACKET => {
                    let block = take(stream, Part::Packet, PACKET_HEADER_BYTES)?;
                    return self.packet(stream, block, Numbering::Enhanced).map(Some);
                }
                SIMPLE_PACKET => {
                    let block = take(stream, Part::Packet, SIMPLE_PACKET_HEADER_BYTES)?;
                    return self.simple_packet(stream, block).map(Some);
                }
                OLD_PACKET => {
                    let block = take(stream, Part::Packet, PACKET_HEADER_BYTES)?;
                    return self.packet(stream, block, Numbering::Old).map(Some);
                }
                INTERFACE => {
                    let block = take(stream, Part::Interface, INTERFACE_HEADER_BYTES)?;
                    self.add_interface(stream, block)?;
                }
                _ if kind == SECTION_HEADER => {
                    let block = take(stream, Part::SectionHeader, SECTION_HEADER_BYTES)?;
                    self.begin_section(stream, block)?;
                }
                _ => self.pass_over(stream, offset, length)?,
            }
        }
    }

    /// Takes a block of a type that is read.
    #[inline]
    fn take_block<R: Read>(&self, stream: &mut Stream<R>, head: Head) -> Result<Block, Error> {
        let Head { part, offset, length, header_bytes } = head;
        check_length(part, offset, length, header_bytes + TRAILER_BYTES)?;
        // A packet may fill its block up to its header and options.
        if length > 2 * LONGEST_BYTES {
            return Err(broken(part, offset + 4, Problem::TooLong { says: length.into(), most: LONGEST_BYTES.into() }));
        }
        let block = stream.take(part, length as usize)?;
        let span = Span { end: block.end - TRAILER_BYTES, ..block };
        let trailer = stream.bytes(Span { start: span.end, ..block }).first_chunk().copied().unwrap_or_default();
        self.check_trailer(part, offset, length, trailer)?;
        Ok(Block { part, offset, span })
    }

    /// Passes over a block of a type that is not read, however long it is.
    #[cold]
    fn pass_over<R: Read>(&self, stream: &mut Stream<R>, offset: u64, length: u32) -> Result<(), Error> {
        let part = Part::Block;
        check_length(part, offset, length, LEAST_BLOCK_BYTES)?;
        let before_trailer = u64::from(length) - TRAILER_BYTES as u64;
        let skipped = stream.skip(before_trailer)?;
        let rest = stream.peek(TRAILER_BYTES)?;
        let Some(trailer) = rest.first_chunk().copied() else {
            return Err(truncated(part, offset, length.into(), skipped + rest.len() as u64));
        };
        stream.take(part, TRAILER_BYTES)?;
        self.check_trailer(part, offset, length, trailer)
    }

    #[inline]
    fn check_trailer(&self, part: Part, offset: u64, first: u32, trailer: [u8; 4]) -> Result<(), Error> {
        let last = self.order.u32(trailer);
        if first == last {
            return Ok(());
        }
        let at = offset + u64::from(first) - TRAILER_BYTES as u64;
        Err(broken(part, at, Problem::LengthsDiffer { first, last }))
    }

    #[cold]
    fn begin_section<R: Read>(&mut self, stream: &Stream<R>, block: Block) -> Result<(), Error> {
        let Some(&[.., ma0, ma1, mi0, mi1]) = stream.bytes(block.span).first_chunk::<16>() else { return Ok(()) };
        let (major, minor) = (self.order.u16([ma0, ma1]), self.order.u16([mi0, mi1]));
        if !VERSIONS.contains(&(major, minor)) {
            return Err(broken(block.part, block.offset + 12, Problem::Version { major, minor }));
        }
        self.interfaces.clear();
        Ok(())
    }

    #[cold]
    fn add_interface<R: Read>(&mut self, stream: &Stream<R>, block: Block) -> Result<(), Error> {
        let bytes = stream.bytes(block.span);
        let Some((header, options)) = bytes.split_first_chunk::<INTERFACE_HEADER_BYTES>() else { return Ok(()) };
        let [.., n0, n1, _, _, s0, s1, s2, s3] = *header;
        if self.interfaces.len() == MOST_INTERFACES {
            return Err(broken(block.part, block.offset, Problem::TooManyInterfaces { most: MOST_INTERFACES }));
        }
        let link_number = self.order.u16([n0, n1]);
        self.interfaces.push(Interface {
            link_number,
            link: Link::of(link_number),
            snaplen: self.order.u32([s0, s1, s2, s3]),
            clock: self.clock(options, block)?,
        });
        Ok(())
    }

    /// The clock that an interface's options describe.
    fn clock(&self, options: &[u8], block: Block) -> Result<Clock, Error> {
        let mut clock = Clock::default();
        let mut rest = options;
        while let Some((&[k0, k1, l0, l1], behind)) = rest.split_first_chunk() {
            let kind = self.order.u16([k0, k1]);
            let length = usize::from(self.order.u16([l0, l1]));
            if kind == OPTION_END {
                break;
            }
            let option_at = block.offset + (INTERFACE_HEADER_BYTES + options.len() - rest.len()) as u64;
            let Some((value, behind)) = behind.split_at_checked(length) else {
                let problem = Problem::Truncated { needs: length as u64 + 4, has: rest.len() as u64 };
                return Err(broken(block.part, option_at, problem));
            };
            let wrong_length = || broken(block.part, option_at + 2, Problem::ImpossibleLength { says: length as u64 });
            clock = match kind {
                OPTION_TSRESOL => {
                    let [resolution] = value else { return Err(wrong_length()) };
                    clock.with_resolution(*resolution)
                }
                OPTION_TSOFFSET => {
                    let secs = value.try_into().map_err(|_| wrong_length())?;
                    clock.with_offset_secs(self.order.i64(secs))
                }
                _ => clock,
            };
            // Options begin at multiples of four.
            rest = behind.get(length.next_multiple_of(4) - length..).unwrap_or_default();
        }
        Ok(clock)
    }

    #[inline]
    fn packet<R: Read>(&self, stream: &Stream<R>, block: Block, numbering: Numbering) -> Result<Frame, Error> {
        let header = stream.bytes(block.span).first_chunk().copied().unwrap_or_default();
        let [_, _, _, _, _, _, _, _, i0, i1, i2, i3, h0, h1, h2, h3, l0, l1, l2, l3, c0, c1, c2, c3, ..]: [u8;
            PACKET_HEADER_BYTES] = header;
        let number = match numbering {
            Numbering::Enhanced => self.order.u32([i0, i1, i2, i3]),
            Numbering::Old => self.order.u16([i0, i1]).into(),
        };
        let interface = self.interface(block, number)?;
        let ticks = u64::from(self.order.u32([h0, h1, h2, h3])) << 32 | u64::from(self.order.u32([l0, l1, l2, l3]));
        Ok(Frame {
            at: interface.clock.time(ticks),
            link: interface.link(block)?,
            span: captured(block, PACKET_HEADER_BYTES, Captured { says: self.order.u32([c0, c1, c2, c3]), at: 20 })?,
        })
    }

    /// A packet of the first interface, without a time of its own, and its captured length only implied.
    #[cold]
    fn simple_packet<R: Read>(&self, stream: &Stream<R>, block: Block) -> Result<Frame, Error> {
        let header = stream.bytes(block.span).first_chunk().copied().unwrap_or_default();
        let [.., o0, o1, o2, o3]: [u8; SIMPLE_PACKET_HEADER_BYTES] = header;
        let interface = self.interface(block, 0)?;
        let original = self.order.u32([o0, o1, o2, o3]);
        let says = if interface.snaplen == 0 { original } else { original.min(interface.snaplen) };
        Ok(Frame {
            at: None,
            link: interface.link(block)?,
            span: captured(block, SIMPLE_PACKET_HEADER_BYTES, Captured { says, at: 8 })?,
        })
    }

    #[inline]
    fn interface(&self, block: Block, number: u32) -> Result<&Interface, Error> {
        let interface = usize::try_from(number).ok().and_then(|number| self.interfaces.get(number));
        interface.ok_or_else(|| {
            let problem = Problem::UnknownInterface { interface: number, known: self.interfaces.len() };
            broken(block.part, block.offset + 8, problem)
        })
    }
}

impl Interface {
    #[inline]
    fn link(&self, block: Block) -> Result<Link, Error> {
        self.link.ok_or(Error::UnsupportedLinkType { number: self.link_number, offset: block.offset })
    }
}

/// How a block of a packet numbers its interface.
#[derive(Clone, Copy)]
enum Numbering {
    /// With 32 bits.
    Enhanced,
    /// With 16.
    Old,
}

/// The beginning of a block.
#[derive(Clone, Copy)]
struct Head {
    part: Part,
    offset: u64,
    length: u32,
    /// How long the fixed part is.
    header_bytes: usize,
}

/// How much of a packet was captured, and where in the block it says so.
#[derive(Clone, Copy)]
struct Captured {
    says: u32,
    at: u64,
}

/// The captured bytes in a block.
#[inline]
fn captured(block: Block, header_bytes: usize, captured: Captured) -> Result<Span, Error> {
    let start = block.span.start + header_bytes;
    let end = start + captured.says as usize;
    if end > block.span.end {
        let problem = Problem::ImpossibleLength { says: captured.says.into() };
        return Err(broken(block.part, block.offset + captured.at, problem));
    }
    Ok(Span { start, end })
}

/// The byte order that a section's mark shows.
fn order_by(mark: [u8; 4]) -> Result<ByteOrder, Problem> {
    match mark {
        [0x4d, 0x3c, 0x2b, 0x1a] => Ok(ByteOrder::Little),
        [0x1a, 0x2b, 0x3c, 0x4d] => Ok(ByteOrder::Big),
        _ => Err(Problem::ByteOrder { found: u32::from_be_bytes(mark) }),
    }
}

#[inline]
fn check_length(part: Part, offset: u64, length: u32, least: usize) -> Result<(), Error> {
    if length as usize >= least && length.is_multiple_of(4) {
        return Ok(());
    }
    Err(broken(part, offset + 4, Problem::ImpossibleLength { says: length.into() }))
}

#[cold]
fn broken(part: Part, offset: u64, problem: Problem) -> Error {
    Error::Broken { part, offset, problem }
}
