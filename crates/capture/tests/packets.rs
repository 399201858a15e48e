//! Link layers and IP headers: where a datagram begins and ends, and what is none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers are small")]

mod build;

use std::time::Duration;

use build::{ETHERNET, Pcap, RAW, ethernet, ipv4, ipv6, payload, read, read_frames, tag};
use plimsoll_capture::Reason;

#[test]
fn every_link_type_leads_to_the_datagram() {
    let (v4, v6) = (ipv4(1, &payload(30)), ipv6(17, &payload(30)));
    let before = |header: &[u8], datagram: &[u8]| [header, datagram].concat();
    let cooked = |ethertype: u16| [&[0, 4, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0][..], &ethertype.to_be_bytes()].concat();
    let cooked2 = |ethertype: u16| [&ethertype.to_be_bytes()[..], &[0; 18]].concat();
    for (link, frame, datagram) in [
        (1, ethernet(0x0800, &v4), &v4),
        (1, ethernet(0x86dd, &v6), &v6),
        (113, before(&cooked(0x0800), &v4), &v4),
        (113, before(&cooked(0x86dd), &v6), &v6),
        (113, before(&cooked(0x8100), &tag(5, 0x0800, &v4)), &v4),
        (276, before(&cooked2(0x0800), &v4), &v4),
        (276, before(&cooked2(0x86dd), &v6), &v6),
        (276, before(&cooked2(0x8100), &tag(5, 0x86dd, &v6)), &v6),
        (101, v4.clone(), &v4),
        (101, v6.clone(), &v6),
        (12, v4.clone(), &v4),
        (14, v6.clone(), &v6),
        (228, v4.clone(), &v4),
        (229, v6.clone(), &v6),
        (0, before(&[2, 0, 0, 0], &v4), &v4),
        (0, before(&[0, 0, 0, 2], &v4), &v4),
        (0, before(&[10, 0, 0, 0], &v6), &v6),
        (0, before(&[0, 0, 0, 24], &v6), &v6),
        (0, before(&[28, 0, 0, 0], &v6), &v6),
        (108, before(&[0, 0, 0, 2], &v4), &v4),
        (108, before(&[0, 0, 0, 30], &v6), &v6),
    ] {
        let read = read_frames(link, [frame.as_slice()]);
        assert_eq!(read.bytes(), [datagram], "{link} {frame:?}");
        assert_eq!(read.skipped, []);
    }
}

#[test]
fn tags_are_looked_through() {
    let datagram = ipv4(1, &payload(30));
    let inner = tag(1, 0x0800, &datagram);
    for frame in [
        ethernet(0x8100, &inner),
        ethernet(0x88a8, &tag(2, 0x8100, &inner)),
        ethernet(0x9100, &tag(2, 0x8100, &inner)),
        ethernet(0x88a8, &tag(2, 0x88a8, &tag(3, 0x8100, &inner))),
    ] {
        assert_eq!(read_frames(ETHERNET, [frame.as_slice()]).bytes(), [&datagram]);
        for length in 0..=frame.len() - datagram.len() {
            let read = read_frames(ETHERNET, [&frame[..length]]);
            let whole = length == frame.len() - datagram.len();
            let reason = if whole { Reason::HeadersCut } else { Reason::LinkHeaderCut };
            assert_eq!((read.bytes().len(), read.skipped), (0, vec![(reason, 1)]));
        }
    }
}

#[test]
fn padding_is_cut_off() {
    let (v4, v6) = (ipv4(1, &payload(3)), ipv6(59, &[]));
    let padded = |ethertype, datagram: &[u8]| {
        let mut frame = ethernet(ethertype, datagram);
        frame.resize(60, 0xaa);
        frame
    };
    let frames = [padded(0x0800, &v4), padded(0x86dd, &v6)];
    assert_eq!(read_frames(ETHERNET, frames.iter().map(Vec::as_slice)).bytes(), [&v4, &v6]);
}

#[test]
fn what_is_not_ip_is_counted() {
    let frames = [
        ethernet(0x0806, &[0; 28]),
        ethernet(0x8864, &[0; 40]),
        ethernet(38, &[0x42; 38]),
        ethernet(0x8100, &tag(1, 0x88cc, &[0; 40])),
    ];
    let read = read_frames(ETHERNET, frames.iter().map(Vec::as_slice));
    assert_eq!((read.bytes().len(), read.skipped), (0, vec![(Reason::NotIp, 4)]));
    // AppleTalk.
    assert_eq!(read_frames(108, [&[0, 0, 0, 16, 0x45][..]]).skipped, [(Reason::NotIp, 1)]);
}

