//! Both file formats: what is read, and where a broken one is broken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers are small")]

mod build;

use std::io;
use std::time::Duration;

use build::{ETHERNET, Order, Pcap, Pcapng, RAW, Unit, ethernet, ipv4, ipv6, payload, read};
use plimsoll_capture::{Capture, Error, Part, Problem};

const AT: Duration = Duration::new(1_700_000_000, 123_456_789);

#[test]
fn pcap_in_both_byte_orders_and_units() {
    let datagram = ipv4(1, &payload(30));
    for order in [Order::Little, Order::Big] {
        for (unit, nanos) in [(Unit::Micros, 123_456_000), (Unit::Nanos, 123_456_789)] {
            let file = Pcap::new(order, unit, RAW.into()).packet(AT, &datagram).packet(Duration::ZERO, &datagram);
            let read = read(file.bytes.as_slice());
            assert!(read.error.is_none());
            assert_eq!(read.bytes(), [&datagram, &datagram]);
            // Times may go backwards.
            assert_eq!(read.times(), [Some(Duration::new(AT.as_secs(), nanos)), Some(Duration::ZERO)]);
        }
    }
}

#[test]
fn the_upper_half_of_the_link_type_is_not_part_of_it() {
    let datagram = ipv4(1, &payload(30));
    let frame = ethernet(0x0800, &[datagram.as_slice(), b"\0\0\0\0check"].concat());
    let file = Pcap::new(Order::Big, Unit::Micros, 0x2400_0001).packet(AT, &frame);
    assert_eq!(read(file.bytes.as_slice()).bytes(), [&datagram]);
}

#[test]
fn pcapng_with_sections_interfaces_and_resolutions() {
    let (v4, v6) = (ipv4(1, &payload(31)), ipv6(17, &payload(9)));
    let file = Pcapng::new(Order::Little)
        .interface(ETHERNET, 0, &[])
        .interface(229, 96, &[(2, b"eth1"), (9, &[9]), (14, &5_i64.to_le_bytes())])
        .block(0x0bad, &vec![1; 600_000])
        .packet(1, 1_500_000_000, &v6)
        .packet(0, 1_500_000, &ethernet(0x0800, &v4))
        .block(5, &[0; 12])
        .section(Order::Big)
        .interface(RAW, 65_535, &[(9, &[0x8a])])
        .old_packet(0, 1024 + 512, &v4)
        .packet(0, 5 << 32, &v4);
    let read = read(file.bytes.as_slice());
    assert!(read.error.is_none(), "{:?}", read.error);
    assert_eq!(read.bytes(), [&v6, &v4, &v4, &v4]);
    let millis = [6_500, 1_500, 1_500, (5 << 22) * 1000].map(|millis| Some(Duration::from_millis(millis)));
    assert_eq!(read.times(), millis);
}

#[test]
fn a_simple_packet_is_of_the_first_interface_and_has_no_time() {
    let datagram = ipv4(1, &payload(99));
    let file = Pcapng::new(Order::Big)
        .interface(RAW, 61, &[])
        .interface(ETHERNET, 0, &[])
        .simple_packet(119, &datagram[..61])
        .simple_packet(30, &ipv4(2, &payload(10)));
    let read = read(file.bytes.as_slice());
    assert!(read.error.is_none(), "{:?}", read.error);
    assert_eq!(read.bytes(), [&datagram[..61], &ipv4(2, &payload(10))]);
    assert_eq!(read.times(), [None, None]);
}

#[test]
fn an_input_that_comes_byte_by_byte_is_read() {
    struct Trickle<'a>(&'a [u8], u32);
    impl io::Read for Trickle<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(3) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            io::Read::read(&mut self.0, &mut room[..1])
        }
    }
    let datagram = ipv4(1, &payload(30));
    let pcap = Pcap::of(RAW).packet(AT, &datagram).packet(AT, &datagram);
    let pcapng = Pcapng::new(Order::Big).interface(RAW, 0, &[]).packet(0, 1, &datagram).packet(0, 2, &datagram);
    for file in [pcap.bytes, pcapng.bytes] {
        let read = read(Trickle(&file, 0));
        assert!(read.error.is_none(), "{:?}", read.error);
        assert_eq!(read.bytes(), [&datagram, &datagram]);
    }
}

#[test]
fn packets_larger_than_the_buffer_are_read_and_many_too() {
    let large = [&ipv4(1, &payload(30))[..], &vec![0; 1024 * 1024 - 50]].concat();
    let mut file = Pcap::of(RAW);
    for _ in 0..3 {
        file = file.packet(AT, &large);
        for id in 0..10_000 {
            file = file.packet(AT, &ipv4(id, &payload(usize::from(id % 100))));
        }
    }
    let read = read(file.bytes.as_slice());
    assert!(read.error.is_none(), "{:?}", read.error);
    assert_eq!(read.datagrams.len(), 30_003);
    assert_eq!(read.datagrams[10_001].1, ipv4(1, &payload(30)));
    assert_eq!(read.datagrams[29_999].1, ipv4(9_996, &payload(96)));
}

