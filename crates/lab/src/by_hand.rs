//! Packets sent one by one, as a test makes them up: what no workload has, a window that is closed, data that nobody
//! acknowledges.

use std::io;
use std::net::SocketAddr;

use plimsoll_scenario::Side;

use crate::between::Between;
use crate::tun::Tun;
use crate::wire::{Defect, MOST_BYTES, TcpHeader, Transport, datagram};
use crate::{Error, LabNamespace};

/// A router that tracks what it forwards, of IPv4 and IPv6. Clients are in `10.0.0.0/8` and `2001:db8:1::/48`, servers
/// everywhere else. Removed when dropped.
#[derive(Debug)]
pub struct ByHand {
    between: Between,
}

/// A packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandPacket {
    /// Who sends it.
    pub from: Side,
    /// The client; of an echo the port is its identifier.
    pub client: SocketAddr,
    /// The server; of an echo the port does not matter.
    pub server: SocketAddr,
    /// What it carries.
    pub payload: Payload,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A segment of TCP.
    Tcp {
        /// Flags, as the header's 14th byte has them.
        flags: u8,
        /// Sequence number.
        sequence: u32,
        /// Acknowledgement number.
        acknowledgement: u32,
        /// Window, not scaled.
        window: u16,
        /// Bytes of data.
        bytes: u16,
    },
    /// A datagram of UDP, with so many bytes of data.
    Udp(u16),
    /// An echo request of the client, or the server's reply.
    Echo,
}

impl ByHand {
    /// Builds the router.
    pub fn build() -> Result<Self, Error> {
        let between = Between::build()?;
        between.namespace.nft(
            "table inet lab { chain forward { type filter hook forward priority 0; policy accept; \
             ct state invalid counter; }; }\n",
        )?;
        Ok(Self { between })
    }

    /// Its namespace.
    pub const fn namespace(&self) -> &LabNamespace {
        &self.between.namespace
    }

    /// Sends a packet, and takes away what comes out.
    pub fn send(&self, packet: &HandPacket) -> Result<(), Error> {
        let Between { clients, servers, .. } = &self.between;
        let (to_router, from_router) = match packet.from {
            Side::Client => (clients, servers),
            Side::Server => (servers, clients),
        };
        let sent = to_router.send(&packet.datagram()).and_then(|()| drain(from_router));
        sent.map_err(|answer| Error::Send { answer: answer.to_string() })
    }
}

fn drain(tun: &Tun) -> io::Result<()> {
    let mut buffer = [0; MOST_BYTES];
    while tun.receive(&mut buffer)?.is_some() {}
    Ok(())
}

impl HandPacket {
    /// The datagram, from its IP header on, with checksums that are right.
    pub fn datagram(&self) -> Vec<u8> {
        let (from, to) = match self.from {
            Side::Client => (self.client, self.server),
            Side::Server => (self.server, self.client),
        };
        let zeroes = [0; MOST_BYTES];
        let data = |bytes: u16| zeroes.get(..usize::from(bytes)).unwrap_or_default();
        let ports = [from.port(), to.port()];
        let transport = match self.payload {
            Payload::Tcp { flags, sequence, acknowledgement, window, bytes } => {
                let header = TcpHeader { flags, sequence, acknowledgement, window };
                Transport::Tcp { ports, header, options: &[], payload: data(bytes) }
            }
            Payload::Udp(bytes) => Transport::Udp { ports, payload: data(bytes) },
            Payload::Echo => {
                let [high, low] = self.client.port().to_be_bytes();
                let kind = match (self.from, self.client.is_ipv4()) {
                    (Side::Client, true) => 8,
                    (Side::Server, true) => 0,
                    (Side::Client, false) => 128,
                    (Side::Server, false) => 129,
                };
                Transport::Icmp { kind, code: 0, rest: [high, low, 0, 1], body: data(8) }
            }
        };
        datagram(from.ip(), to.ip(), 0, &transport, Defect::None)
    }
}
