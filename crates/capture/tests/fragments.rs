//! Fragments: put together as the kernel does, or not at all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers are small")]

mod build;

use std::time::Duration;

use build::{
    Order, Part, Pcap, Pcapng, RAW, Read, ipv4, ipv4_checksum, ipv4_part, ipv6, ipv6_part, payload, read, read_frames,
};
use plimsoll_capture::Reason;
use proptest::prelude::*;

/// The two IP versions, to ask both the same.
#[derive(Clone, Copy, Debug)]
enum Version {
    V4,
    V6,
}

const BOTH: [Version; 2] = [Version::V4, Version::V6];

impl Version {
    fn whole(self, payload: &[u8]) -> Vec<u8> {
        match self {
            Self::V4 => ipv4(7, payload),
            Self::V6 => ipv6(17, payload),
        }
    }

    fn part(self, part: Part<'_>) -> Vec<u8> {
        match self {
            Self::V4 => ipv4_part(7, part),
            Self::V6 => ipv6_part(7, None, part),
        }
    }

    /// Parts of a payload, as (from, to).
    fn parts(self, payload: &[u8], places: &[(usize, usize)]) -> Vec<Vec<u8>> {
        let part = |(from, to): &(usize, usize)| {
            let more = u16::from(*to < payload.len());
            self.part(Part { offset: *from, more, payload: &payload[*from..*to] })
        };
        places.iter().map(part).collect()
    }

    /// What comes of parts of 64 bytes of payload.
    fn read(self, places: &[(usize, usize)]) -> Read {
        let parts = self.parts(&payload(64), places);
        let read = read_frames(RAW, parts.iter().map(Vec::as_slice));
        for bytes in read.bytes() {
            assert_eq!(bytes, self.whole(&payload(64)));
        }
        read
    }
}

#[test]
fn a_datagram_appears_whole_when_its_last_fragment_came() {
    for version in BOTH {
        for places in [
            [(0, 16), (16, 40), (40, 64)],
            [(0, 16), (40, 64), (16, 40)],
            [(16, 40), (0, 16), (40, 64)],
            [(16, 40), (40, 64), (0, 16)],
            [(40, 64), (0, 16), (16, 40)],
            [(40, 64), (16, 40), (0, 16)],
        ] {
            let read = version.read(&places);
            assert_eq!(read.times(), [Some(Duration::from_secs(3))], "{version:?} {places:?}");
            assert_eq!(read.skipped, []);
        }
    }
}

#[test]
fn an_incomplete_datagram_never_appears() {
    for version in BOTH {
        for places in [&[(0, 16), (16, 40)][..], &[(0, 16), (40, 64)], &[(16, 40), (40, 64)]] {
            let read = version.read(places);
            assert_eq!((read.bytes().len(), read.skipped), (0, vec![(Reason::Incomplete, 1)]));
        }
    }
}

#[test]
fn a_duplicate_is_ignored() {
    for version in BOTH {
        for places in [
            [(0, 16), (0, 16), (16, 40), (40, 64)],
            // Within what came before, in order.
            [(0, 16), (16, 40), (8, 24), (40, 64)],
            [(40, 64), (0, 16), (0, 8), (16, 40)],
            [(0, 16), (40, 64), (40, 64), (16, 40)],
        ] {
            let read = version.read(&places);
            assert_eq!((read.bytes().len(), read.skipped), (1, vec![(Reason::FragmentDuplicate, 1)]), "{places:?}");
        }
    }
}

