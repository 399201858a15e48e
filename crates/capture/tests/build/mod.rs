//! Captures and packets, built byte by byte.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers are small")]

use std::time::Duration;

use plimsoll_capture::{Capture, Error, Reason};

pub(crate) const ETHERNET: u16 = 1;
pub(crate) const RAW: u16 = 101;

/// The byte order of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    pub(crate) fn u16(self, number: u16) -> [u8; 2] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }

    pub(crate) fn u32(self, number: u32) -> [u8; 4] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }

    fn u64(self, number: u64) -> [u8; 8] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }
}

/// The unit of a pcap file's times.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    Micros,
    Nanos,
}

/// A pcap file.
pub(crate) struct Pcap {
    pub(crate) bytes: Vec<u8>,
    order: Order,
    unit: Unit,
}

impl Pcap {
    pub(crate) fn new(order: Order, unit: Unit, link: u32) -> Self {
        let magic = match unit {
            Unit::Micros => 0xa1b2_c3d4,
            Unit::Nanos => 0xa1b2_3c4d,
        };
        let mut bytes = order.u32(magic).to_vec();
        bytes.extend(order.u16(2));
        bytes.extend(order.u16(4));
        for word in [0, 0, 65_535, link] {
            bytes.extend(order.u32(word));
        }
        Self { bytes, order, unit }
    }

    /// Of little-endian microseconds.
    pub(crate) fn of(link: u16) -> Self {
        Self::new(Order::Little, Unit::Micros, link.into())
    }

    pub(crate) fn packet(self, at: Duration, frame: &[u8]) -> Self {
        self.packet_of(at, frame, frame.len())
    }

    /// A packet of which less was captured than there was.
    pub(crate) fn packet_of(mut self, at: Duration, captured: &[u8], original: usize) -> Self {
        let fraction = match self.unit {
            Unit::Micros => at.subsec_micros(),
            Unit::Nanos => at.subsec_nanos(),
        };
        for word in [at.as_secs() as u32, fraction, captured.len() as u32, original as u32] {
            self.bytes.extend(self.order.u32(word));
        }
        self.bytes.extend(captured);
        self
    }
}

/// A pcapng file.
pub(crate) struct Pcapng {
    pub(crate) bytes: Vec<u8>,
    order: Order,
}

impl Pcapng {
    pub(crate) fn new(order: Order) -> Self {
        Self { bytes: Vec::new(), order }.section(order)
    }

    /// Begins a section.
    pub(crate) fn section(mut self, order: Order) -> Self {
        self.order = order;
        let mut body = order.u32(0x1a2b_3c4d).to_vec();
        body.extend(order.u16(1));
        body.extend(order.u16(0));
        body.extend(order.u64(u64::MAX));
        self.block(0x0a0d_0d0a, &body)
    }

    /// Describes an interface, with options as (code, value).
    pub(crate) fn interface(self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) -> Self {
        let mut body = self.order.u16(link).to_vec();
        body.extend([0, 0]);
        body.extend(self.order.u32(snaplen));
        for (code, value) in options {
            body.extend(self.order.u16(*code));
            body.extend(self.order.u16(value.len() as u16));
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            body.extend([0; 4]);
        }
        self.block(1, &body)
    }

    /// An enhanced packet block.
    pub(crate) fn packet(self, interface: u32, ticks: u64, frame: &[u8]) -> Self {
        let mut body = self.order.u32(interface).to_vec();
        body.extend(self.ticks_and_lengths(ticks, frame));
        // A comment.
        body.extend(self.order.u16(1));
        body.extend(self.order.u16(2));
        body.extend(b"hi\0\0");
        body.extend([0; 4]);
        self.block(6, &body)
    }

    /// A packet block of old.
    pub(crate) fn old_packet(self, interface: u16, ticks: u64, frame: &[u8]) -> Self {
        let mut body = self.order.u16(interface).to_vec();
        // Packets that were dropped.
        body.extend(self.order.u16(7));
        body.extend(self.ticks_and_lengths(ticks, frame));
        self.block(2, &body)
    }

    pub(crate) fn simple_packet(self, original: u32, captured: &[u8]) -> Self {
        let mut body = self.order.u32(original).to_vec();
        body.extend(captured);
        body.resize(body.len().next_multiple_of(4), 0);
        self.block(3, &body)
    }

