//! Other addresses in place of a recording's own.
//!
//! Of two addresses that stand for two others, the first bits that agree are as many: networks stay together, and nothing
//! else is told (Xu, Fan, Ammar and Moon, "Prefix-Preserving IP Address Anonymization", ICNP 2002). Each bit is turned or
//! not by a keyed hash of the bits before it.

use std::collections::HashMap;
use std::hash::Hasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use plimsoll_model::Tuple;
use plimsoll_recording::Row;
use siphasher::sip::SipHasher13;

/// Addresses that are remembered; beyond that all are forgotten and reckoned again.
const REMEMBERED: usize = 1 << 16;

/// Hides addresses. Without its secret they cannot be found again, but for what their number and neighbours give away.
#[derive(Debug)]
pub(crate) struct Hider {
    secret: (u64, u64),
    known: HashMap<IpAddr, IpAddr>,
}

impl Hider {
    pub(crate) fn new(secret: (u64, u64)) -> Self {
        Self { secret, known: HashMap::new() }
    }

    /// Hides a row's addresses.
    pub(crate) fn hide(&mut self, row: &mut Row) {
        match row {
            Row::Life(life) => {
                self.hide_tuple(&mut life.original);
                self.hide_tuple(&mut life.reply);
            }
            Row::Gap(gap) => {
                gap.client = self.address(gap.client);
                gap.server = self.address(gap.server);
            }
            Row::Reading(_) | Row::Change(_) => {}
        }
    }

    fn hide_tuple(&mut self, tuple: &mut Tuple) {
        tuple.source = self.address(tuple.source);
        tuple.destination = self.address(tuple.destination);
    }

    fn address(&mut self, address: IpAddr) -> IpAddr {
        if let Some(hidden) = self.known.get(&address) {
            return *hidden;
        }
        let hidden = match address {
            IpAddr::V4(v4) => {
                let bits = self.turned(u128::from(v4.to_bits()) << 96, 32) >> 96;
                Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or(0)).into()
            }
            IpAddr::V6(v6) => Ipv6Addr::from_bits(self.turned(v6.to_bits(), 128)).into(),
        };
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(address, hidden);
        hidden
    }

    /// The first `length` bits, each turned or not.
    fn turned(&self, bits: u128, length: u32) -> u128 {
        let turn = |place: u32| {
            let before = bits.checked_shr(128 - place).unwrap_or(0);
            let mut hasher = SipHasher13::new_with_keys(self.secret.0, self.secret.1);
            // The length too: a prefix of zeros is not a shorter one of zeros, nor is IPv4's IPv6's.
            hasher.write_u32(length << 8 | place);
            hasher.write_u128(before);
            u128::from(hasher.finish() & 1) << (127 - place)
        };
        (0..length).fold(bits, |hidden, place| hidden ^ turn(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(secret: u64, address: &str) -> IpAddr {
        Hider::new((secret, 7)).address(address.parse().unwrap())
    }

    fn in_common(one: IpAddr, other: IpAddr) -> u32 {
        match (one, other) {
            (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
            _ => panic!("an address of another family"),
        }
    }

    #[test]
    fn as_many_first_bits_agree_as_before() {
        let pairs = [
            ("10.1.2.3", "10.1.2.4"),
            ("10.1.2.3", "10.1.3.3"),
            ("10.1.2.3", "192.0.2.1"),
            ("0.0.0.0", "255.255.255.255"),
            ("2001:db8::1", "2001:db8::2"),
            ("2001:db8::1", "2001:db8:1::1"),
            ("::", "8000::"),
        ];
        for secret in 0..20 {
            for (one, other) in pairs {
                let before = in_common(one.parse().unwrap(), other.parse().unwrap());
                let after = in_common(hidden(secret, one), hidden(secret, other));
                assert_eq!(after, before, "{one} and {other} under secret {secret}");
            }
        }
    }

    #[test]
    fn the_secret_decides() {
        let under: std::collections::HashSet<_> = (0..100).map(|secret| hidden(secret, "10.1.2.3")).collect();
        assert!(under.len() > 95, "{} addresses of 100", under.len());
        assert_eq!(hidden(1, "10.1.2.3"), hidden(1, "10.1.2.3"));
    }
}