#[test]
fn an_overlap_discards_the_datagram() {
    for version in BOTH {
        for places in [
            &[(0, 16), (8, 40)][..],
            &[(16, 40), (0, 24)],
            &[(16, 40), (8, 48)],
            &[(0, 16), (40, 64), (8, 48)],
            // Nothing new, but in two runs: the third fragment filled a gap, and the kernel does not join them.
            &[(0, 8), (24, 32), (8, 24), (0, 24)],
        ] {
            let read = version.read(places);
            assert_eq!((read.bytes().len(), read.skipped), (0, vec![(Reason::Overlap, 1)]), "{version:?} {places:?}");
        }
        // What comes afterwards is a datagram of its own, which may be complete or not.
        let read = version.read(&[(0, 16), (8, 40), (40, 64)]);
        assert_eq!((read.bytes().len(), read.skipped), (0, vec![(Reason::Overlap, 1), (Reason::Incomplete, 1)]));
        let read = version.read(&[(0, 16), (8, 40), (0, 16), (16, 64)]);
        assert_eq!((read.bytes().len(), read.skipped), (1, vec![(Reason::Overlap, 1)]));
    }
}

#[test]
fn datagrams_are_told_apart_by_all_of_their_key() {
    let places = [(0, 32), (32, 64)];
    for (version, bytes) in [(Version::V4, vec![4, 5, 9, 12, 15, 16, 19]), (Version::V6, vec![8, 23, 24, 39, 44, 47])] {
        for at in bytes {
            let mut parts = version.parts(&payload(64), &places);
            parts[1][at] ^= 1;
            let read = read_frames(RAW, parts.iter().map(Vec::as_slice));
            assert_eq!((read.bytes().len(), read.skipped), (0, vec![(Reason::Incomplete, 2)]), "{version:?} {at}");
        }
    }
}

/// Reads a datagram's two halves that come so far apart.
fn apart(version: Version, gap: Duration) -> Read {
    let halves = version.parts(&payload(64), &[(0, 32), (32, 64)]);
    let begin = Duration::new(1_000, 5);
    let unit = build::Unit::Nanos;
    let file = Pcap::new(Order::Big, unit, RAW.into()).packet(begin, &halves[0]).packet(begin + gap, &halves[1]);
    read(file.bytes.as_slice())
}

#[test]
fn reassembly_is_given_up_in_time() {
    for (version, secs) in [(Version::V4, 30), (Version::V6, 60)] {
        let timeout = Duration::from_secs(secs);
        let read = apart(version, timeout.saturating_sub(Duration::from_nanos(1)));
        assert_eq!((read.bytes().len(), read.skipped), (1, vec![]));
        let read = apart(version, timeout);
        assert_eq!((read.bytes().len(), read.skipped), (0, vec![(Reason::Incomplete, 2)]));
    }
}

#[test]
fn time_that_goes_backwards_gives_nothing_up() {
    let halves = Version::V4.parts(&payload(64), &[(0, 32), (32, 64)]);
    let file = Pcap::of(RAW).packet(Duration::from_secs(1_000), &halves[0]).packet(Duration::ZERO, &halves[1]);
    assert_eq!(read(file.bytes.as_slice()).times(), [Some(Duration::ZERO)]);
}

#[test]
fn fragments_without_a_time_are_put_together_too() {
    let halves = Version::V6.parts(&payload(64), &[(0, 32), (32, 64)]);
    let file = Pcapng::new(Order::Little).interface(RAW, 0, &[]);
    let file = halves.iter().fold(file, |file, half| file.simple_packet(half.len() as u32, half));
    assert_eq!(read(file.bytes.as_slice()).datagrams, [(None, ipv6(17, &payload(64)))]);
}

#[test]
fn over_four_mebibytes_fragments_are_dropped() {
    for version in BOTH {
        let part = payload(1_200);
        let mut frames: Vec<Vec<u8>> = (0..10_000_u16)
            .map(|id| match version {
                Version::V4 => {
                    let mut frame = ipv4_part(id, Part { offset: 0, more: 1, payload: &part });
                    frame[12..14].copy_from_slice(&id.to_be_bytes());
                    frame
                }
                Version::V6 => ipv6_part(id.into(), None, Part { offset: 0, more: 1, payload: &part }),
            })
            .collect();
        // A single packet is not held back by it.
        frames.push(version.whole(&part));
        let at = Duration::from_secs(5);
        let file = frames.iter().fold(Pcap::of(RAW), |file, frame| file.packet(at, frame));
        let result = read(file.bytes.as_slice());
        assert_eq!(result.bytes().len(), 1);
        let kept = 4 * 1024 * 1024 / (1_200 + 768 + 200) + 1;
        assert_eq!(result.skipped, [(Reason::FragmentNoRoom, 10_000 - kept), (Reason::Incomplete, kept)]);

        // When the time of those is up there is room again.
        let later = version.parts(&payload(64), &[(0, 32), (32, 64)]);
        let file = later.iter().fold(file, |file, frame| file.packet(Duration::from_secs(65), frame));
        assert_eq!(read(file.bytes.as_slice()).bytes().len(), 2);
    }
}

