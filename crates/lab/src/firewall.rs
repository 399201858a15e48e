//! A host between two sides, to see of single packets whether its rules let them pass.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use plimsoll_model::Protocol;

use crate::tun::Tun;
use crate::wire::{Defect, MOST_BYTES, Transport, datagram};
use crate::{Error, LabNamespace};

/// A host with a device at each side, which forwards between them. Removed when dropped.
///
/// Outside is everything but the inside, which is `10.0.0.0/8` and `2001:db8:1::/48`.
#[derive(Debug)]
pub struct Firewall {
    namespace: LabNamespace,
    outside: Tun,
    inside: Tun,
}

/// A side of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// By the device `wan`.
    Outside,
    /// By the device `lan`.
    Inside,
}

impl Door {
    /// The device's name.
    pub const fn device(self) -> &'static str {
        match self {
            Self::Outside => "wan",
            Self::Inside => "lan",
        }
    }

    /// The host's address at this side.
    pub const fn address(self, is: IpOf) -> IpAddr {
        match (self, is) {
            (Self::Outside, IpOf::V4) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            (Self::Inside, IpOf::V4) => IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
            (Self::Outside, IpOf::V6) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
            (Self::Inside, IpOf::V6) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1)),
        }
    }
}

/// A version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpOf {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It arrived where it was to.
    Passed,
    /// It did not.
    Stopped,
}

impl Firewall {
    /// Builds it without rules.
    pub fn build() -> Result<Self, Error> {
        let namespace = LabNamespace::forwarding()?;
        // Each packet that is refused is to be heard of.
        namespace.set("net/ipv4/icmp_ratelimit", 0)?;
        namespace.set_where_there("net/ipv6/icmp/ratelimit", 0)?;
        let outside = Tun::create(&namespace, Door::Outside.device())?;
        let inside = Tun::create(&namespace, Door::Inside.device())?;
        namespace.ip(
            "link set wan up\nlink set lan up\naddress add 192.0.2.1/24 dev wan\naddress add 10.0.0.1/8 dev lan\n\
             address add 2001:db8::1/64 dev wan nodad\naddress add 2001:db8:1::1/48 dev lan nodad\n\
             route add default dev wan\nroute add ::/0 dev wan\n",
        )?;
        Ok(Self { namespace, outside, inside })
    }

    /// Its namespace.
    pub const fn namespace(&self) -> &LabNamespace {
        &self.namespace
    }

