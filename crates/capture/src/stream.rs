//! The bytes of a file as they come, with their offsets.

use std::io::{self, Read};

use crate::error::{Error, Part, Problem};

/// Room for some thousand packets, and little enough to stay in a core's cache.
const BUFFER_BYTES: usize = 256 * 1024;

/// The input, of which some bytes are in memory.
#[derive(Debug)]
pub(crate) struct Stream<R> {
    input: R,
    buffer: Vec<u8>,
    /// In the buffer: where the next bytes are, and where they end.
    start: usize,
    end: usize,
    /// In the stream: where `start` lies.
    offset: u64,
    is_at_end: bool,
}

/// Bytes that were taken. They are there until more are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl<R: Read> Stream<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, buffer: vec![0; BUFFER_BYTES], start: 0, end: 0, offset: 0, is_at_end: false }
    }

    /// Offset of the next byte in the stream.
    #[inline]
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Looks at the next bytes: this many, or more, or all that are left.
    #[inline]
    pub(crate) fn peek(&mut self, bytes: usize) -> Result<&[u8], Error> {
        if self.end - self.start < bytes {
            self.fill(bytes)?;
        }
        Ok(self.buffer.get(self.start..self.end).unwrap_or_default())
    }

    /// Looks at the header of a part; `None` at the end of the stream.
    #[inline]
    pub(crate) fn header<const BYTES: usize>(&mut self, part: Part) -> Result<Option<&[u8; BYTES]>, Error> {
        let offset = self.offset;
        let next = self.peek(BYTES)?;
        match next.first_chunk() {
            Some(header) => Ok(Some(header)),
            None if next.is_empty() => Ok(None),
            None => Err(truncated(part, offset, BYTES as u64, next.len() as u64)),
        }
    }

    /// Takes the bytes of a whole part.
    #[inline]
    pub(crate) fn take(&mut self, part: Part, bytes: usize) -> Result<Span, Error> {
        let has = self.peek(bytes)?.len();
        if has < bytes {
            return Err(truncated(part, self.offset, bytes as u64, has as u64));
        }
        let span = Span { start: self.start, end: self.start + bytes };
        self.advance(bytes);
        Ok(span)
    }

    /// Passes over bytes and says how many there were: fewer only at the end of the stream.
    pub(crate) fn skip(&mut self, bytes: u64) -> Result<u64, Error> {
        let mut left = bytes;
        while left > 0 {
            let has = self.peek(1)?.len();
            if has == 0 {
                break;
            }
            let step = usize::try_from(left).map_or(has, |left| left.min(has));
            self.advance(step);
            left -= step as u64;
        }
        Ok(bytes - left)
    }

    /// The bytes of a span.
    #[inline]
    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
        self.buffer.get(span.start..span.end).unwrap_or_default()
    }

    /// Puts other bytes in the place of some that were taken.
    pub(crate) fn overwrite<const BYTES: usize>(&mut self, at: usize, bytes: [u8; BYTES]) {
        if let Some(place) = self.buffer.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
            *place = bytes;
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Reads until this many bytes are in memory, or the stream ends.
    #[cold]
    fn fill(&mut self, bytes: usize) -> Result<(), Error> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < bytes && !self.is_at_end {
            // Doubled when full, rather than made as large as a length field says: that many bytes may never come.
            if self.end == self.buffer.len() {
                self.buffer.resize(self.end * 2, 0);
            }
            match self.input.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) => self.is_at_end = true,
                Ok(came) => self.end += came,
                Err(answer) if answer.kind() == io::ErrorKind::Interrupted => {}
                Err(answer) => return Err(Error::Read { offset: self.offset + self.end as u64, answer }),
            }
        }
        Ok(())
    }
}

#[cold]
pub(crate) fn truncated(part: Part, offset: u64, needs: u64, has: u64) -> Error {
    Error::Broken { part, offset, problem: Problem::Truncated { needs, has } }
}
