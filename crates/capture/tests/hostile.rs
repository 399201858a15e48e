//! Any bytes: an end, an error within the input, and never a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers are small")]

mod build;

use std::time::Duration;

use build::{Order, Part, Pcap, Pcapng, Unit, ethernet, ipv4, ipv4_part, ipv6_part, payload, read, tag};
use plimsoll_capture::Error;
use proptest::prelude::*;

/// Reads bytes and holds what is true of every input.
fn hold(file: &[u8]) {
    let read = read(file);
    // A record is 16 bytes at least.
    assert!(read.datagrams.len() <= file.len() / 16);
    for (_, bytes) in &read.datagrams {
        assert!(bytes.len() >= 20 && [4, 6].contains(&(bytes[0] >> 4)));
    }
    match read.error {
        Some(Error::Broken { offset, .. } | Error::UnsupportedLinkType { offset, .. }) => {
            assert!(offset <= file.len() as u64, "{offset}");
        }
        Some(Error::NotACapture { .. }) => assert!(read.datagrams.is_empty()),
        Some(error) => panic!("{error}"),
        None => {}
    }
}

/// A file of every kind of packet.
fn files() -> Vec<Vec<u8>> {
    let mut frames = vec![ethernet(0x0800, &ipv4(1, &payload(20))), ethernet(0x8100, &tag(1, 0x0806, &[0; 28]))];
    for (offset, more) in [(0, 1), (16, 1), (32, 0)] {
        let bytes = payload(16);
        let part = Part { offset, more, payload: &bytes };
        frames.push(ethernet(0x0800, &ipv4_part(9, part)));
        frames.push(ethernet(0x86dd, &ipv6_part(9, None, part)));
        frames.push(ethernet(0x86dd, &ipv6_part(8, Some((60, &[44, 0, 1, 4, 0, 0, 0, 0])), part)));
    }
    let mut files = Vec::new();
    for order in [Order::Little, Order::Big] {
        let pcap = Pcap::new(order, Unit::Nanos, 1);
        files.push(frames.iter().fold(pcap, |file, frame| file.packet(Duration::from_secs(1), frame)).bytes);
        let pcapng = Pcapng::new(order).interface(1, 0, &[(9, &[9]), (14, &[0; 8])]).block(4, &[0; 8]);
        let pcapng = frames.iter().fold(pcapng, |file, frame| {
            file.packet(0, 1, frame).old_packet(0, 2, frame).simple_packet(frame.len() as u32, frame)
        });
        files.push(pcapng.bytes);
    }
    files
}

proptest! {
    #[test]
    fn random_bytes(
        magic in prop::sample::select(vec![
            vec![], vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0], vec![0xa1, 0xb2, 0x3c, 0x4d, 0, 2, 0, 4],
            vec![0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0],
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        hold(&[magic, rest].concat());
    }

    #[test]
    fn files_with_some_bytes_changed(
        file in prop::sample::select(files()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        length in any::<prop::sample::Index>(),
    ) {
        let mut file = file;
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        hold(&file);
        hold(&file[..length.index(file.len())]);
    }
}

#[test]
fn each_byte_of_a_file_may_be_any() {
    for file in files() {
        for at in 0..file.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = file.clone();
                changed[at] = byte;
                hold(&changed);
            }
        }
    }
}
