//! Who talks to whom: addresses and ports.

use std::fmt;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::Deserialize;

/// An IPv4 network, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Prefix {
    network: u32,
    bits: u8,
}

impl Prefix {
    /// How many addresses it has; 2³² saturate.
    pub fn addresses(self) -> u32 {
        1_u32.checked_shl(32 - u32::from(self.bits)).unwrap_or(u32::MAX)
    }

    /// One of its addresses, from 0 on. A network's first address is none of a host's, so counting begins behind it.
    pub(crate) fn host(self, number: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network | ((number + u32::from(self.bits < 31)) & (self.addresses() - 1)))
    }

    /// Which of its hosts an address is.
    pub(crate) fn number_of(self, host: Ipv4Addr) -> u32 {
        host.to_bits().wrapping_sub(self.host(0).to_bits())
    }

    /// How many hosts fit.
    pub(crate) fn room(self) -> u32 {
        if self.bits < 31 { self.addresses() - 2 } else { self.addresses() }
    }

    /// Its first address.
    pub const fn first(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network)
    }

    /// Whether an address is in it.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        self.overlaps(Self { network: address.to_bits(), bits: 32 })
    }

    /// Whether any address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        let bits = self.bits.min(other.bits);
        let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
        self.network & mask == other.network & mask
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv4Addr::from_bits(self.network);
        if self.bits == 32 { address.fmt(f) } else { write!(f, "{address}/{}", self.bits) }
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            |why: &str| format!("\"{text}\" {why}: write an IPv4 network or address, as 10.1.0.0/16 or 192.0.2.1");
        let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
        let address: Ipv4Addr = address.parse().map_err(|_| wrong("is no network"))?;
        let bits: u8 = bits.parse().map_err(|_| wrong("has no length"))?;
        if !(4..=32).contains(&bits) {
            return Err(wrong("has a length that is not within 4 to 32"));
        }
        let prefix = Self { network: address.to_bits(), bits };
        if prefix.network & (prefix.addresses() - 1) != 0 {
            return Err(wrong("has bits set behind its length"));
        }
        // What a router does not forward.
        let [first, ..] = address.octets();
        let last = Ipv4Addr::from_bits(prefix.network | (prefix.addresses() - 1)).octets()[0];
        if first == 0 || (first..=last).contains(&127) || last >= 224 || text.starts_with("169.254.") {
            return Err(wrong("holds addresses that no router forwards"));
        }
        Ok(prefix)
    }
}

impl TryFrom<String> for Prefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Which hosts of a network take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// The first so many; each flow is one of theirs.
    First(NonZeroU32),
    /// Any address of the network, drawn anew for each flow: spoofed sources, a scan's targets.
    Any,
}

/// Where flows come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawClients")]
pub struct Clients {
    /// Their network.
    pub network: Prefix,
    /// Which of its hosts.
    pub hosts: Hosts,
    /// Their ports. A host takes one after the other, as Linux mostly does; where hosts are drawn anew, so are ports.
    pub ports: Ports,
}

/// Where flows go to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawServers")]
pub struct Servers {
    /// Their network.
    pub network: Prefix,
    /// Which of its hosts.
    pub hosts: Hosts,
    /// Their ports, one drawn for each flow; no port for ICMP.
    pub ports: Option<Ports>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClients {
    #[serde(rename = "in")]
    network: Prefix,
    hosts: Option<NonZeroU32>,
    #[serde(default)]
    ports: Ports,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawServers {
    #[serde(rename = "in")]
    network: Prefix,
    hosts: Option<NonZeroU32>,
    ports: Option<Ports>,
}

impl TryFrom<RawClients> for Clients {
    type Error = String;

    fn try_from(raw: RawClients) -> Result<Self, String> {
        Ok(Self { network: raw.network, hosts: hosts(raw.network, raw.hosts)?, ports: raw.ports })
    }
}

impl TryFrom<RawServers> for Servers {
    type Error = String;

    fn try_from(raw: RawServers) -> Result<Self, String> {
        if raw.ports.is_some_and(|ports| ports.first == 0) {
            return Err("no server listens on port 0: write one of 1 to 65535".to_string());
        }
        if raw.network == ROUTER {
            return Err(format!("{ROUTER} is the router's own: write an address of a server behind it"));
        }
        Ok(Self { network: raw.network, hosts: hosts(raw.network, raw.hosts)?, ports: raw.ports })
    }
}

/// The router's own address on the servers' side, and that of clients whom it masquerades: 198.18.0.1, of RFC 2544's range
/// for tests.
pub const ROUTER: Prefix = Prefix { network: 0xc612_0001, bits: 32 };

/// Hosts whose next port is remembered.
const MOST_HOSTS: u32 = 1 << 18;

fn hosts(network: Prefix, hosts: Option<NonZeroU32>) -> Result<Hosts, String> {
    match hosts {
        None if network.addresses() == 1 => Ok(Hosts::First(NonZeroU32::MIN)),
        None => Ok(Hosts::Any),
        Some(count) if count.get() > network.room() => {
            Err(format!("{network} has room for {} hosts: write fewer, or a larger network", network.room()))
        }
        Some(count) if count.get() > MOST_HOSTS => {
            Err(format!("more than {MOST_HOSTS} hosts: leave `hosts` out for addresses drawn anew for each flow"))
        }
        Some(count) => Ok(Hosts::First(count)),
    }
}

/// A range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawPorts")]
pub struct Ports {
    first: u16,
    last: u16,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawPorts {
    One(u16),
    Text(String),
}

impl Ports {
    /// From the first to the last.
    pub const fn range(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        u32::from(self.last - self.first) + 1
    }

    /// One of them, from 0 on, and round again.
    pub(crate) fn nth(self, number: u32) -> u16 {
        // The remainder is at most last − first.
        self.first + u16::try_from(number % self.count()).unwrap_or(0)
    }
}

/// `net.ipv4.ip_local_port_range` as Linux has it.
impl Default for Ports {
    fn default() -> Self {
        Self { first: 32_768, last: 60_999 }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

impl TryFrom<RawPorts> for Ports {
    type Error = String;

    fn try_from(raw: RawPorts) -> Result<Self, String> {
        let text = match raw {
            RawPorts::One(port) => return Ok(Self { first: port, last: port }),
            RawPorts::Text(text) => text,
        };
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self { first, last }),
            _ => Err(format!("\"{text}\" is no range of ports: write 443 or \"1024-65535\"")),
        }
    }
}