#[test]
fn an_input_that_fails_says_where() {
    struct Failing<'a>(&'a [u8]);
    impl io::Read for Failing<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            match io::Read::read(&mut self.0, room)? {
                0 => Err(io::Error::other("the disk is gone")),
                read => Ok(read),
            }
        }
    }
    let file = Pcap::of(RAW).packet(AT, &ipv4(1, &payload(30))).bytes;
    let read = read(Failing(&file[..80]));
    assert_eq!(read.datagrams.len(), 0);
    assert_eq!(read.error.unwrap().to_string(), "cannot read the capture beyond byte 80: the disk is gone");
    let read = build::read(Failing(&file));
    assert_eq!(read.datagrams.len(), 1);
}

#[test]
fn what_is_no_capture_is_shown() {
    for (file, message) in [
        (&b""[..], "not a packet capture (pcap or pcapng): it is empty"),
        (&b"\xd4\xc3"[..], "not a packet capture (pcap or pcapng): it begins with d4 c3"),
        (&b"#!/bin/sh"[..], "not a packet capture (pcap or pcapng): it begins with 23 21 2f 62"),
        (
            &b"\x1f\x8b\x08\x00\x00"[..],
            "not a packet capture (pcap or pcapng): it begins with 1f 8b 08 00, as gzip writes: unpack it first",
        ),
    ] {
        assert_eq!(Capture::open(file).unwrap_err().to_string(), message);
    }
}

#[test]
fn link_types_that_are_not_known_are_named() {
    let file = Pcap::of(127).bytes;
    let error = Capture::open(file.as_slice()).unwrap_err();
    assert!(matches!(error, Error::UnsupportedLinkType { number: 127, offset: 20 }), "{error}");

    // In pcapng only the interface that packets come from matters.
    let datagram = ipv4(1, &payload(30));
    let file = Pcapng::new(Order::Little).interface(220, 0, &[]).interface(RAW, 0, &[]).packet(1, 0, &datagram);
    let offset = file.bytes.len() as u64;
    let read = read(file.packet(0, 0, &datagram).bytes.as_slice());
    assert_eq!(read.bytes(), [&datagram]);
    let error = read.error.unwrap();
    assert!(matches!(error, Error::UnsupportedLinkType { number: 220, offset: at } if at == offset), "{error}");
}

#[test]
fn a_file_that_is_cut_anywhere_gives_its_whole_packets_and_the_place() {
    let datagram = ipv4(1, &payload(30));
    // What is there, where each packet ends, and how much of a part must be there for its kind to be known.
    let pcap = Pcap::of(RAW).packet(AT, &datagram).packet(AT, &datagram).bytes;
    let pcapng = Pcapng::new(Order::Little).interface(RAW, 0, &[]).packet(0, 1, &datagram);
    let first = pcapng.bytes.len();
    let pcapng = pcapng.block(0x0bad, &[0; 20]).packet(0, 2, &datagram).bytes;
    let block = first + 32;
    for (file, ends, packets) in [
        (&pcap, vec![0, 24, 24 + 66, 24 + 66 * 2], vec![0, 0, 1, 2]),
        (&pcapng, vec![0, 28, 48, first, block, pcapng.len()], vec![0, 0, 0, 1, 1, 2]),
    ] {
        assert_eq!(ends.last(), Some(&file.len()));
        for length in 4..=file.len() {
            let read = read(&file[..length]);
            let whole = ends.iter().rposition(|end| *end <= length).unwrap();
            assert_eq!(read.datagrams.len(), packets[whole], "{length}");
            match read.error {
                None => assert_eq!(length, ends[whole]),
                Some(Error::Broken { offset, problem: Problem::Truncated { needs, has }, .. }) => {
                    assert_eq!((offset, has), (ends[whole] as u64, (length - ends[whole]) as u64));
                    assert!(needs > has && offset + needs <= ends[whole + 1] as u64);
                }
                Some(error) => panic!("{error}"),
            }
        }
    }
}

/// What a file is told to be broken by, when some bytes of it are others.
fn broken(file: &[u8], at: usize, bytes: &[u8]) -> (Part, u64, Problem) {
    let mut file = file.to_vec();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    match read(file.as_slice()).error.expect("an error") {
        Error::Broken { part, offset, problem } => (part, offset, problem),
        error => panic!("{error}"),
    }
}

