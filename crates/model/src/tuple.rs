//! Who talks to whom, as the tracking table sees it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Serialize, Serializer};

/// An IP protocol number (IANA "Assigned Internet Protocol Numbers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP for IPv4.
    pub const ICMP: Self = Self(1);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// DCCP.
    pub const DCCP: Self = Self(33);
    /// GRE.
    pub const GRE: Self = Self(47);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(58);
    /// SCTP.
    pub const SCTP: Self = Self(132);
    /// UDP-Lite.
    pub const UDPLITE: Self = Self(136);

    /// The name of a protocol that the kernel has, or had, a tracker for; the rest goes to the generic tracker.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::ICMP => "icmp",
            Self::TCP => "tcp",
            Self::UDP => "udp",
            Self::DCCP => "dccp",
            Self::GRE => "gre",
            Self::ICMPV6 => "icmpv6",
            Self::SCTP => "sctp",
            Self::UDPLITE => "udplite",
            _ => return None,
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => f.pad(&format!("protocol {}", self.0)),
        }
    }
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The part of a tuple that depends on the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer4 {
    /// TCP, UDP, SCTP and their like: ports in host byte order.
    Ports {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// ICMP and ICMPv6: the query's identifier, type and code.
    Icmp {
        /// Identifier, in host byte order.
        id: u16,
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
    /// Protocols that the kernel tracks by address alone (the generic tracker).
    None,
}

/// One direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Protocol number.
    pub protocol: Protocol,
    /// Ports, ICMP identifier, or nothing.
    pub layer4: Layer4,
}

impl Tuple {
    /// The direction that answers, where nothing is translated. (ICMP answers have another type, which is not looked at.)
    #[must_use]
    pub const fn mirrored(self) -> Self {
        let layer4 = match self.layer4 {
            Layer4::Ports { source, destination } => Layer4::Ports { source: destination, destination: source },
            other => other,
        };
        Self { source: self.destination, destination: self.source, protocol: self.protocol, layer4 }
    }

    /// What this direction talks to; `None` for protocols without ports.
    pub fn service(&self) -> Option<Service> {
        match self.layer4 {
            Layer4::Ports { destination, .. } => {
                Some(Service { address: self.destination, protocol: self.protocol, port: destination })
            }
            Layer4::Icmp { .. } | Layer4::None => None,
        }
    }

    /// What this direction comes from, as a service: a reply's source is the backend that answers.
    pub fn source_service(&self) -> Option<Service> {
        match self.layer4 {
            Layer4::Ports { source, .. } => {
                Some(Service { address: self.source, protocol: self.protocol, port: source })
            }
            Layer4::Icmp { .. } | Layer4::None => None,
        }
    }
}

/// A destination address, protocol and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service {
    /// Address.
    pub address: IpAddr,
    /// Protocol.
    pub protocol: Protocol,
    /// Port, in host byte order.
    pub port: u16,
}

impl Service {
    /// Whether names are looked up there, by UDP or TCP.
    pub const fn is_dns(self) -> bool {
        self.port == 53
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.address {
            IpAddr::V4(address) => format!("{address}:{}/{}", self.port, self.protocol),
            IpAddr::V6(address) => format!("[{address}]:{}/{}", self.port, self.protocol),
        };
        f.pad(&text)
    }
}

impl Serialize for Service {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A /24 of IPv4 or a /64 of IPv6: the usual size of one site's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(IpAddr);

impl Prefix {
    /// The prefix that an address lies in.
    pub fn of(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & !0xff)),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        })
    }

    /// Its first address.
    pub const fn address(self) -> IpAddr {
        self.0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = if self.0.is_ipv4() { 24 } else { 64 };
        f.pad(&format!("{}/{bits}", self.0))
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A conntrack zone: entries in different zones never meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Zone(pub u16);

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_cut_at_24_and_64_bits() {
        assert_eq!(Prefix::of("10.1.2.3".parse().unwrap()).to_string(), "10.1.2.0/24");
        assert_eq!(Prefix::of("2001:db8:1:2:3::9".parse().unwrap()).to_string(), "2001:db8:1:2::/64");
    }

    #[test]
    fn services_are_written_so_that_a_port_cannot_be_taken_for_an_address() {
        let service = Service { address: "2001:db8::1".parse().unwrap(), protocol: Protocol::TCP, port: 443 };
        assert_eq!(service.to_string(), "[2001:db8::1]:443/tcp");
        assert_eq!(Service { protocol: Protocol(200), ..service }.to_string(), "[2001:db8::1]:443/protocol 200");
    }
}
