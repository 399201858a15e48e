//! What can be wrong with a file, told so that one knows what was tried and where.

use std::fmt;
use std::io;

/// Why a capture could not be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input failed.
    #[error("cannot read the capture beyond byte {offset}: {answer}")]
    Read {
        /// How many bytes came before.
        offset: u64,
        /// The system's answer.
        answer: io::Error,
    },
    /// The input is neither pcap nor pcapng.
    #[error("not a packet capture (pcap or pcapng): {begins}")]
    NotACapture {
        /// What it begins with.
        begins: Beginning,
    },
    /// The link layer is one that Plimsoll does not know.
    #[error(
        "cannot read packets of link type {number} (byte {offset}): Plimsoll knows Ethernet, Linux cooked, raw IP and BSD loopback"
    )]
    UnsupportedLinkType {
        /// The number that tcpdump.org/linktypes.html lists.
        number: u16,
        /// Offset of the first packet of that type; in pcap, where all have one type, of the field that says so.
        offset: u64,
    },
    /// The file is broken.
    #[error("cannot read {part} at byte {offset}: {problem}")]
    Broken {
        /// What was read.
        part: Part,
        /// Offset in the stream: of the field that is wrong, or of the whole part where it is cut.
        offset: u64,
        /// What is wrong.
        problem: Problem,
    },
}

/// The first bytes of a file, at most four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    bytes: [u8; 4],
    length: usize,
}

impl Beginning {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut first = [0; 4];
        first.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Self { bytes: first, length: bytes.len().min(4) }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// The program that unpacks files that begin so.
    fn packer(&self) -> Option<&'static str> {
        match self.bytes() {
            [0x1f, 0x8b, ..] => Some("gzip"),
            [0x28, 0xb5, 0x2f, 0xfd] => Some("zstd"),
            [0xfd, b'7', b'z', b'X'] => Some("xz"),
            [b'B', b'Z', b'h', _] => Some("bzip2"),
            _ => None,
        }
    }
}

impl fmt::Display for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length == 0 {
            return f.write_str("it is empty");
        }
        f.write_str("it begins with")?;
        self.bytes().iter().try_for_each(|byte| write!(f, " {byte:02x}"))?;
        match self.packer() {
            Some(packer) => write!(f, ", as {packer} writes: unpack it first"),
            None => Ok(()),
        }
    }
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The header of a pcap file.
    FileHeader,
    /// A packet of a pcap file, with its header.
    Record,
    /// A pcapng block of a type that Plimsoll passes over.
    Block,
    /// A pcapng section header block.
    SectionHeader,
    /// A pcapng interface description block.
    Interface,
    /// A pcapng packet block: enhanced, simple or the obsolete one.
    Packet,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FileHeader => "the pcap file header",
            Self::Record => "a pcap packet record",
            Self::Block => "a pcapng block",
            Self::SectionHeader => "a pcapng section header block",
            Self::Interface => "a pcapng interface description block",
            Self::Packet => "a pcapng packet block",
        })
    }
}

/// What is wrong with the bytes at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Something ends before it should.
    #[error("needs {needs} bytes, {has} are left")]
    Truncated {
        /// Bytes needed.
        needs: u64,
        /// Bytes there.
        has: u64,
    },
    /// A length that nothing of its kind can have.
    #[error("its length field says {says}, which is not possible")]
    ImpossibleLength {
        /// What the field says.
        says: u64,
    },
    /// A length beyond any packet, so more likely not a length at all.
    #[error("its length field says {says}, more than the {most} bytes that a packet can have")]
    TooLong {
        /// What the field says.
        says: u64,
        /// The most that is read.
        most: u64,
    },
    /// A block names its length at both ends, and differently.
    #[error("its length is {first} at its beginning and {last} at its end")]
    LengthsDiffer {
        /// At its beginning.
        first: u32,
        /// At its end.
        last: u32,
    },
    /// The mark from which the byte order is known is another.
    #[error("its byte-order mark is {found:#010x}, which no byte order gives")]
    ByteOrder {
        /// The mark, read as big-endian.
        found: u32,
    },
    /// A version that Plimsoll does not know.
    #[error("its format has version {major}.{minor}, which Plimsoll does not know")]
    Version {
        /// Before the dot.
        major: u16,
        /// Behind it.
        minor: u16,
    },
    /// A packet of an interface that was not described before it.
    #[error("it belongs to interface {interface}, but {known} were described")]
    UnknownInterface {
        /// The interface's number, from 0.
        interface: u32,
        /// How many were described.
        known: usize,
    },
    /// More interfaces than any machine has.
    #[error("the section describes more than {most} interfaces")]
    TooManyInterfaces {
        /// The most that are read.
        most: usize,
    },
}
