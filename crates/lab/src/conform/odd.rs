//! Shapes that datagrams seldom have, and trackers must find their way through.

use plimsoll_twin::parse::checksum;

/// Puts four bytes of options into IPv4's header, or a destination option behind IPv6's.
pub(super) fn with_longer_header(bytes: &mut Vec<u8>) {
    const NOTHING: u8 = 1;
    const V4_HEADER: usize = 20;
    const V6_HEADER: usize = 40;
    const DESTINATION_OPTIONS: u8 = 60;
    let is_v4 = bytes.first().is_some_and(|first| first >> 4 == 4);
    if is_v4 && bytes.len() >= V4_HEADER {
        bytes.splice(V4_HEADER..V4_HEADER, [NOTHING, NOTHING, NOTHING, 0]);
        let [high, low] = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
        put(bytes, 0, &[0x46]);
        put(bytes, 2, &[high, low]);
        put(bytes, 10, &[0, 0]);
        let sum = checksum::of(bytes.get(..V4_HEADER + 4).unwrap_or_default(), 0);
        put(bytes, 10, &sum.to_be_bytes());
    } else if let Some(next) = bytes.get(6).copied().filter(|_| bytes.len() >= V6_HEADER) {
        bytes.splice(V6_HEADER..V6_HEADER, [next, 0, 1, 4, 0, 0, 0, 0]);
        let length = u16::try_from(bytes.len() - V6_HEADER).unwrap_or(u16::MAX);
        put(bytes, 4, &length.to_be_bytes());
        put(bytes, 6, &[DESTINATION_OPTIONS]);
    }
}

/// Takes a UDP datagram's checksum away, which IPv4 allows and IPv6 does not (RFC 768, RFC 8200).
pub(super) fn without_udp_checksum(bytes: &mut [u8]) {
    let at = if bytes.first().is_some_and(|first| first >> 4 == 4) { 26 } else { 46 };
    put(bytes, at, &[0, 0]);
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}
