//! The two file formats, told apart by how they begin.
//!
//! Both are read by hand: the `pcap-parser` crate allocates for each packet with options, keeps neither the place nor the
//! kind of what is broken in its errors, and refuses an input whose first read is shorter than a header.

use std::io::Read;
use std::time::Duration;

use crate::error::{Beginning, Error};
use crate::link::Link;
use crate::pcap::Pcap;
use crate::pcapng::Pcapng;
use crate::stream::{Span, Stream};

/// More than any packet: Linux makes none beyond 512 KiB (`GSO_MAX_SIZE`, linux/netdevice.h) and libpcap captures 256
/// KiB of one. So a larger length is a sign that the file is broken.
pub(crate) const LONGEST_BYTES: u32 = 1024 * 1024;

/// A file of either format, of which the beginning was read.
#[derive(Debug)]
pub(crate) enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

/// A frame that was captured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// Since 1970, if the file tells.
    pub(crate) at: Option<Duration>,
    pub(crate) link: Link,
    pub(crate) span: Span,
}

/// Whether a file that begins with these bytes is a capture, as far as they tell.
pub fn is_capture(begins: [u8; 4]) -> bool {
    Pcapng::begins_with(begins) || Pcap::begins_with(begins)
}

impl Format {
    /// Reads the beginning of a file.
    pub(crate) fn open<R: Read>(stream: &mut Stream<R>) -> Result<Self, Error> {
        let begins = stream.peek(4)?;
        let Some(magic) = begins.first_chunk() else {
            return Err(Error::NotACapture { begins: Beginning::of(begins) });
        };
        if Pcapng::begins_with(*magic) {
            return Ok(Self::Pcapng(Pcapng::default()));
        }
        match Pcap::open(*magic, stream)? {
            Some(pcap) => Ok(Self::Pcap(pcap)),
            None => Err(Error::NotACapture { begins: Beginning::of(stream.peek(4)?) }),
        }
    }

    /// The next frame; `None` at the end.
    #[inline]
    pub(crate) fn next_frame<R: Read>(&mut self, stream: &mut Stream<R>) -> Result<Option<Frame>, Error> {
        match self {
            Self::Pcap(pcap) => pcap.next_frame(stream),
            Self::Pcapng(pcapng) => pcapng.next_frame(stream),
        }
    }
}
