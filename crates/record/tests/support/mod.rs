//! Flows played packet by packet, with their times, while they are recorded.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod truth;
pub(crate) mod watched;

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use plimsoll_lab::{ByHand, HandPacket, LabNamespace, Payload, Side};
use plimsoll_record::{Bounds, History, LookEvery, Recorded, Wishes};
use plimsoll_recording::{Addresses, Row, Sources, UnixMicros};

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;

/// Looks twice a second.
pub(crate) const WISHES: Wishes = Wishes {
    lasts: None,
    sources: Sources::EventsAndLooks,
    looked_at: 10_000,
    look_every: LookEvery::Exactly(Duration::from_millis(500)),
    read_every: Duration::from_secs(1),
    write_down_every: Duration::from_hours(1),
    bounds: Bounds { events_per_sec: 1_000_000, followed: 1_000_000 },
    buffer_bytes: 32 << 20,
    addresses: Addresses::Plain,
    secret: (1, 2),
    key_secret: (3, 4),
    history: History::MayHaveBeenDefaults,
};

/// Records a namespace while something is done.
pub(crate) fn recorded<T>(
    namespace: &LabNamespace,
    wishes: Wishes,
    meanwhile: impl FnOnce() -> T,
) -> (Vec<Row>, Recorded, T) {
    watched::recorded(namespace, wishes, |_| meanwhile())
}

pub(crate) fn now() -> UnixMicros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    UnixMicros(i64::try_from(since.as_micros()).unwrap())
}

/// A flow of TCP or UDP, with what its ends count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    sent: [u32; 2],
}

impl Flow {
    pub(crate) fn new(number: u32, port: u16) -> Self {
        let client = SocketAddr::new(Ipv4Addr::from_bits(0x0a00_0001 + number).into(), 40_000);
        Self { client, server: SocketAddr::new(Ipv4Addr::new(192, 0, 2, 1).into(), port), sent: [0; 2] }
    }

    pub(crate) const fn between(client: SocketAddr, server: SocketAddr) -> Self {
        Self { client, server, sent: [0; 2] }
    }

    /// The same client, which goes on counting beyond what it has sent before.
    pub(crate) fn later(number: u32, port: u16) -> Self {
        Self { sent: [1 << 20; 2], ..Self::new(number, port) }
    }

    pub(crate) fn tcp(&mut self, router: &ByHand, from: Side, flags: u8, bytes: u16) {
        let (own, other) = match from {
            Side::Client => (0, 1),
            Side::Server => (1, 0),
        };
        let acknowledgement = if flags & ACK == 0 { 0 } else { self.sent[other] };
        let payload = Payload::Tcp { flags, sequence: self.sent[own], acknowledgement, window: 0xffff, bytes };
        self.sent[own] += u32::from(bytes) + u32::from(flags & (SYN | FIN) != 0);
        router.send(&HandPacket { from, client: self.client, server: self.server, payload }).unwrap();
    }

    /// A connection that is refused: two packets, two events.
    pub(crate) fn be_refused(&mut self, router: &ByHand) {
        self.tcp(router, Side::Client, SYN, 0);
        self.tcp(router, Side::Server, RST | ACK, 0);
    }

    pub(crate) fn open(&mut self, router: &ByHand) {
        self.tcp(router, Side::Client, SYN, 0);
        self.tcp(router, Side::Server, SYN | ACK, 0);
        self.tcp(router, Side::Client, ACK, 0);
    }

    /// Data, and its acknowledgement.
    pub(crate) fn talk(&mut self, router: &ByHand) {
        self.tcp(router, Side::Client, PSH | ACK, 100);
        self.tcp(router, Side::Server, ACK, 0);
    }

    pub(crate) fn close(&mut self, router: &ByHand) {
        self.tcp(router, Side::Client, FIN | ACK, 0);
        self.tcp(router, Side::Server, FIN | ACK, 0);
        self.tcp(router, Side::Client, ACK, 0);
    }

    pub(crate) fn udp(&self, router: &ByHand, from: Side) {
        let payload = Payload::Udp(20);
        router.send(&HandPacket { from, client: self.client, server: self.server, payload }).unwrap();
    }
}

pub(crate) fn sleep_until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(Instant::now()));
}

/// Waits until something is so.
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
