//! What the router does to the flows that pass it.

use std::fmt;
use std::net::Ipv4Addr;

use serde::Deserialize;

use crate::{Ports, Prefix};

/// What the router does beyond forwarding and tracking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Router {
    /// Services in front of backends.
    pub destination_nat: Vec<DestinationNat>,
    /// Clients behind an address with a range of ports.
    pub source_nat: Vec<SourceNat>,
    /// Clients behind the router's own address.
    pub masquerade: Vec<Masquerade>,
    /// Port on which the FTP helper listens in.
    pub ftp_port: Option<u16>,
    /// Port on which the SIP helper listens in. The lab does not speak SIP: only a simulator can play it.
    pub sip_port: Option<u16>,
}

impl Router {
    /// Whether flows look otherwise on the servers' side than on the clients'.
    pub fn translates(&self) -> bool {
        !(self.destination_nat.is_empty() && self.source_nat.is_empty() && self.masquerade.is_empty())
    }
}

/// A service whose flows go to backends, one drawn for each.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawDestinationNat")]
pub struct DestinationNat {
    /// What clients call.
    pub service: ServiceAddress,
    /// Who answers: at least one, all of the service's protocol.
    pub backends: Vec<ServiceAddress>,
}

/// Clients that go out by one address and some ports of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceNat {
    /// Whose flows.
    pub clients: Prefix,
    /// The address they go out by.
    pub to: Ipv4Addr,
    /// Its ports.
    pub ports: Ports,
}

/// Clients that go out by the router's address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Masquerade {
    /// Whose flows.
    pub clients: Prefix,
}

/// A protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl PortProtocol {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// `192.0.2.1:443/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ServiceAddress {
    /// Address.
    pub address: Ipv4Addr,
    /// Port.
    pub port: u16,
    /// Protocol.
    pub protocol: PortProtocol,
}

impl fmt::Display for ServiceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.address, self.port, self.protocol.name())
    }
}

impl TryFrom<String> for ServiceAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(place, protocol)| {
            let (address, port) = place.split_once(':')?;
            let protocol = match protocol {
                "tcp" => PortProtocol::Tcp,
                "udp" => PortProtocol::Udp,
                _ => return None,
            };
            Some(Self { address: address.parse().ok()?, port: port.parse().ok()?, protocol })
        });
        parsed
            .ok_or_else(|| format!("\"{text}\" is no service: write address, port and protocol, as 192.0.2.1:443/tcp"))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDestinationNat {
    service: ServiceAddress,
    backends: Vec<ServiceAddress>,
}

impl TryFrom<RawDestinationNat> for DestinationNat {
    type Error = String;

    fn try_from(raw: RawDestinationNat) -> Result<Self, String> {
        match raw.backends.iter().find(|backend| backend.protocol != raw.service.protocol) {
            _ if raw.backends.is_empty() => Err("a service needs at least one backend".to_string()),
            Some(other) => Err(format!("{other} cannot answer for {}: write backends of one protocol", raw.service)),
            None => Ok(Self { service: raw.service, backends: raw.backends }),
        }
    }
}
