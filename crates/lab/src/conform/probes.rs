//! What this kernel can, asked of it by packets.
//!
//! A probe is a few packets of which kernels make different things. The twin plays them in each way that is known; the way in
//! which it agrees with the kernel is the kernel's.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use plimsoll_scenario::Side;
use plimsoll_twin::Capabilities;
use plimsoll_twin::capabilities::{
    ClosingReset, FutileClose, IgnoredSynReset, InexactReset, PortReuse, Tracker, WindowExcess, WindowRestart,
};
use plimsoll_twin::packet::flags::{ACK, FIN, PSH, RST, SYN};

use super::contest::Rulebook;
use super::craft::{Defect, TcpHeader, Transport, datagram};
use super::ground::{GATEWAY, Policies, Translation};
use super::round::Played;
use super::shrink::replay;
use crate::Error;

/// A capability, and how it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Its name.
    pub capability: &'static str,
    /// The kernel's way.
    pub way: &'static str,
    /// How that is known.
    pub known: Known,
}

/// How a capability is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// By packets that only this way explains.
    Measured,
    /// By the kernel's version alone: no packet shows it, or none did.
    Guessed,
}

/// Asks the kernel for its capabilities, beginning with a guess.
pub fn probe(guess: Capabilities) -> Result<(Capabilities, Vec<Probed>), Error> {
    let mut capabilities = guess;
    let mut measured = Vec::new();
    for probe in probes() {
        let mut agreeing = Vec::new();
        for variant in (probe.variants)(capabilities) {
            let rulebook = Rulebook {
                settings: plimsoll_twin::Settings::default(),
                translation: probe.translation,
                policies: Policies::None,
                capabilities: variant,
            };
            if replay(&rulebook, &probe.packets)?.is_none() {
                agreeing.push(variant);
            }
        }
        if let [only] = agreeing.as_slice() {
            capabilities = *only;
            measured.push(probe.capability);
        }
    }
    let probed = capabilities.named().map(|(capability, way)| Probed {
        capability,
        way,
        known: if measured.contains(&capability) { Known::Measured } else { Known::Guessed },
    });
    Ok((capabilities, probed.collect()))
}

struct Probe {
    capability: &'static str,
    /// The ways that are told apart.
    variants: fn(Capabilities) -> Vec<Capabilities>,
    translation: Translation,
    packets: Vec<Played>,
}

macro_rules! variants {
    ($field:ident: $kind:ty) => {
        |base: Capabilities| <$kind>::ALL.iter().map(|way| Capabilities { $field: *way, ..base }).collect()
    };
}

fn probes() -> Vec<Probe> {
    let probe = |capability, variants, packets| Probe { capability, variants, translation: Translation::None, packets };
    let mut clients_closed = handshake();
    clients_closed.extend([client(FIN | ACK, 1001, 5001), server(ACK, 5001, 1002)]);
    vec![
        probe("window_excess", variants!(window_excess: WindowExcess), {
            // Data that were sent long ago, behind a window of 500.
            with(handshake(), [client_data(1001, 5001, 100), server(ACK, 5001, 1101), client_data(0, 5001, 10)])
        }),
        probe("window_restart", variants!(window_restart: WindowRestart), {
            // A SYN-ACK of an earlier connection, and then the right one.
            vec![client(SYN, 1000, 0), server(SYN | ACK, 3000, 2000), server(SYN | ACK, 5000, 1001)]
        }),
        probe("inexact_reset", variants!(inexact_reset: InexactReset), {
            with(handshake(), [client_data(1001, 5001, 100), server(ACK, 5001, 1101), server(RST, 5050, 0)])
        }),
        probe("closing_reset", variants!(closing_reset: ClosingReset), {
            with(clients_closed, [server(RST | ACK, 4000, 1002)])
        }),
        probe("ignored_syn_reset", variants!(ignored_syn_reset: IgnoredSynReset), {
            with(handshake(), [client(SYN, 90_000, 0), client(RST | ACK, 3_000_000, 90_001)])
        }),
        probe("futile_close", variants!(futile_close: FutileClose), {
            with(handshake(), [client(FIN | ACK, 9_000_000, 5001), server(FIN | ACK, 9_000_000, 1001)])
        }),
        Probe {
            capability: "port_reuse",
            variants: variants!(port_reuse: PortReuse),
            translation: Translation::TwoPorts,
            packets: third_of_two_ports(),
        },
        probe("udplite", variants!(udplite: Tracker), {
            let transport = Transport::UdpLite { ports: [CLIENT_PORT, SERVER_PORT], payload_bytes: 8 };
            let bytes = datagram(CLIENT.into(), SERVER.into(), 1, &transport, Defect::UdpChecksum);
            vec![Played { at: Duration::ZERO, from: Side::Client, bytes }]
        }),
    ]
}

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const CLIENT_PORT: u16 = 1111;
const SERVER_PORT: u16 = 80;
/// Small, so that what lies outside it is near.
const WINDOW: u16 = 500;

