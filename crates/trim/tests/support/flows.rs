//! Flows of every kind whose remaining time misleads, played packet by packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use plimsoll_lab::{ByHand, HandPacket, Payload, Side};

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// What a flow has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Everything is acknowledged: between two keepalives.
    Quiet,
    /// The client's data is not acknowledged: at most UNACK.
    Unacknowledged,
    /// The server's window is closed: at most RETRANS.
    ZeroWindow,
    /// The client has sent the same segment four times: at most RETRANS.
    Retransmitted,
    /// Seen from the middle on, both ways: at most UNACK.
    PickedUp,
    /// Seen from the middle on, one way.
    PickedUpOneWay,
    /// The server has not answered.
    HalfOpen,
    /// The client has closed, the server sends on.
    HalfClosed,
    /// One datagram.
    UdpQuestion,
    /// A question and its answer.
    UdpAnswered,
    /// Packets for more than two seconds.
    UdpStream,
    /// An echo request and its reply.
    Echo,
}

pub(crate) const KINDS: [Kind; 12] = [
    Kind::Quiet,
    Kind::Unacknowledged,
    Kind::ZeroWindow,
    Kind::Retransmitted,
    Kind::PickedUp,
    Kind::PickedUpOneWay,
    Kind::HalfOpen,
    Kind::HalfClosed,
    Kind::UdpQuestion,
    Kind::UdpAnswered,
    Kind::UdpStream,
    Kind::Echo,
];

/// A flow of a kind; every fourth is of IPv6.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) number: u32,
    pub(crate) kind: Kind,
}

impl Flow {
    pub(crate) fn of(number: u32) -> Self {
        Self { number, kind: KINDS[number as usize % KINDS.len()] }
    }

    pub(crate) fn client(self) -> SocketAddr {
        let address = if self.is_ipv6() {
            let site = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0).to_bits();
            IpAddr::from(Ipv6Addr::from_bits(site | u128::from(self.number + 1)))
        } else {
            IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 | (self.number + 1)))
        };
        SocketAddr::new(address, 40_000)
    }

    fn server(self) -> SocketAddr {
        let address: &str = if self.is_ipv6() { "2001:db8:2::1" } else { "192.0.2.1" };
        SocketAddr::new(address.parse().unwrap(), 443)
    }

    fn is_ipv6(self) -> bool {
        self.number as usize / KINDS.len() % 4 == 3
    }

    /// Plays it up to where it is quiet.
    pub(crate) fn begin(self, router: &ByHand) {
        let [client, server] = [Side::Client, Side::Server];
        match self.kind {
            Kind::Quiet => {
                self.open(router);
                self.tcp(router, client, PSH | ACK, 1, 1, 100);
                self.tcp(router, server, ACK, 1, 101, 0);
            }
            Kind::Unacknowledged => {
                self.open(router);
                self.tcp(router, client, PSH | ACK, 1, 1, 100);
            }
            Kind::ZeroWindow => {
                self.open(router);
                self.tcp(router, client, PSH | ACK, 1, 1, 100);
                self.segment(router, server, ACK, [1, 101], 0, 0);
            }
            Kind::Retransmitted => {
                self.open(router);
                for _ in 0..4 {
                    self.tcp(router, client, ACK, 1, 1, 0);
                }
            }
            Kind::PickedUp => {
                self.tcp(router, client, PSH | ACK, 1000, 2000, 10);
                self.tcp(router, server, ACK, 2000, 1010, 0);
                self.tcp(router, client, ACK, 1010, 2000, 0);
            }
            Kind::PickedUpOneWay => self.tcp(router, client, PSH | ACK, 1000, 2000, 10),
            Kind::HalfOpen => self.tcp(router, client, SYN, 0, 0, 0),
            Kind::HalfClosed => {
                self.open(router);
                self.tcp(router, client, FIN | ACK, 1, 1, 0);
                self.tcp(router, server, ACK, 1, 2, 0);
                self.tcp(router, server, PSH | ACK, 1, 2, 100);
            }
            Kind::UdpQuestion | Kind::UdpStream => self.send(router, client, Payload::Udp(50)),
            Kind::UdpAnswered => {
                self.send(router, client, Payload::Udp(50));
                self.send(router, server, Payload::Udp(50));
            }
            Kind::Echo => {
                self.send(router, client, Payload::Echo);
                self.send(router, server, Payload::Echo);
            }
        }
        if self.kind == Kind::UdpStream {
            self.send(router, server, Payload::Udp(50));
        }
    }

    /// A packet that is of the flow, whatever its state.
    pub(crate) fn go_on(self, router: &ByHand) {
        match self.kind {
            Kind::Quiet => {
                // Of both sides, or the tracker would take it for retransmissions.
                self.tcp(router, Side::Client, ACK, 101, 1, 0);
                self.tcp(router, Side::Server, ACK, 1, 101, 0);
            }
            Kind::Unacknowledged | Kind::ZeroWindow => {
                self.tcp(router, Side::Client, ACK, 101, 1, 0);
            }
            Kind::Retransmitted => self.tcp(router, Side::Client, ACK, 1, 1, 0),
            Kind::PickedUp | Kind::PickedUpOneWay => self.tcp(router, Side::Client, ACK, 1010, 2000, 0),
            Kind::HalfOpen => self.tcp(router, Side::Client, SYN, 0, 0, 0),
            Kind::HalfClosed => self.tcp(router, Side::Client, ACK, 2, 101, 0),
            Kind::UdpQuestion | Kind::UdpAnswered | Kind::UdpStream => {
                self.send(router, Side::Client, Payload::Udp(50));
            }
            Kind::Echo => self.send(router, Side::Client, Payload::Echo),
        }
    }

    fn open(self, router: &ByHand) {
        self.tcp(router, Side::Client, SYN, 0, 0, 0);
        self.tcp(router, Side::Server, SYN | ACK, 0, 1, 0);
        self.tcp(router, Side::Client, ACK, 1, 1, 0);
    }

    fn tcp(self, router: &ByHand, from: Side, flags: u8, sequence: u32, acknowledgement: u32, bytes: u16) {
        self.segment(router, from, flags, [sequence, acknowledgement], 0x7fff, bytes);
    }

    /// Numbers count from what each side began with.
    fn segment(self, router: &ByHand, from: Side, flags: u8, numbers: [u32; 2], window: u16, bytes: u16) {
        let [client, server] = [self.number, !self.number];
        let (own, other) = if from == Side::Client { (client, server) } else { (server, client) };
        let [sequence, acknowledged] = numbers;
        let acknowledgement = if flags & ACK == 0 { 0 } else { other.wrapping_add(acknowledged) };
        let sequence = own.wrapping_add(sequence);
        self.send(router, from, Payload::Tcp { flags, sequence, acknowledgement, window, bytes });
    }

    fn send(self, router: &ByHand, from: Side, payload: Payload) {
        let (client, server) = (self.client(), self.server());
        router.send(&HandPacket { from, client, server, payload }).unwrap();
    }
}
