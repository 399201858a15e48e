//! Flows that are kept out of the table.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Layer4, Network, OwnAddresses, PolicyProtocol, Tuple};

/// A service whose packets are not tracked, both ways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bypass {
    /// The service's protocol.
    pub protocol: PolicyProtocol,
    /// The service's port.
    pub port: u16,
    /// Which of its flows.
    pub flows: Bypassed,
}

/// Which flows of a service are not tracked. Nothing else with its port is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Bypassed {
    /// Those of its clients, whoever they are, with this host, which serves it.
    ServedHere,
    /// Those of this host with the servers.
    AskedFromHere {
        /// Where it is served.
        servers: Vec<Network>,
    },
    /// Those that pass through between the two.
    Forwarded {
        /// Who asks.
        clients: Vec<Network>,
        /// Where it is served.
        servers: Vec<Network>,
    },
}

impl Bypass {
    /// The priority of the rules that do it: before iptables' raw tables (−300), so that what others do there they do with untracked
    /// packets, and after defragmentation (−400), since a fragment alone has no port. From −200 on a packet has its entry.
    pub const PRIORITY: i32 = -301;

    /// Whether a flow is among them, by the direction in which it began: from a client, or from the service. Flows within this host are
    /// not, nor what is for many.
    pub fn holds(&self, original: &Tuple, own: &OwnAddresses) -> bool {
        let Layer4::Ports { source, destination } = original.layer4 else { return false };
        if original.protocol != self.protocol.protocol() {
            return false;
        }
        let (from, to) = (original.source, original.destination);
        !own.is_for_many(to)
            && (destination == self.port && self.is_between(from, to, own)
                || source == self.port && self.is_between(to, from, own))
    }

    fn is_between(&self, client: IpAddr, server: IpAddr, own: &OwnAddresses) -> bool {
        let among = |networks: &[Network], address| networks.iter().any(|network| network.holds(address));
        let is_here = (own.contains(client), own.contains(server));
        match &self.flows {
            Bypassed::ServedHere => is_here == (false, true),
            Bypassed::AskedFromHere { servers } => is_here == (true, false) && among(servers, server),
            Bypassed::Forwarded { clients, servers } => {
                is_here == (false, false) && among(clients, client) && among(servers, server)
            }
        }
    }
}

/// In words: `no tracking of udp port 53, served here`.
impl fmt::Display for Bypass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no tracking of {} port {}, ", self.protocol.name(), self.port)?;
        match &self.flows {
            Bypassed::ServedHere => f.write_str("served here"),
            Bypassed::AskedFromHere { servers } => write!(f, "asked from here of {}", few(servers)),
            Bypassed::Forwarded { clients, servers } => {
                write!(f, "passing from {} to {}", few(clients), few(servers))
            }
        }
    }
}

/// The networks themselves where they are few.
fn few(networks: &[Network]) -> String {
    const FEW: usize = 3;
    if networks.len() > FEW {
        return format!("{} networks", networks.len());
    }
    networks.iter().map(Network::to_string).collect::<Vec<_>>().join(", ")
}

impl Bypassed {
    /// One word for it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::ServedHere => "here",
            Self::AskedFromHere { .. } => "asked",
            Self::Forwarded { .. } => "forwarded",
        }
    }

    /// Who may ask; none where anybody may.
    pub fn clients(&self) -> &[Network] {
        match self {
            Self::ServedHere | Self::AskedFromHere { .. } => &[],
            Self::Forwarded { clients, .. } => clients,
        }
    }

    /// Where it is served; none where that is here.
    pub fn servers(&self) -> &[Network] {
        match self {
            Self::ServedHere => &[],
            Self::AskedFromHere { servers } | Self::Forwarded { servers, .. } => servers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;

    #[test]
    fn a_flow_is_held_whichever_side_began_it() {
        let mut own = OwnAddresses::default();
        own.add("192.0.2.1".parse().unwrap(), ["192.0.2.255".parse().unwrap()]);
        let flow = |protocol, source: &str, destination: &str| {
            let end = |end: &str| end.parse::<std::net::SocketAddr>().unwrap();
            let (source, destination) = (end(source), end(destination));
            let layer4 = Layer4::Ports { source: source.port(), destination: destination.port() };
            Tuple { source: source.ip(), destination: destination.ip(), protocol, layer4 }
        };
        let of = |flows| Bypass { protocol: PolicyProtocol::Udp, port: 53, flows };
        let held = |bypass: &Bypass, source, destination| bypass.holds(&flow(Protocol::UDP, source, destination), &own);
        let one = |network: &str| vec![network.parse().unwrap()];

        let here = of(Bypassed::ServedHere);
        assert!(held(&here, "198.51.100.9:4000", "192.0.2.1:53") && held(&here, "192.0.2.1:53", "198.51.100.9:4000"));
        assert!(!held(&here, "198.51.100.9:53", "192.0.2.1:4000"), "that is asked from here");
        assert!(!held(&here, "192.0.2.1:4000", "127.0.0.53:53"), "that is said within");
        assert!(!here.holds(&flow(Protocol::TCP, "198.51.100.9:4000", "192.0.2.1:53"), &own));
        let asked = of(Bypassed::AskedFromHere { servers: one("203.0.113.0/24") });
        assert!(held(&asked, "192.0.2.1:4000", "203.0.113.5:53") && held(&asked, "203.0.113.5:53", "192.0.2.1:4000"));
        assert!(!held(&asked, "192.0.2.1:4000", "198.51.100.5:53"));
        let through = Bypassed::Forwarded { clients: one("0.0.0.0/0"), servers: one("0.0.0.0/0") };
        assert!(held(&of(through.clone()), "198.51.100.9:4000", "203.0.113.5:53"));
        assert!(!held(&of(through), "198.51.100.9:4000", "192.0.2.255:53"), "that is for many");
    }

    #[test]
    fn it_is_read_back_as_it_was_written() {
        let servers = vec!["192.0.2.1/32".parse().unwrap(), "2001:db8::/64".parse().unwrap()];
        let bypass = Bypass { protocol: PolicyProtocol::Udp, port: 53, flows: Bypassed::AskedFromHere { servers } };
        let text = serde_json::to_string(&bypass).unwrap();
        let flows = r#"{"kind":"asked_from_here","servers":["192.0.2.1/32","2001:db8::/64"]}"#;
        assert_eq!(text, format!(r#"{{"protocol":"udp","port":53,"flows":{flows}}}"#));
        assert_eq!(serde_json::from_str::<Bypass>(&text).unwrap(), bypass);
        assert_eq!(bypass.to_string(), "no tracking of udp port 53, asked from here of 192.0.2.1/32, 2001:db8::/64");
    }
}