    pub(crate) fn block(mut self, kind: u32, body: &[u8]) -> Self {
        let length = self.order.u32(body.len() as u32 + 12);
        self.bytes.extend(self.order.u32(kind));
        self.bytes.extend(length);
        self.bytes.extend(body);
        self.bytes.extend(length);
        self
    }

    fn ticks_and_lengths(&self, ticks: u64, frame: &[u8]) -> Vec<u8> {
        let words = [(ticks >> 32) as u32, ticks as u32, frame.len() as u32, frame.len() as u32];
        let mut bytes: Vec<u8> = words.into_iter().flat_map(|word| self.order.u32(word)).collect();
        bytes.extend(frame);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }
}

/// A frame of an ethertype.
pub(crate) fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[2; 12], &ethertype.to_be_bytes()[..], payload].concat()
}

/// A VLAN tag with what follows.
pub(crate) fn tag(vlan: u16, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&vlan.to_be_bytes(), &ethertype.to_be_bytes()[..], payload].concat()
}

/// An IPv4 datagram, not fragmented, with a right checksum.
pub(crate) fn ipv4(id: u16, payload: &[u8]) -> Vec<u8> {
    ipv4_part(id, Part { offset: 0, more: 0, payload })
}

/// An IPv6 datagram.
pub(crate) fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next_header, 64]);
    packet.extend([0xfd; 16]);
    packet.extend([0xfe; 16]);
    packet.extend(payload);
    packet
}

/// A fragment's place: `more` is 1 if others follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) offset: usize,
    pub(crate) more: u16,
    pub(crate) payload: &'a [u8],
}

pub(crate) fn ipv4_part(id: u16, part: Part<'_>) -> Vec<u8> {
    let place = part.more << 13 | (part.offset / 8) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend((20 + part.payload.len() as u16).to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(place.to_be_bytes());
    packet.extend([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    let checksum = ipv4_checksum(&packet);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend(part.payload);
    packet
}

/// With `before` as extension headers, of which the first has the number that is given with it.
pub(crate) fn ipv6_part(id: u32, before: Option<(u8, &[u8])>, part: Part<'_>) -> Vec<u8> {
    let mut payload = before.map_or(Vec::new(), |(_, headers)| headers.to_vec());
    payload.extend([17, 0]);
    payload.extend((part.offset as u16 | part.more).to_be_bytes());
    payload.extend(id.to_be_bytes());
    payload.extend(part.payload);
    ipv6(before.map_or(44, |(number, _)| number), &payload)
}

/// Over all 16-bit words, the checksum among them: 0 when that is right.
pub(crate) fn ipv4_checksum(header: &[u8]) -> u16 {
    let mut sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

/// So many bytes, all different from their neighbours.
pub(crate) fn payload(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 7 + at / 256) as u8).collect()
}

/// What a capture gave.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) datagrams: Vec<(Option<Duration>, Vec<u8>)>,
    pub(crate) skipped: Vec<(Reason, u64)>,
    pub(crate) error: Option<Error>,
}

impl Read {
    pub(crate) fn bytes(&self) -> Vec<&[u8]> {
        self.datagrams.iter().map(|(_, bytes)| bytes.as_slice()).collect()
    }

    pub(crate) fn times(&self) -> Vec<Option<Duration>> {
        self.datagrams.iter().map(|(at, _)| *at).collect()
    }
}

/// Reads all there is.
pub(crate) fn read(file: impl std::io::Read) -> Read {
    let mut read = Read::default();
    let mut capture = match Capture::open(file) {
        Ok(capture) => capture,
        Err(error) => return Read { error: Some(error), ..read },
    };
    loop {
        match capture.next_datagram() {
            Ok(Some(datagram)) => read.datagrams.push((datagram.at, datagram.bytes.to_vec())),
            Ok(None) => break,
            Err(error) => {
                read.error = Some(error);
                assert!(capture.next_datagram().is_ok_and(|next| next.is_none()), "nothing comes after an error");
                break;
            }
        }
    }
    read.skipped = capture.skipped().iter().collect();
    read
}

/// Reads frames of a link type, a second apart from the first of 1970 on.
pub(crate) fn read_frames<'a>(link: u16, frames: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let file = frames
        .into_iter()
        .zip(1..)
        .fold(Pcap::of(link), |file, (frame, second)| file.packet(Duration::from_secs(second), frame));
    let read = read(file.bytes.as_slice());
    assert!(read.error.is_none(), "{:?}", read.error);
    read
}