fn with<const N: usize>(mut packets: Vec<Played>, more: [Played; N]) -> Vec<Played> {
    packets.extend(more);
    packets
}

/// The client's numbers begin with 1001, the server's with 5001.
fn handshake() -> Vec<Played> {
    vec![client(SYN, 1000, 0), server(SYN | ACK, 5000, 1001), client(ACK, 1001, 5001)]
}

fn client(flags: u8, sequence: u32, acknowledgement: u32) -> Played {
    let ports = [CLIENT_PORT, SERVER_PORT];
    played(Side::Client, CLIENT.into(), SERVER.into(), &tcp(ports, flags, sequence, acknowledgement, 0))
}

fn client_data(sequence: u32, acknowledgement: u32, payload_bytes: usize) -> Played {
    let transport = tcp([CLIENT_PORT, SERVER_PORT], PSH | ACK, sequence, acknowledgement, payload_bytes);
    played(Side::Client, CLIENT.into(), SERVER.into(), &transport)
}

fn server(flags: u8, sequence: u32, acknowledgement: u32) -> Played {
    let ports = [SERVER_PORT, CLIENT_PORT];
    played(Side::Server, SERVER.into(), CLIENT.into(), &tcp(ports, flags, sequence, acknowledgement, 0))
}

const fn tcp(
    ports: [u16; 2],
    flags: u8,
    sequence: u32,
    acknowledgement: u32,
    payload_bytes: usize,
) -> Transport<'static> {
    let header = TcpHeader { flags, sequence, acknowledgement, window: WINDOW };
    Transport::Tcp { ports, header, options: &[], payload_bytes }
}

fn played(from: Side, source: IpAddr, destination: IpAddr, transport: &Transport<'_>) -> Played {
    Played { at: Duration::ZERO, from, bytes: datagram(source, destination, 1, transport, Defect::None) }
}

/// Two connections by the only two ports there are, one of which has been reset; and a third.
fn third_of_two_ports() -> Vec<Played> {
    let client = |host: u8, port: u16, flags, sequence, acknowledgement| {
        let transport = tcp([port, SERVER_PORT], flags, sequence, acknowledgement, 0);
        played(Side::Client, Ipv4Addr::new(10, 0, 0, host).into(), SERVER.into(), &transport)
    };
    let server = |port: u16, flags, sequence, acknowledgement| {
        let transport = tcp([SERVER_PORT, port], flags, sequence, acknowledgement, 0);
        played(Side::Server, SERVER.into(), GATEWAY.into(), &transport)
    };
    let mut packets = Vec::new();
    for (host, port) in [(1, 40_000), (2, 40_001)] {
        packets.extend([
            client(host, port, SYN, 1000, 0),
            server(port, SYN | ACK, 5000, 1001),
            client(host, port, ACK, 1001, 5001),
        ]);
    }
    packets.extend([client(2, 40_001, RST | ACK, 1001, 5001), client(3, 50_000, SYN, 900_000, 0)]);
    packets
}
