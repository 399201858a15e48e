//! Networks, as people write them: an address and the length of its prefix.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoNetwork {
    /// It is not written as one.
    NotOne,
    /// More bits than an address has.
    TooManyBits(u8),
    /// Bits behind the prefix are set: it may not be what was meant.
    HostBits(Network),
}

impl fmt::Display for NoNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOne => f.write_str("must be a network, as 10.1.0.0/16 or 2001:db8::/32"),
            Self::TooManyBits(bits) => write!(f, "an address of its family has {bits} bits"),
            Self::HostBits(network) => write!(f, "has bits set behind its prefix: the network is {network}"),
        }
    }
}

impl std::error::Error for NoNetwork {}

impl Network {
    /// One address.
    pub const fn host(address: IpAddr) -> Self {
        Self { address, bits: most_bits(address) }
    }

    /// Its first address.
    pub const fn address(self) -> IpAddr {
        self.address
    }

    /// How many of its first address's bits count.
    pub const fn bits(self) -> u8 {
        self.bits
    }

    /// Whether all of another network lies in it.
    pub fn covers(self, other: Self) -> bool {
        self.bits <= other.bits && self.holds(other.address)
    }

    /// Whether an address lies in it.
    pub fn holds(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && masked(address, self.bits) == self.address
    }
}

const fn most_bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, bits) = text.split_once('/').ok_or(NoNetwork::NotOne)?;
        let address: IpAddr = address.parse().map_err(|_| NoNetwork::NotOne)?;
        let bits: u8 = bits.parse().map_err(|_| NoNetwork::NotOne)?;
        if bits > most_bits(address) {
            return Err(NoNetwork::TooManyBits(most_bits(address)));
        }
        let network = Self { address: masked(address, bits), bits };
        if network.address == address { Ok(network) } else { Err(NoNetwork::HostBits(network)) }
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| serde::de::Error::custom(format!("\"{}\": {error}", text.escape_default())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_shares_its_prefix_and_nothing_of_the_other_family() {
        let holds = |network: &str, address: &str| network.parse::<Network>().unwrap().holds(address.parse().unwrap());
        for (network, inside, outside) in [
            ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
            ("192.0.2.1/32", "192.0.2.1", "192.0.2.0"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("::/0", "ff::1", "10.0.0.1"),
            ("::1/128", "::1", "::"),
        ] {
            assert!(holds(network, inside) && !holds(network, outside), "{network}");
            assert_eq!(network.parse::<Network>().unwrap().to_string(), network);
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for wrong in ["", "10.0.0.0", "/8", "10.0.0.0/", "10.0.0.0/x", "10.0.0/8", "::/300", "10.0.0.0/-1"] {
            assert_eq!(wrong.parse::<Network>(), Err(NoNetwork::NotOne), "{wrong}");
        }
        assert_eq!("10.0.0.0/33".parse::<Network>(), Err(NoNetwork::TooManyBits(32)));
        let error = "10.1.2.3/16".parse::<Network>().unwrap_err();
        assert_eq!(error.to_string(), "has bits set behind its prefix: the network is 10.1.0.0/16");
    }
}
