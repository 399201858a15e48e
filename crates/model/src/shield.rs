//! What a shield is: which packets it looks at before they are tracked, and what it does with those that are too many.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Network, PolicyProtocol};

/// A filter before tracking. In shadow it counts; while it is enforced it drops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shield {
    /// The packets that it looks at.
    pub class: Class,
    /// What a source, and all together, may send; `None` where nothing is limited.
    pub limits: Option<SourceLimits>,
    /// Whose packets of the class are too many, whatever their rate.
    pub drop: Vec<Network>,
    /// Whom it never touches: this always wins. Of outgoing packets their destinations.
    pub allow: Vec<Network>,
}

/// The packets that a shield looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Class {
    /// TCP packets that ask for a connection: a SYN without an ACK.
    Syns {
        /// Where they are met.
        way: Way,
        /// The ports that they ask for; `None` for all.
        ports: Option<Ports>,
    },
    /// The same, to services of this host or behind it, whose handshakes SYNPROXY does while the shield is enforced: a SYN takes
    /// no entry.
    Handshakes {
        /// The services' ports.
        ports: Ports,
    },
    /// UDP packets.
    Datagrams {
        /// Where they are met.
        way: Way,
        /// The ports that they go to.
        ports: Ports,
        /// Peers that the table had a reply from, or sent one to, when the shield was made: they are not limited.
        known: Vec<IpAddr>,
    },
}

/// Where packets are met, in either case before conntrack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// In prerouting: packets that come to this host, or through it.
    Incoming,
    /// In output: packets that programs of this host send.
    Outgoing,
}

/// Some ports, one at least, none of them 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeSet<u16>", into = "BTreeSet<u16>")]
pub struct Ports(BTreeSet<u16>);

/// No set of ports: it is empty, or holds the port 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPorts;

/// What a source, and all together, may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLimits {
    /// Packets of the class from one address.
    pub per_source: Rate,
    /// From a /24 of IPv4 or a /64 of IPv6; `None` where that is not limited.
    pub per_prefix: Option<Rate>,
    /// From all sources together for which the set of sources has no room. `None` lets them pass.
    pub without_room: Option<Rate>,
    /// The sources, and prefixes, that are told apart at once.
    pub most_sources: NonZeroU32,
}

/// Packets a second, and how many more at once. Written `20`, or `20/50` with its burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Packets a second.
    pub per_sec: NonZeroU32,
    /// Packets at once, before the rate holds.
    pub burst: NonZeroU32,
}

/// Not a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRate;

impl Shield {
    /// The priority of rules that act before a packet has an entry (−200): what they drop takes none.
    pub const BEFORE_TRACKING: i32 = -300;

    /// The priority of SYNPROXY: after tracking, which tells which packets have no flow, and before filter (0), which may drop these.
    pub const AFTER_TRACKING: i32 = -10;
}

impl Class {
    /// The protocol.
    pub const fn protocol(&self) -> PolicyProtocol {
        match self {
            Self::Syns { .. } | Self::Handshakes { .. } => PolicyProtocol::Tcp,
            Self::Datagrams { .. } => PolicyProtocol::Udp,
        }
    }

    /// The ports that the packets go to; `None` for all.
    pub const fn ports(&self) -> Option<&Ports> {
        match self {
            Self::Syns { ports, .. } => ports.as_ref(),
            Self::Handshakes { ports } | Self::Datagrams { ports, .. } => Some(ports),
        }
    }

    /// Where they are met.
    pub const fn way(&self) -> Way {
        match self {
            Self::Syns { way, .. } | Self::Datagrams { way, .. } => *way,
            Self::Handshakes { .. } => Way::Incoming,
        }
    }
}

impl fmt::Display for Class {
    /// `new TCP connections to port 443`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.protocol() {
            PolicyProtocol::Tcp => "new TCP connections",
            PolicyProtocol::Udp => "UDP packets",
        };
        let from = match self.way() {
            Way::Incoming => "",
            Way::Outgoing => " of this host",
        };
        match self.ports() {
            None => write!(f, "{what}{from}, whatever their port"),
            Some(ports) => write!(f, "{what}{from} to port {ports}"),
        }
    }
}

