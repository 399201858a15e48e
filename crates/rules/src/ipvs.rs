//! What IPVS balances.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use plimsoll_model::{Protocol, Service, Untrusted};

/// The virtual services of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ipvs {
    /// Those that an address and a port tell; port 0 stands for all.
    pub services: Vec<VirtualService>,
    /// Lines of others: services by mark, and what was not understood.
    pub unknown: Vec<Untrusted>,
}

/// A service of IPVS'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualService {
    /// Where packets are sent to.
    pub at: Service,
    /// What they are sent on to.
    pub servers: Vec<Service>,
}

impl Ipvs {
    /// Reads `/proc/net/ip_vs`.
    ///
    /// Lines are as `ip_vs_info_seq_show` writes them (`ip_vs_ctl.c`): `TCP  0A600001:0035 rr`, `UDP  [2001:0db8:…]:0035 rr`; those of
    /// servers begin with `->`, and those of services by mark with `FWM`.
    pub fn read(text: &str) -> Self {
        let mut ipvs = Self::default();
        // Servers are those of the service above them, if that is one that is understood.
        let mut above: Option<Protocol> = None;
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let protocol = match first {
                "TCP" => Protocol::TCP,
                "UDP" => Protocol::UDP,
                "SCTP" => Protocol::SCTP,
                "->" => {
                    let server = above.map(|protocol| endpoint(second, protocol));
                    match (server, ipvs.services.last_mut()) {
                        (Some(Some(server)), Some(service)) => service.servers.push(server),
                        (Some(None), _) => ipvs.unknown.push(Untrusted::from(line)),
                        _ => {}
                    }
                    continue;
                }
                "IP" | "Prot" | "" => continue,
                _ => {
                    above = None;
                    ipvs.unknown.push(Untrusted::from(line));
                    continue;
                }
            };
            let at = endpoint(second, protocol);
            above = at.map(|_| protocol);
            match at {
                Some(at) => ipvs.services.push(VirtualService { at, servers: Vec::new() }),
                None => ipvs.unknown.push(Untrusted::from(line)),
            }
        }
        ipvs
    }
}

fn endpoint(text: &str, protocol: Protocol) -> Option<Service> {
    let (address, port) = text.rsplit_once(':')?;
    let address = match address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => IpAddr::V6(v6.parse::<Ipv6Addr>().ok()?),
        None => Ipv4Addr::from_bits(u32::from_str_radix(address, 16).ok()?).into(),
    };
    Some(Service { address, protocol, port: u16::from_str_radix(port, 16).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_their_servers_and_marks_are_not_guessed_at() {
        let text = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port \
                    Forward Weight ActiveConn InActConn\nUDP  0A60000A:0035 rr\n  -> 0AF40002:0035      Masq    1      0          0\n\
                    TCP  [2001:0db8:0000:0000:0000:0000:0000:0001]:01BB rr\nFWM  00000001 rr\n\
                    \u{20} -> 0AF40009:0035      Masq    1      0          0\nTCP  nonsense\n";
        let ipvs = Ipvs::read(text);
        let service = |address: &str, protocol, port| Service { address: address.parse().unwrap(), protocol, port };
        let expected = [
            VirtualService {
                at: service("10.96.0.10", Protocol::UDP, 53),
                servers: vec![service("10.244.0.2", Protocol::UDP, 53)],
            },
            VirtualService { at: service("2001:db8::1", Protocol::TCP, 443), servers: Vec::new() },
        ];
        assert_eq!(ipvs.services, expected);
        let unknown: Vec<_> = ipvs.unknown.iter().map(Untrusted::as_str).collect();
        assert_eq!(unknown, ["FWM  00000001 rr", "TCP  nonsense"]);
    }
}