#[test]
fn room_is_given_back() {
    // Far more than four mebibytes in all.
    let parts = Version::V6.parts(&payload(60_000), &[(0, 24_000), (24_000, 60_000)]);
    let frames = (0..200).flat_map(|_| parts.iter().map(Vec::as_slice));
    let read = read_frames(RAW, frames);
    assert_eq!((read.bytes().len(), read.skipped), (200, vec![]));
}

/// A file of the first half of a datagram, so many fragments of others of its sender, and its second half.
fn far_apart(others: u16, second_half_at: Duration) -> Pcap {
    let halves = Version::V4.parts(&payload(64), &[(0, 32), (32, 64)]);
    let begin = Duration::from_secs(5);
    let file = Pcap::of(RAW).packet(begin, &halves[0]);
    let other = |id| ipv4_part(id, Part { offset: 0, more: 1, payload: &payload(8) });
    let file = (100..100 + others).fold(file, |file, id| file.packet(begin, &other(id)));
    file.packet(second_half_at, &halves[1])
}

#[test]
fn ipv4_fragments_of_one_sender_must_not_be_far_apart() {
    let at = Duration::from_secs(5);
    for (others, whole) in [(63, 1), (64, 0)] {
        let read = read(far_apart(others, at).bytes.as_slice());
        assert_eq!(read.bytes().len(), whole);
        assert_eq!(read.skipped.contains(&(Reason::Disordered, 1)), whole == 0, "{:?}", read.skipped);
    }
    // The second half began the datagram anew, and its time with it.
    let first_half = &Version::V4.parts(&payload(64), &[(0, 32)])[0];
    let file = far_apart(64, Duration::from_secs(30)).packet(Duration::from_secs(59), first_half);
    assert_eq!(read(file.bytes.as_slice()).bytes(), [ipv4(7, &payload(64))]);
}

#[test]
fn a_fragment_that_fits_no_datagram() {
    let part = |version: Version, offset, more, bytes| version.part(Part { offset, more, payload: &payload(bytes) });
    let misfit = |count| (Reason::FragmentMisfit, count);
    let incomplete = (Reason::Incomplete, 1);
    let (v4, v6) = (Version::V4, Version::V6);
    for (frames, skipped) in [
        // Beyond the end, before it, another end, nothing.
        (vec![part(v4, 32, 0, 8), part(v4, 40, 1, 8)], vec![misfit(1)]),
        (vec![part(v6, 32, 0, 8), part(v6, 40, 1, 8)], vec![misfit(1), incomplete]),
        (vec![part(v4, 32, 1, 8), part(v4, 8, 0, 8)], vec![misfit(1)]),
        (vec![part(v6, 32, 1, 8), part(v6, 8, 0, 8)], vec![misfit(1), incomplete]),
        (vec![part(v4, 32, 0, 8), part(v4, 40, 0, 8)], vec![misfit(1)]),
        (vec![part(v6, 32, 0, 8), part(v6, 40, 0, 8)], vec![misfit(1), incomplete]),
        (vec![part(v4, 8, 1, 8), part(v4, 32, 0, 0)], vec![misfit(1)]),
        (vec![part(v6, 8, 1, 8), part(v6, 32, 0, 0)], vec![misfit(1), incomplete]),
        // Of no multiple of eight: less than eight of IPv4 is nothing.
        (vec![part(v4, 8, 1, 8), part(v4, 0, 1, 7)], vec![misfit(1)]),
        (vec![part(v6, 8, 1, 8), part(v6, 0, 1, 15)], vec![misfit(1)]),
        // Beyond the longest.
        (vec![part(v6, 65_528, 0, 8)], vec![misfit(1)]),
    ] {
        let read = read_frames(RAW, frames.iter().map(Vec::as_slice));
        assert_eq!((read.bytes().len(), read.skipped), (0, skipped), "{frames:?}");
    }
    // Of IPv4 the multiple of eight is taken.
    let frames = [
        ipv4_part(7, Part { offset: 0, more: 1, payload: &payload(37) }),
        ipv4_part(7, Part { offset: 32, more: 0, payload: &payload(64)[32..] }),
    ];
    assert_eq!(read_frames(RAW, frames.iter().map(Vec::as_slice)).bytes(), [ipv4(7, &payload(64))]);
}