impl Ports {
    /// One port.
    pub fn one(port: u16) -> Result<Self, NoPorts> {
        Self::try_from(BTreeSet::from([port]))
    }

    /// From the smallest to the largest.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        self.0.iter().copied()
    }

    /// Whether a port is among them.
    pub fn contains(&self, port: u16) -> bool {
        self.0.contains(&port)
    }
}

impl TryFrom<BTreeSet<u16>> for Ports {
    type Error = NoPorts;

    fn try_from(ports: BTreeSet<u16>) -> Result<Self, NoPorts> {
        if ports.is_empty() || ports.contains(&0) { Err(NoPorts) } else { Ok(Self(ports)) }
    }
}

impl From<Ports> for BTreeSet<u16> {
    fn from(ports: Ports) -> Self {
        ports.0
    }
}

impl fmt::Display for NoPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be ports from 1 to 65535, one at least")
    }
}

impl std::error::Error for NoPorts {}

impl fmt::Display for Ports {
    /// `80, 443`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports: Vec<_> = self.iter().map(|port| port.to_string()).collect();
        f.write_str(&ports.join(", "))
    }
}

impl Rate {
    /// nft takes rates and bursts of 32 bits; more than this is no limit.
    const MOST: u32 = 100_000_000;

    /// A rate with as much at once as comes in two seconds and a half.
    pub fn per_sec(per_sec: NonZeroU32) -> Self {
        let burst = per_sec.saturating_mul(NonZeroU32::MIN.saturating_add(4)).get() / 2;
        Self { per_sec, burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN) }
    }
}

impl FromStr for Rate {
    type Err = NoRate;

    fn from_str(text: &str) -> Result<Self, NoRate> {
        let number =
            |text: &str| text.parse::<NonZeroU32>().ok().filter(|number| number.get() <= Self::MOST).ok_or(NoRate);
        match text.split_once('/') {
            None => number(text).map(Self::per_sec),
            Some((per_sec, burst)) => Ok(Self { per_sec: number(per_sec)?, burst: number(burst)? }),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} a second, {} at once", self.per_sec, self.burst)
    }
}

impl fmt::Display for NoRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be packets a second from 1 to {}, as 20, or with a burst, as 20/50", Rate::MOST)
    }
}

impl std::error::Error for NoRate {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_and_what_is_none_refused() {
        let rate = |per_sec, burst| Rate {
            per_sec: NonZeroU32::new(per_sec).unwrap(),
            burst: NonZeroU32::new(burst).unwrap(),
        };
        assert_eq!("20".parse(), Ok(rate(20, 50)));
        assert_eq!("1".parse(), Ok(rate(1, 2)));
        assert_eq!("20/5".parse(), Ok(rate(20, 5)));
        for wrong in ["", "0", "20/0", "-1", "x", "20/", "100000001", "1/2/3"] {
            assert_eq!(wrong.parse::<Rate>(), Err(NoRate), "{wrong}");
        }
    }

    #[test]
    fn ports_are_one_at_least_and_a_shield_is_read_back() {
        assert_eq!(Ports::try_from(BTreeSet::new()), Err(NoPorts));
        assert_eq!(Ports::one(0), Err(NoPorts));
        assert!(serde_json::from_str::<Ports>("[]").is_err());
        let shield = Shield {
            class: Class::Handshakes { ports: Ports::try_from(BTreeSet::from([443, 80])).unwrap() },
            limits: None,
            drop: vec!["192.0.2.0/24".parse().unwrap()],
            allow: vec!["::1/128".parse().unwrap()],
        };
        let text = serde_json::to_string(&shield).unwrap();
        assert_eq!(serde_json::from_str::<Shield>(&text).unwrap(), shield, "{text}");
    }
}
