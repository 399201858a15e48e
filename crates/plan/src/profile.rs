//! The founding guide's settings for kinds of hosts.

use std::fmt;
use std::str::FromStr;

use plimsoll_model::{Sysctl, TcpState, Timeout};
use serde::{Serialize, Serializer};

/// A kind of host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// General production.
    General,
    /// HTTP reverse proxy.
    HttpProxy,
    /// API gateway, microservices.
    ApiGateway,
    /// VPN gateway, long sessions.
    Vpn,
    /// DNS, much UDP.
    Dns,
    /// Kubernetes worker.
    Kubernetes,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::General, Self::HttpProxy, Self::ApiGateway, Self::Vpn, Self::Dns, Self::Kubernetes];

    /// What it is called by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::HttpProxy => "http-proxy",
            Self::ApiGateway => "api-gateway",
            Self::Vpn => "vpn",
            Self::Dns => "dns",
            Self::Kubernetes => "kubernetes",
        }
    }

    /// The limit that it asks for, if it asks for one.
    pub const fn capacity(self) -> Option<u32> {
        match self {
            Self::General => Some(524_288),
            Self::Kubernetes => Some(1_048_576),
            Self::HttpProxy | Self::ApiGateway | Self::Vpn | Self::Dns => None,
        }
    }

    /// The timeouts that it sets, in seconds.
    pub const fn timeouts(self) -> &'static [(Timeout, u32)] {
        use TcpState::{CloseWait, Established, FinWait, SynRecv, SynSent, TimeWait};
        use Timeout::{Icmp, Tcp, Udp, UdpStream};
        match self {
            Self::General => &[
                (Tcp(Established), 3600),
                (Tcp(TimeWait), 30),
                (Tcp(FinWait), 30),
                (Tcp(CloseWait), 60),
                (Tcp(SynRecv), 30),
                (Tcp(SynSent), 30),
                (Udp, 30),
                (UdpStream, 120),
                (Icmp, 30),
            ],
            Self::HttpProxy => {
                &[(Tcp(Established), 1800), (Tcp(TimeWait), 30), (Tcp(FinWait), 30), (Tcp(CloseWait), 30)]
            }
            Self::ApiGateway => &[(Tcp(Established), 600), (Tcp(TimeWait), 15), (Tcp(SynRecv), 15)],
            Self::Vpn => &[(Tcp(Established), 86_400), (Tcp(TimeWait), 120)],
            Self::Dns => &[(Udp, 10), (UdpStream, 60)],
            Self::Kubernetes => &[(Tcp(TimeWait), 15), (Tcp(FinWait), 15), (Tcp(CloseWait), 30), (Udp, 10)],
        }
    }

    /// All that it sets; a limit comes with a quarter as many buckets, unless there are more.
    pub fn settings(self, buckets_now: u32) -> impl Iterator<Item = (Sysctl, u32)> {
        let capacity = self.capacity().map(|capacity| (Sysctl::CAPACITY, capacity));
        let buckets = self.capacity().map(|capacity| (Sysctl::BUCKETS, buckets_now.max(capacity / 4)));
        let timeouts = self.timeouts().iter();
        let timeouts = timeouts.filter_map(|(timeout, secs)| Some((Sysctl::of_timeout(*timeout)?, *secs)));
        capacity.into_iter().chain(timeouts).chain(buckets)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Profile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Not the name of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such profile: name one of general, http-proxy, api-gateway, vpn, dns, kubernetes")]
pub struct NoSuchProfile;

impl FromStr for Profile {
    type Err = NoSuchProfile;

    fn from_str(text: &str) -> Result<Self, NoSuchProfile> {
        Self::ALL.into_iter().find(|profile| profile.name() == text).ok_or(NoSuchProfile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_found_by_its_name_and_sets_what_can_be_set() {
        for profile in Profile::ALL {
            assert_eq!(profile.name().parse(), Ok(profile));
            let with_limit = 2 * usize::from(profile.capacity().is_some());
            assert_eq!(profile.settings(1).count(), profile.timeouts().len() + with_limit, "{profile}");
            assert!(NoSuchProfile.to_string().contains(profile.name()));
        }
        assert_eq!("General".parse::<Profile>(), Err(NoSuchProfile));
    }

    #[test]
    fn a_limit_never_takes_buckets_away() {
        let buckets = |now| Profile::Kubernetes.settings(now).find(|(sysctl, _)| *sysctl == Sysctl::BUCKETS);
        assert_eq!(buckets(65_536), Some((Sysctl::BUCKETS, 262_144)));
        assert_eq!(buckets(524_288), Some((Sysctl::BUCKETS, 524_288)));
    }
}
