//! The Internet checksum (RFC 1071), and SCTP's CRC-32C (RFC 9260, appendix A).

use std::net::IpAddr;

use super::network::Datagram;

/// Whether the checksum over a pseudo-header and these bytes of the payload is right.
pub(super) fn is_right(datagram: &Datagram<'_>, covered: &[u8]) -> bool {
    let addresses = match (datagram.source, datagram.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => sum(&source.octets()) + sum(&destination.octets()),
        (IpAddr::V6(source), IpAddr::V6(destination)) => sum(&source.octets()) + sum(&destination.octets()),
        _ => return false,
    };
    let pseudo = addresses + datagram.payload_length as u64 + u64::from(datagram.protocol.0);
    fold(pseudo + sum(covered)) == 0xffff
}

/// What a checksum field must hold to be right, if it holds 0 now; and 0 if it is right.
pub(super) fn complement_of_sum(bytes: &[u8]) -> u16 {
    !fold(sum(bytes))
}

fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<2>();
    let words: u64 = words.iter().map(|word| u64::from(u16::from_be_bytes(*word))).sum();
    words + rest.first().map_or(0, |last| u64::from(*last) << 8)
}

#[expect(clippy::cast_possible_truncation, reason = "folded until it fits")]
const fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Whether an SCTP packet's checksum is right: it lies in bytes 8 to 11, which count as 0, little end first.
pub(super) fn is_right_crc32c(packet: &[u8]) -> bool {
    let Some((head, [a, b, c, d], behind)) = packet
        .split_at_checked(8)
        .and_then(|(head, rest)| rest.split_first_chunk::<4>().map(|(sum, behind)| (head, *sum, behind)))
    else {
        return false;
    };
    let crc = [head, &[0; 4], behind].into_iter().fold(u32::MAX, crc32c);
    !crc == u32::from_le_bytes([a, b, c, d])
}

fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        const REVERSED_POLYNOMIAL: u32 = 0x82f6_3b78;
        let mut table = [0; 256];
        let mut byte: u32 = 0;
        while byte < 256 {
            let mut crc = byte;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ REVERSED_POLYNOMIAL } else { crc >> 1 };
                bit += 1;
            }
            table[byte as usize] = crc;
            byte += 1;
        }
        table
    };
    bytes.iter().fold(crc, |crc, byte| TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ crc >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_castagnolis() {
        // RFC 3720, appendix B.4: 32 bytes of zeroes, and of ones.
        assert_eq!(!crc32c(u32::MAX, &[0; 32]), 0x8a91_36aa);
        assert_eq!(!crc32c(u32::MAX, &[0xff; 32]), 0x62a8_ab43);
    }
}