#[test]
fn what_is_wrong_in_a_pcap_file_is_told_with_its_offset() {
    let datagram = ipv4(1, &payload(30));
    for order in [Order::Little, Order::Big] {
        let file = Pcap::new(order, Unit::Nanos, RAW.into()).packet(AT, &datagram).packet(AT, &datagram).bytes;
        assert_eq!(
            broken(&file, 4, &[order.u16(2), order.u16(3)].concat()),
            (Part::FileHeader, 4, Problem::Version { major: 2, minor: 3 })
        );
        assert_eq!(
            broken(&file, 24 + 66 + 8, &order.u32(1024 * 1024 + 1)),
            (Part::Record, 24 + 66 + 8, Problem::TooLong { says: 1024 * 1024 + 1, most: 1024 * 1024 })
        );
        assert_eq!(
            broken(&file, 24 + 66 + 8, &order.u32(51)),
            (Part::Record, 24 + 66, Problem::Truncated { needs: 67, has: 66 })
        );
    }
}

#[test]
fn what_is_wrong_in_a_pcapng_file_is_told_with_its_offset() {
    let datagram = ipv4(1, &payload(30));
    for order in [Order::Little, Order::Big] {
        let u32 = |number| order.u32(number);
        let file =
            Pcapng::new(order).interface(RAW, 0, &[(9, &[6])]).packet(0, 1, &datagram).simple_packet(50, &datagram);
        let file = file.block(0x0bad, &[0; 4]).bytes;
        let (interface, packet, simple, other) = (28, 28 + 32, 28 + 32 + 96, 28 + 32 + 96 + 68);
        assert_eq!(file.len(), other + 16);
        let at = |offset: usize| offset as u64;
        let impossible = |says| Problem::ImpossibleLength { says };
        for (place, bytes, expected) in [
            (8, vec![1, 2, 3, 4], (Part::SectionHeader, 8, Problem::ByteOrder { found: 0x0102_0304 })),
            (12, order.u16(2).to_vec(), (Part::SectionHeader, 12, Problem::Version { major: 2, minor: 0 })),
            (4, u32(24).to_vec(), (Part::SectionHeader, 4, impossible(24))),
            (24, u32(32).to_vec(), (Part::SectionHeader, 24, Problem::LengthsDiffer { first: 28, last: 32 })),
            (interface + 4, u32(16).to_vec(), (Part::Interface, at(interface + 4), impossible(16))),
            (interface + 4, u32(33).to_vec(), (Part::Interface, at(interface + 4), impossible(33))),
            (interface + 18, order.u16(2).to_vec(), (Part::Interface, at(interface + 18), impossible(2))),
            (
                interface + 18,
                order.u16(9).to_vec(),
                (Part::Interface, at(interface + 16), Problem::Truncated { needs: 13, has: 12 }),
            ),
            (packet + 4, u32(28).to_vec(), (Part::Packet, at(packet + 4), impossible(28))),
            (
                packet + 4,
                u32(0x0020_0004).to_vec(),
                (Part::Packet, at(packet + 4), Problem::TooLong { says: 0x0020_0004, most: 0x0010_0000 }),
            ),
            (
                packet + 8,
                u32(1).to_vec(),
                (Part::Packet, at(packet + 8), Problem::UnknownInterface { interface: 1, known: 1 }),
            ),
            (packet + 20, u32(65).to_vec(), (Part::Packet, at(packet + 20), impossible(65))),
            (simple + 8, u32(53).to_vec(), (Part::Packet, at(simple + 8), impossible(53))),
            (
                other - 4,
                u32(64).to_vec(),
                (Part::Packet, at(other - 4), Problem::LengthsDiffer { first: 68, last: 64 }),
            ),
            (other + 4, u32(8).to_vec(), (Part::Block, at(other + 4), impossible(8))),
            (other + 4, u32(20).to_vec(), (Part::Block, at(other), Problem::Truncated { needs: 20, has: 16 })),
            (
                other + 4,
                u32(0xffff_fffc).to_vec(),
                (Part::Block, at(other), Problem::Truncated { needs: 0xffff_fffc, has: 16 }),
            ),
            (other + 12, u32(0).to_vec(), (Part::Block, at(other + 12), Problem::LengthsDiffer { first: 16, last: 0 })),
        ] {
            assert_eq!(broken(&file, place, &bytes), expected, "{order:?} at {place}");
        }
        let no_interface = Pcapng::new(order).simple_packet(50, &datagram).bytes;
        assert_eq!(
            broken(&no_interface, 0, &[]),
            (Part::Packet, 36, Problem::UnknownInterface { interface: 0, known: 0 })
        );
        let error = read(&no_interface[..]).error.unwrap();
        assert_eq!(
            error.to_string(),
            "cannot read a pcapng packet block at byte 36: it belongs to interface 0, but 0 were described"
        );
    }
}

#[test]
fn a_section_forgets_the_interfaces_before_it() {
    let file = Pcapng::new(Order::Little).interface(RAW, 0, &[]).section(Order::Big);
    let offset = file.bytes.len() as u64;
    let file = file.packet(0, 1, &ipv4(1, &payload(30))).bytes;
    let expected = (Part::Packet, offset + 8, Problem::UnknownInterface { interface: 0, known: 0 });
    assert_eq!(broken(&file, 0, &[]), expected);
}