    /// Whether a datagram of UDP from elsewhere arrives at a socket of the host.
    pub fn arrives(&self, by: Door, from: SocketAddr, to: SocketAddr) -> Result<Fate, Error> {
        let bytes = udp(from, to, Defect::None);
        self.namespace
            .enter(|| {
                let socket = socket_at(unspecified(to))?;
                self.tun(by).send(&bytes)?;
                let mut buffer = [0; MOST_BYTES];
                loop {
                    match socket.recv_from(&mut buffer) {
                        Ok((_, sender)) if sender.port() == from.port() => return Ok(Fate::Passed),
                        Ok(_) => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Fate::Stopped),
                        Err(error) => return Err(error),
                    }
                }
            })?
            .map_err(|answer| sending(&answer))
    }

    /// Whether a datagram of UDP that the host sends goes out.
    pub fn leaves(&self, by: Door, from: SocketAddr, to: SocketAddr) -> Result<Fate, Error> {
        self.drain(by)?;
        let sent = self.namespace.enter(|| {
            let socket = socket_at(from)?;
            Ok(socket.send_to(b"plimsoll", to))
        })?;
        match sent.map_err(|answer: io::Error| sending(&answer))? {
            // What the rules drop or refuse, the sender is told of (EPERM, and what the refusal's ICMP makes of it).
            Err(_) => Ok(Fate::Stopped),
            Ok(_) => self.came_out(by, from, to),
        }
    }

    /// Whether a datagram of UDP is forwarded from one side to the other.
    pub fn is_forwarded(&self, from_side: Door, from: SocketAddr, to: SocketAddr) -> Result<Fate, Error> {
        self.forward(from_side, from, to, Defect::None)
    }

    /// Whether one is whose checksum is wrong, so that tracking makes nothing of it.
    pub fn is_forwarded_malformed(&self, from_side: Door, from: SocketAddr, to: SocketAddr) -> Result<Fate, Error> {
        self.forward(from_side, from, to, Defect::Checksum)
    }

    fn forward(&self, from_side: Door, from: SocketAddr, to: SocketAddr, defect: Defect) -> Result<Fate, Error> {
        let other = match from_side {
            Door::Outside => Door::Inside,
            Door::Inside => Door::Outside,
        };
        self.drain(other)?;
        self.tun(from_side).send(&udp(from, to, defect)).map_err(|answer| sending(&answer))?;
        self.came_out(other, from, to)
    }

    /// Whether an error of ICMP (port unreachable) about a datagram from the host reaches the socket that sent it.
    pub fn is_told(&self, by: Door, from: SocketAddr, to: SocketAddr) -> Result<Fate, Error> {
        let about = udp(from, to, Defect::None);
        let kind = if to.is_ipv4() { (3, 3) } else { (1, 4) };
        let transport = Transport::Icmp { kind: kind.0, code: kind.1, rest: [0; 4], body: &about };
        let bytes = datagram(to.ip(), from.ip(), 0, &transport, Defect::None);
        self.namespace
            .enter(|| {
                let socket = socket_at(from)?;
                socket.connect(to)?;
                self.tun(by).send(&bytes)?;
                Ok(if socket.take_error()?.is_some() { Fate::Passed } else { Fate::Stopped })
            })?
            .map_err(|answer: io::Error| sending(&answer))
    }

    /// Whether who sent a datagram that was to be forwarded, and has no hop left, is told so by the host.
    pub fn is_told_late(&self, from_side: Door, from: SocketAddr, to: SocketAddr) -> Result<Fate, Error> {
        self.drain(from_side)?;
        self.tun(from_side).send(&udp(from, to, Defect::LastHop)).map_err(|answer| sending(&answer))?;
        let icmp = if from.is_ipv4() { Protocol::ICMP } else { Protocol::ICMPV6 };
        // The error's own header is as long as that of the datagram that it quotes.
        self.came(from_side, from, to, icmp, header_bytes(from) + 8 + header_bytes(from))
    }

    fn came_out(&self, by: Door, from: SocketAddr, to: SocketAddr) -> Result<Fate, Error> {
        self.came(by, from, to, Protocol::UDP, header_bytes(from))
    }

    /// Whether a packet of a protocol came out that has the ports in this place.
    fn came(&self, by: Door, from: SocketAddr, to: SocketAddr, of: Protocol, at: usize) -> Result<Fate, Error> {
        let ports: Vec<u8> = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
        let protocol = if from.is_ipv4() { 9 } else { 6 };
        let mut buffer = [0; MOST_BYTES];
        while let Some(packet) = self.tun(by).receive(&mut buffer).map_err(|answer| sending(&answer))? {
            if packet.get(protocol) == Some(&of.0) && packet.get(at..at + 4) == Some(&ports) {
                return Ok(Fate::Passed);
            }
        }
        Ok(Fate::Stopped)
    }

    pub(crate) fn drain(&self, side: Door) -> Result<(), Error> {
        let mut buffer = [0; MOST_BYTES];
        while self.tun(side).receive(&mut buffer).map_err(|answer| sending(&answer))?.is_some() {}
        Ok(())
    }

    pub(crate) const fn tun(&self, side: Door) -> &Tun {
        match side {
            Door::Outside => &self.outside,
            Door::Inside => &self.inside,
        }
    }
}

/// Bytes of an IP header without options.
const fn header_bytes(of: SocketAddr) -> usize {
    if of.is_ipv4() { 20 } else { 40 }
}

fn udp(from: SocketAddr, to: SocketAddr, defect: Defect) -> Vec<u8> {
    let transport = Transport::Udp { ports: [from.port(), to.port()], payload: b"plimsoll" };
    datagram(from.ip(), to.ip(), 0, &transport, defect)
}

fn socket_at(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn unspecified(to: SocketAddr) -> SocketAddr {
    let ip = if to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    SocketAddr::new(ip, to.port())
}

pub(crate) fn sending(answer: &io::Error) -> Error {
    Error::Send { answer: answer.to_string() }
}