#[test]
fn broken_packets_are_counted_by_reason_and_passed_over() {
    let (v4, v6) = (ipv4(1, &payload(30)), ipv6(17, &payload(30)));
    let with = |datagram: &[u8], at: usize, byte: u8| {
        let mut changed = datagram.to_vec();
        changed[at] = byte;
        changed
    };
    for (link, packet, reason) in [
        (101, with(&v4, 0, 0x55), Reason::Version),
        (228, with(&v4, 0, 0x65), Reason::Version),
        (228, v6.clone(), Reason::Version),
        (229, with(&v6, 0, 0x40), Reason::Version),
        (101, with(&v4, 0, 0x44), Reason::HeaderLength),
        (101, with(&v4, 3, 19), Reason::TotalLength),
        (101, with(&v4, 3, 0), Reason::TotalLength),
        // Its header is longer than the packet.
        (101, with(&v4, 0, 0x4f), Reason::TotalLength),
        (101, vec![], Reason::HeadersCut),
        (101, v4[..19].to_vec(), Reason::HeadersCut),
        (101, v4[..27].to_vec(), Reason::HeadersCut),
        (101, v6[..39].to_vec(), Reason::HeadersCut),
        (101, v6[..47].to_vec(), Reason::HeadersCut),
        (1, ethernet(0x86dd, &v4), Reason::Version),
    ] {
        let whole = if link == 1 {
            ethernet(0x0800, &v4)
        } else if link == 229 {
            v6.clone()
        } else {
            v4.clone()
        };
        let read = read_frames(link, [packet.as_slice(), &whole]);
        assert_eq!((read.bytes().len(), read.skipped), (1, vec![(reason, 1)]), "{packet:?}");
    }
}

#[test]
fn a_packet_captured_in_part_is_given_as_far_as_it_was() {
    let at = Duration::from_secs(1);
    for (datagram, least) in [
        (ipv4(1, &payload(30)), 28),
        (ipv4(1, &payload(5)), 25),
        (ipv6(17, &payload(30)), 48),
        (ipv6(17, &payload(5)), 45),
    ] {
        for captured in 1..=datagram.len() {
            let file = Pcap::of(RAW).packet_of(at, &datagram[..captured], datagram.len());
            let read = read(file.bytes.as_slice());
            if captured >= least {
                assert_eq!(read.bytes(), [&datagram[..captured]]);
            } else {
                assert_eq!((read.bytes().len(), read.skipped), (0, vec![(Reason::HeadersCut, 1)]));
            }
        }
    }
}

#[test]
fn a_jumbogram_is_not_cut_off_at_its_empty_length() {
    let mut datagram = ipv6(0, &[6, 0, 0xc2, 4, 0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    datagram[4..6].fill(0);
    assert_eq!(read_frames(RAW, [datagram.as_slice()]).bytes(), [&datagram]);
    // Without a hop-by-hop header it is just empty.
    datagram[6] = 17;
    assert_eq!(read_frames(RAW, [datagram.as_slice()]).bytes(), [&datagram[..40]]);
}

#[test]
fn tcp_whose_length_segmentation_offload_left_out_has_that_of_what_was_captured() {
    let mut whole = ipv4(1, &payload(60));
    let udp = whole.clone();
    whole[9] = 6;
    let mut offloaded = whole.clone();
    offloaded[2..4].fill(0);
    assert_eq!(read_frames(RAW, [offloaded.as_slice(), &whole]).bytes(), [&whole, &whole]);
    // BIG TCP.
    let mut big = whole.clone();
    big.resize(100_000, 0);
    big[2..4].fill(0);
    let read = read_frames(RAW, [big.as_slice()]);
    assert_eq!((read.bytes()[0].len(), &read.bytes()[0][2..4]), (100_000, &[0xff, 0xff][..]));
    // Without ports, and within a header that is longer.
    assert_eq!(read_frames(RAW, [&offloaded[..27]]).skipped, [(Reason::HeadersCut, 1)]);
    let mut long = offloaded.clone();
    long[0] = 0x4f;
    assert_eq!(read_frames(RAW, [&long[..50]]).skipped, [(Reason::HeadersCut, 1)]);
    // Others have a length, and fragments have.
    offloaded[9] = udp[9];
    assert_eq!(read_frames(RAW, [offloaded.as_slice()]).skipped, [(Reason::TotalLength, 1)]);
    offloaded[9] = 6;
    offloaded[6] = 0x20;
    assert_eq!(read_frames(RAW, [offloaded.as_slice()]).skipped, [(Reason::TotalLength, 1)]);
}

#[test]
fn extension_headers_without_a_fragment_header_are_left_as_they_are() {
    let options = [60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0];
    let datagram = ipv6(0, &[&options[..], &payload(20)].concat());
    let truncated = &datagram[..50];
    // One that says to be longer than the packet.
    let mut long = datagram.clone();
    long[41] = 200;
    assert_eq!(read_frames(RAW, [datagram.as_slice(), truncated, &long]).bytes(), [&datagram, truncated, &long]);
}
