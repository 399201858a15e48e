//! SYNs by a raw socket, as many as the machine gives.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::anyhow;
use plimsoll_draw::Draw;
use plimsoll_lab::LabNamespace;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto, sendto, socket_with};

use crate::load::SERVER;

/// From where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sources {
    /// Four addresses, whose ports change.
    Few,
    /// Any of 11.0.0.0/8.
    Spoofed,
}

impl Sources {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Few => "4 sources",
            Self::Spoofed => "spoofed",
        }
    }
}

/// A flood that goes on until it is ended.
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u64, f64)>,
}

impl Flood {
    pub(crate) fn begin(client: &LabNamespace, sources: Sources) -> anyhow::Result<Self> {
        let socket = raw(client)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut syns, mut sent, began) = (Syns::of(sources), 0_u64, Instant::now());
            while !stopped.load(Ordering::Relaxed) {
                for _ in 0..64 {
                    send(&socket, &syns.next());
                }
                sent += 64;
            }
            (sent, began.elapsed().as_secs_f64())
        });
        Ok(Self { stop, thread })
    }

    /// SYNs a second.
    pub(crate) fn end(self) -> anyhow::Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let (sent, secs) = self.thread.join().map_err(|_| anyhow!("the flood broke off"))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
        Ok((sent as f64 / secs) as u64)
    }
}

/// Microseconds for each of so many packets: what receives them runs within the sending.
pub(crate) fn cost_micros(client: &LabNamespace, sources: Sources, packets: u32) -> anyhow::Result<f64> {
    let (socket, mut syns) = (raw(client)?, Syns::of(sources));
    (0..packets / 10).for_each(|_| send(&socket, &syns.next()));
    let began = Instant::now();
    (0..packets).for_each(|_| send(&socket, &syns.next()));
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(packets))
}

fn raw(client: &LabNamespace) -> anyhow::Result<OwnedFd> {
    let made =
        client.enter(|| socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::RAW)));
    Ok(made??)
}

/// What a full queue refuses is not sent.
fn send(socket: &OwnedFd, packet: &[u8]) {
    let _ = sendto(socket, packet, SendFlags::empty(), &SocketAddrV4::new(SERVER, 0));
}

struct Syns {
    sources: Sources,
    draw: Draw,
    number: u32,
}

impl Syns {
    fn of(sources: Sources) -> Self {
        Self { sources, draw: Draw::new(7), number: 0 }
    }

    /// A whole IPv4 datagram of 40 bytes (RFC 791, RFC 9293).
    fn next(&mut self) -> [u8; 40] {
        let number = self.number;
        self.number = number.wrapping_add(1);
        let (source, port) = match self.sources {
            // 64,512 ports each, in turn.
            Sources::Few => (Ipv4Addr::from_bits(0x0a09_0001 + number % 4), 1024 + (number / 4) % 64_512),
            Sources::Spoofed => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "24 bits")]
                let drawn = (self.draw.fraction() * f64::from(1 << 24)) as u32;
                (Ipv4Addr::from_bits(0x0b00_0000 | drawn), 1024 + number % 64_512)
            }
        };
        let mut packet = [0; 40];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&40_u16.to_be_bytes());
        packet[8] = 64;
        packet[9] = 6;
        packet[12..16].copy_from_slice(&source.octets());
        packet[16..20].copy_from_slice(&SERVER.octets());
        packet[20..22].copy_from_slice(&u16::try_from(port).unwrap_or(1024).to_be_bytes());
        packet[22..24].copy_from_slice(&443_u16.to_be_bytes());
        packet[24..28].copy_from_slice(&number.to_be_bytes());
        packet[32] = 0x50;
        packet[33] = 0x02;
        packet[34..36].copy_from_slice(&0xffff_u16.to_be_bytes());
        let checksum = checksum(&packet);
        packet[36..38].copy_from_slice(&checksum.to_be_bytes());
        packet
    }
}

/// That of TCP, over the pseudo header too; that of IP is the kernel's to fill in.
fn checksum(packet: &[u8; 40]) -> u16 {
    // The addresses and all of TCP; then protocol and length.
    let words = packet[12..].chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let mut sum = words.sum::<u32>() + 6 + 20;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}
