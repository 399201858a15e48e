//! Packets as a capture, and a capture as packets.

use std::io::{self, Read, Write};
use std::time::Duration;

use plimsoll_capture::Capture;
use plimsoll_simulate::{Datagram, Datagrams};

/// What is kept of each packet: headers, as a capture that is to last for long is made.
const KEPT_BYTES: usize = 64;

/// Writes a pcap of raw IP (101), with times in nanoseconds.
pub(crate) fn write(packets: &mut dyn Datagrams, file: &mut dyn Write) -> io::Result<()> {
    write_words(file, &[0xa1b2_3c4d, 0x0004_0002, 0, 0, 65_535, 101])?;
    while let Some(Datagram { at, bytes }) = packets.next_datagram() {
        let kept = &bytes[..bytes.len().min(KEPT_BYTES)];
        let [secs, length, captured] = [at.as_secs(), bytes.len() as u64, kept.len() as u64].map(word);
        write_words(file, &[secs, at.subsec_nanos(), captured, length])?;
        file.write_all(kept)?;
    }
    file.flush()
}

fn word(number: u64) -> u32 {
    u32::try_from(number).expect("times and lengths of a capture")
}

fn write_words(file: &mut dyn Write, words: &[u32]) -> io::Result<()> {
    words.iter().try_for_each(|word| file.write_all(&word.to_le_bytes()))
}

/// What a capture holds.
pub(crate) struct Replayed<R>(Capture<R>);

impl<R: Read> Replayed<R> {
    pub(crate) fn new(file: R) -> Self {
        Self(Capture::open(file).unwrap())
    }
}

impl<R: Read + Send> Datagrams for Replayed<R> {
    fn next_datagram(&mut self) -> Option<Datagram<'_>> {
        let datagram = self.0.next_datagram().unwrap()?;
        Some(Datagram { at: datagram.at.unwrap_or(Duration::ZERO), bytes: datagram.bytes })
    }
}
