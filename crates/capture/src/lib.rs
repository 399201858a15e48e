//! Packet captures as the IP datagrams that the kernel's connection tracking would see.
//!
//! A [`Capture`] reads a pcap or pcapng stream, looks through the link layer, puts fragments together as the kernel does
//! before connection tracking, and lends one [`Datagram`] after the other. What holds no datagram is passed over and
//! counted in [`Skipped`]; only a broken file is an [`Error`], with the place where it is broken.
//!
//! Conntrack sees less than a capture does in two ways that no file tells: packets for other hosts on the same wire,
//! and those whose IPv4 header checksum is wrong. A capture on all interfaces of a router (`tcpdump -i any`) holds each
//! forwarded packet twice.
//!
//! ```
//! use std::time::Duration;
//!
//! use plimsoll_capture::Capture;
//!
//! // A file of raw IP (101) with one packet: a header and eight bytes, at half past the first second of 1970.
//! let mut file = Vec::new();
//! for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101, 1, 500_000, 28, 28] {
//!     file.extend(word.to_le_bytes());
//! }
//! let packet = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 53, 0, 53, 0, 8, 0, 0];
//! file.extend(packet);
//!
//! let mut capture = Capture::open(file.as_slice())?;
//! let datagram = capture.next_datagram()?.expect("one packet");
//! assert_eq!(datagram.at, Some(Duration::from_millis(1_500)));
//! assert_eq!(datagram.bytes, packet);
//! assert!(capture.next_datagram()?.is_none());
//! # Ok::<(), plimsoll_capture::Error>(())
//! ```

mod byte_order;
mod capture;
mod clock;
mod error;
mod format;
mod fragment;
mod ip;
mod link;
mod pcap;
mod pcapng;
mod queue;
mod reassembly;
mod skipped;
mod stream;

pub use capture::{Capture, Datagram};
pub use error::{Beginning, Error, Part, Problem};
pub use format::is_capture;
pub use skipped::{Reason, Skipped};