#[test]
fn nothing_is_longer_than_ip_allows() {
    for version in BOTH {
        let limit = match version {
            Version::V4 => 65_515,
            Version::V6 => 65_535,
        };
        for (bytes, whole) in [(limit, 1), (limit + 1, 0)] {
            let payload = payload(bytes);
            let parts = version.parts(&payload, &[(0, 32_000), (32_000, 64_000), (64_000, bytes)]);
            let read = read_frames(RAW, parts.iter().map(Vec::as_slice));
            assert_eq!(read.bytes().len(), whole, "{version:?} {:?}", read.skipped);
        }
    }
    let payload = payload(65_516);
    let parts = Version::V4.parts(&payload, &[(0, 32_000), (32_000, 65_516)]);
    assert_eq!(read_frames(RAW, parts.iter().map(Vec::as_slice)).skipped, [(Reason::TooLong, 1)]);
}

#[test]
fn a_fragment_captured_in_part_cannot_be_put_together() {
    for version in BOTH {
        let parts = version.parts(&payload(64), &[(0, 32), (32, 64)]);
        let cut = &parts[0][..parts[0].len() - 1];
        let read = read_frames(RAW, [cut, &parts[1]]);
        assert_eq!(read.bytes().len(), 0);
        assert_eq!(read.skipped, [(Reason::FragmentCut, 1), (Reason::Incomplete, 1)]);
    }
    // The packet ends within the fragment header.
    let short = ipv6(44, &[17, 0, 0, 1, 0, 0, 0]);
    assert_eq!(read_frames(RAW, [short.as_slice()]).skipped, [(Reason::FragmentCut, 1)]);
}

#[test]
fn a_single_fragment_of_ipv6_loses_its_header() {
    let part = ipv6_part(7, None, Part { offset: 0, more: 0, payload: &payload(40) });
    assert_eq!(read_frames(RAW, [part.as_slice()]).bytes(), [&ipv6(17, &payload(40))]);
}

