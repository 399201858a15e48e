//! The reader: from a stream of bytes to datagrams.

use std::io::Read;
use std::time::Duration;

use crate::error::Error;
use crate::format::{Format, Frame};
use crate::fragment::Fragment;
use crate::ip::{Ip, Shape};
use crate::link::Packet;
use crate::queue::Progress;
use crate::reassembly::Reassembly;
use crate::skipped::{Reason, Skipped};
use crate::stream::{Span, Stream};

/// In an IPv4 header (RFC 791 §3.1).
const IPV4_TOTAL_LENGTH_AT: usize = 2;

/// A packet capture, pcap or pcapng, that is being read.
///
/// It reads a quarter of a megabyte at a time, so the input needs no buffer of its own.
#[derive(Debug)]
pub struct Capture<R> {
    stream: Stream<R>,
    format: Format,
    reassembly: Reassembly,
    skipped: Skipped,
    has_ended: bool,
}

/// An IP datagram as conntrack would see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// When it was captured, since the beginning of 1970 (UTC); of a fragmented one, when the fragment came that
    /// completed it. As the file says, so it may lie before the one before. `None` where the file does not tell (simple
    /// packet blocks of pcapng) or tells a time before 1970.
    pub at: Option<Duration>,
    /// From the IP header to the datagram's end, or to where the capture of it ends: the header says how long it was. At
    /// least the header and the eight bytes behind it, or all if there are fewer.
    ///
    /// A TCP packet of IPv4 without a length, as segmentation offload leaves it, has that of what was captured.
    ///
    /// One that came in fragments is whole, with a header as if it never had been fragmented.
    pub bytes: &'a [u8],
}

/// A datagram that was found.
struct Found {
    at: Option<Duration>,
    bytes: Place,
}

/// Where a datagram is.
enum Place {
    Stream(Span),
    Reassembly,
}

impl<R: Read> Capture<R> {
    /// Reads the beginning of a capture.
    ///
    /// # Errors
    ///
    /// The input failed, is no capture, or is one of a version or link type that Plimsoll does not know.
    pub fn open(input: R) -> Result<Self, Error> {
        let mut stream = Stream::new(input);
        let format = Format::open(&mut stream)?;
        Ok(Self { stream, format, reassembly: Reassembly::default(), skipped: Skipped::default(), has_ended: false })
    }

    /// Reads the next datagram; `None` at the end, and after an error.
    ///
    /// # Errors
    ///
    /// The input failed, the file is broken or cut at a place that the error tells, or holds a packet of an interface
    /// whose link type Plimsoll does not know. Everything before that place was read.
    #[inline]
    pub fn next_datagram(&mut self) -> Result<Option<Datagram<'_>>, Error> {
        if self.has_ended {
            return Ok(None);
        }
        match self.find() {
            Ok(Some(Found { at, bytes })) => {
                let bytes = match bytes {
                    Place::Stream(span) => self.stream.bytes(span),
                    Place::Reassembly => self.reassembly.whole(),
                };
                Ok(Some(Datagram { at, bytes }))
            }
            ended => {
                self.end();
                ended.map(|_| None)
            }
        }
    }

    /// What was passed over so far. Datagrams whose fragments stay away are known for that only when later fragments
    /// come, or at the end.
    pub fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    #[inline]
    fn find(&mut self) -> Result<Option<Found>, Error> {
        while let Some(frame) = self.format.next_frame(&mut self.stream)? {
            let at = frame.at;
            match look(&self.stream, frame) {
                Ok((span, Shape::Whole)) => return Ok(Some(Found { at, bytes: Place::Stream(span) })),
                Ok((span, Shape::WithoutLength)) => {
                    self.stream.overwrite(span.start + IPV4_TOTAL_LENGTH_AT, length_of(span));
                    return Ok(Some(Found { at, bytes: Place::Stream(span) }));
                }
                Ok((span, Shape::Fragment)) => {
                    if self.add_fragment(span, at) == Progress::Complete {
                        return Ok(Some(Found { at, bytes: Place::Reassembly }));
                    }
                }
                Err(reason) => self.skipped.add(reason),
            }
        }
        Ok(None)
    }

    #[cold]
    fn add_fragment(&mut self, span: Span, at: Option<Duration>) -> Progress {
        match Fragment::of(self.stream.bytes(span)) {
            Ok(fragment) => self.reassembly.add(&fragment, at, &mut self.skipped),
            Err(reason) => {
                self.skipped.add(reason);
                Progress::Waits
            }
        }
    }

    #[cold]
    fn end(&mut self) {
        self.has_ended = true;
        self.reassembly.end(&mut self.skipped);
    }
}

/// What its header says of a datagram's length, if that is how long it is.
fn length_of(span: Span) -> [u8; 2] {
    u16::try_from(span.end - span.start).unwrap_or(u16::MAX).to_be_bytes()
}

/// Where a frame's packet is in the stream's buffer, and what it is.
#[inline]
fn look<R: Read>(stream: &Stream<R>, frame: Frame) -> Result<(Span, Shape), Reason> {
    let packet = Packet::of(frame.link, stream.bytes(frame.span))?;
    let Ip { bytes, shape } = Ip::of(packet)?;
    let start = frame.span.end - packet.bytes.len();
    Ok((Span { start, end: start + bytes.len() }, shape))
}
