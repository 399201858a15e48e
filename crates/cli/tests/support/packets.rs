//! TCP flows played packet by packet.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use plimsoll_lab::{ByHand, HandPacket, Payload, Side};

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;

/// The address of a client by its number.
pub(crate) fn client(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0001 + number).into()
}

/// A connection, with what its ends have sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    sent: [u32; 2],
}

impl Connection {
    pub(crate) fn of(number: u32) -> Self {
        let server = SocketAddr::new(Ipv4Addr::new(192, 0, 2, 1).into(), 443);
        Self::between(SocketAddr::new(client(number), 40_000), server)
    }

    pub(crate) const fn between(client: SocketAddr, server: SocketAddr) -> Self {
        Self { client, server, sent: [0; 2] }
    }

    pub(crate) fn send(&mut self, router: &ByHand, from: Side, flags: u8, bytes: u16) {
        let (own, other) = if from == Side::Client { (0, 1) } else { (1, 0) };
        let acknowledgement = if flags & ACK == 0 { 0 } else { self.sent[other] };
        let payload = Payload::Tcp { flags, sequence: self.sent[own], acknowledgement, window: 0xffff, bytes };
        self.sent[own] += u32::from(bytes) + u32::from(flags & (SYN | FIN) != 0);
        router.send(&HandPacket { from, client: self.client, server: self.server, payload }).unwrap();
    }

    pub(crate) fn open(&mut self, router: &ByHand) {
        self.send(router, Side::Client, SYN, 0);
        self.send(router, Side::Server, SYN | ACK, 0);
        self.send(router, Side::Client, ACK, 0);
    }

    /// Data, and its acknowledgement.
    pub(crate) fn talk(&mut self, router: &ByHand) {
        self.send(router, Side::Client, PSH | ACK, 100);
        self.send(router, Side::Server, ACK, 0);
    }

    /// A SYN that is refused: its entry goes at once.
    pub(crate) fn be_refused(&mut self, router: &ByHand) {
        self.send(router, Side::Client, SYN, 0);
        self.send(router, Side::Server, RST | ACK, 0);
    }
}