#[test]
fn extension_headers_before_the_fragment_header_are_kept() {
    // Hop-by-hop, destination options, routing, authentication (which counts in fours), each naming the next.
    let fragment = 44;
    let before = |last: u8| {
        let mut headers = vec![60, 0, 1, 4, 0, 0, 0, 0, 43, 1, 1, 12];
        headers.extend([0; 12]);
        headers.extend([51, 0, 0, 0, 0, 0, 0, 0]);
        headers.extend([last, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        headers
    };
    let parts = [(0, 32, 1), (32, 64, 0)].map(|(from, to, more)| {
        ipv6_part(7, Some((0, &before(fragment))), Part { offset: from, more, payload: &payload(64)[from..to] })
    });
    let whole = ipv6(0, &[before(17), payload(64)].concat());
    assert_eq!(read_frames(RAW, parts.iter().map(Vec::as_slice)).bytes(), [&whole]);
}

#[test]
fn ipv4_options_of_the_first_fragment_are_kept() {
    let with_options = |packet: &[u8]| {
        let mut packet = [&packet[..20], &[7, 7, 4, 0, 0, 0, 0, 0], &packet[20..]].concat();
        packet[0] = 0x47;
        packet[3] += 8;
        packet[10..12].fill(0);
        let checksum = ipv4_checksum(&packet[..28]);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        packet
    };
    let mut parts = Version::V4.parts(&payload(64), &[(32, 64), (0, 32)]);
    parts[1] = with_options(&parts[1]);
    let read = read_frames(RAW, parts.iter().map(Vec::as_slice));
    assert_eq!(read.bytes(), [&with_options(&ipv4(7, &payload(64)))]);
    assert_eq!(ipv4_checksum(&read.bytes()[0][..28]), 0);
}

#[test]
fn congestion_that_one_fragment_met_is_the_datagrams() {
    for (first, second, whole) in [
        (0b10, 0b11, Some(0b11)),
        (0b11, 0b01, Some(0b11)),
        (0b11, 0b11, Some(0b11)),
        (0b01, 0b10, Some(0b01)),
        (0b00, 0b00, Some(0b00)),
        (0b00, 0b10, None),
        (0b11, 0b00, None),
    ] {
        for (version, shift) in [(Version::V4, 0), (Version::V6, 4)] {
            let mut parts = version.parts(&payload(64), &[(0, 32), (32, 64)]);
            parts[0][1] |= first << shift;
            parts[1][1] |= second << shift;
            let read = read_frames(RAW, parts.iter().map(Vec::as_slice));
            assert_eq!(read.bytes().first().map(|bytes| bytes[1] >> shift & 0b11), whole);
            assert_eq!(read.skipped.contains(&(Reason::MixedEcn, 1)), whole.is_none());
            if let (Version::V4, Some(_)) = (version, whole) {
                assert_eq!(ipv4_checksum(&read.bytes()[0][..20]), 0);
            }
        }
    }
}

proptest! {
    /// Two datagrams, cut anywhere, in any order, with some parts twice: each comes out once, as it was.
    #[test]
    fn what_is_cut_into_fragments_comes_back_whole(
        lengths in prop::array::uniform2(16..3_000_usize),
        cuts in prop::array::uniform2(prop::collection::btree_set(1..374_usize, 1..20)),
        is_v6 in prop::array::uniform2(any::<bool>()),
        seed in any::<u64>(),
    ) {
        let mut frames = Vec::new();
        let mut wholes = Vec::new();
        for (id, ((length, cuts), is_v6)) in lengths.into_iter().zip(&cuts).zip(is_v6).enumerate() {
            let bytes: Vec<u8> = payload(length).into_iter().map(|byte| byte ^ (id as u8 + 1)).collect();
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut * 8).filter(|cut| *cut < length).collect();
            if ends.is_empty() {
                ends.push(8);
            }
            ends.push(length);
            let mut from = 0;
            for to in ends {
                let part = Part { offset: from, more: u16::from(to < length), payload: &bytes[from..to] };
                frames.push(if is_v6 { ipv6_part(id as u32, None, part) } else { ipv4_part(id as u16, part) });
                from = to;
            }
            wholes.push(if is_v6 { ipv6(17, &bytes) } else { ipv4(id as u16, &bytes) });
        }
        let mut state = seed;
        for end in (1..frames.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            frames.swap(end, (state >> 33) as usize % (end + 1));
        }
        // One of them twice.
        let again = frames[0].clone();
        frames.insert(1, again);
        let at = Duration::from_secs(1);
        let file = frames.iter().fold(Pcap::of(RAW), |file, frame| file.packet(at, frame));
        let read = read(file.bytes.as_slice());
        let mut came: Vec<Vec<u8>> = read.datagrams.into_iter().map(|(_, bytes)| bytes).collect();
        came.sort();
        wholes.sort();
        prop_assert_eq!(came, wholes);
        prop_assert_eq!(read.skipped, [(Reason::FragmentDuplicate, 1)]);
    }
}
