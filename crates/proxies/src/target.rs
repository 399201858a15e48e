//! Where an upstream's connections go.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use plimsoll_model::Untrusted;
use serde::Serialize;

/// A server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Its address.
    pub address: Address,
    /// Its port; nothing where the configuration names none, as `HAProxy` may: then it is the client's.
    pub port: Option<u16>,
}

/// How a configuration names a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Address {
    /// By address.
    Ip(IpAddr),
    /// By a name that somebody has to resolve.
    Name(Untrusted),
    /// By a socket of this host, which makes no entry.
    Local(Untrusted),
}

impl Target {
    /// Takes `address`, `name`, `[address]`, each with `:port` or without.
    pub(crate) fn parse(text: &str, default_port: Option<u16>) -> Option<Self> {
        if text.starts_with("unix:") || text.starts_with('/') {
            return Some(Self { address: Address::Local(text.into()), port: None });
        }
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, default_port),
            Some((host, rest)) => (host, Some(rest.strip_prefix(':')?.parse().ok()?)),
            None => match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port.parse().ok()?)),
                None => (text, default_port),
            },
        };
        let address = match host.parse() {
            Ok(address) => Address::Ip(canonical(address)),
            Err(_) if host.is_empty() || host.contains(['$', '{', '}', ' ', '%', '[', ']']) => return None,
            Err(_) => Address::Name(host.into()),
        };
        Some(Self { address, port })
    }
}

/// As the kernel's tuples have it: a mapped IPv4 address is one of IPv4.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Ip(IpAddr::V6(address)) => write_v6(f, *address, self.port),
            Address::Ip(address) => write!(f, "{address}{}", Port(self.port)),
            Address::Name(name) => write!(f, "{name}{}", Port(self.port)),
            Address::Local(path) => write!(f, "{path}"),
        }
    }
}

fn write_v6(f: &mut fmt::Formatter<'_>, address: Ipv6Addr, port: Option<u16>) -> fmt::Result {
    write!(f, "[{address}]{}", Port(port))
}

struct Port(Option<u16>);

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_shown() {
        for (text, shown) in [
            ("10.0.0.1:8080", Some("10.0.0.1:8080")),
            ("10.0.0.1", Some("10.0.0.1:80")),
            ("[::1]:81", Some("[::1]:81")),
            ("[::1]", Some("[::1]:80")),
            ("[::ffff:10.0.0.1]", Some("10.0.0.1:80")),
            ("backend.example", Some("backend.example:80")),
            ("unix:/run/app.sock", Some("unix:/run/app.sock")),
            ("10.0.0.1:port", None),
            ("10.0.0.1:99999", None),
            ("$backend", None),
            ("", None),
            ("[::1", None),
        ] {
            let target = Target::parse(text, Some(80)).map(|target| target.to_string());
            assert_eq!(target.as_deref(), shown, "{text}");
        }
    }
}
