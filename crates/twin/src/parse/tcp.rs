//! A TCP header and its options.

use super::network::Datagram;
use crate::packet::{Segment, TcpOptions};

/// Reads a segment, if its header is sound (`tcp_error`; its flags are the tracker's to judge).
#[inline]
pub(super) fn read(datagram: &Datagram<'_>) -> Option<Segment> {
    let (header, behind) = datagram.payload.split_first_chunk::<20>()?;
    let header_length = usize::from(header[12] >> 4) * 4;
    if header_length < header.len() || datagram.payload_length < header_length {
        return None;
    }
    let number =
        |at: usize| header.get(at..).and_then(|bytes| bytes.first_chunk()).map(|four| u32::from_be_bytes(*four));
    let acknowledgement = number(8)?;
    let options_length = header_length - header.len();
    // A capture may have kept less.
    let options = behind.get(..options_length.min(behind.len())).unwrap_or_default();
    let (known, highest_sack) = read_options(options, acknowledgement);
    Some(Segment {
        flags: header[13],
        sequence: number(4)?,
        acknowledgement,
        window: u16::from_be_bytes([header[14], header[15]]),
        payload_bytes: u32::try_from(datagram.payload_length - header_length).unwrap_or(u32::MAX),
        highest_sack,
        options: (options_length > 0).then_some(known),
    })
}

/// What a segment's options say, and the highest right edge of SACK blocks beyond the acknowledgement; else that. Nearly all segments
/// have none but a timestamp, as everybody lays it out (RFC 7323, appendix A), of which tracking takes no note (`tcp_sack`).
#[inline]
fn read_options(options: &[u8], acknowledgement: u32) -> (TcpOptions, u32) {
    match options {
        [] | [1, 1, 8, 10, _, _, _, _, _, _, _, _] => (TcpOptions::default(), acknowledgement),
        _ => read_each_option(options, acknowledgement),
    }
}

/// Reads options up to the first that is not whole (RFC 9293, section 3.1).
#[inline(never)]
fn read_each_option(mut options: &[u8], acknowledgement: u32) -> (TcpOptions, u32) {
    const END: u8 = 0;
    const NOTHING: u8 = 1;
    const WINDOW_SCALE: u8 = 3;
    const SACK_PERMITTED: u8 = 4;
    const SACK: u8 = 5;
    let mut known = TcpOptions::default();
    let mut highest_sack = acknowledgement;
    let mut has_sack = false;
    while let [kind, rest @ ..] = options {
        match (*kind, rest) {
            (END, _) => break,
            (NOTHING, rest) => options = rest,
            (kind, [length, ..]) if *length >= 2 && usize::from(*length) <= options.len() => {
                let (option, behind) = options.split_at(usize::from(*length));
                match (kind, option) {
                    (WINDOW_SCALE, [_, _, scale]) => known.window_scale = Some(*scale),
                    (SACK_PERMITTED, [_, _]) => known.sack_permitted = true,
                    // Of several, the first counts (`tcp_sack`).
                    (SACK, [_, _, blocks @ ..])
                        if !has_sack && !blocks.is_empty() && blocks.len().is_multiple_of(8) =>
                    {
                        has_sack = true;
                        let (blocks, _) = blocks.as_chunks::<8>();
                        for [.., a, b, c, d] in blocks {
                            let right = u32::from_be_bytes([*a, *b, *c, *d]);
                            if right.wrapping_sub(highest_sack).cast_signed() > 0 {
                                highest_sack = right;
                            }
                        }
                    }
                    _ => {}
                }
                options = behind;
            }
            _ => break,
        }
    }
    (known, highest_sack)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_alone_says_nothing_that_is_noted() {
        let timestamp = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
        for options in [&timestamp[..], &[]] {
            assert_eq!(read_options(options, 7), read_each_option(options, 7));
        }
        assert_eq!(read_options(&timestamp, 7), (TcpOptions::default(), 7));
    }
}
