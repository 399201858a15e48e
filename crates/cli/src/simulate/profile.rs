//! The founding guide's settings for kinds of hosts.

use clap::ValueEnum;
use plimsoll_simulate::Setup;

use super::sysctl::Sysctl;

/// A kind of host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// General production
    General,
    /// HTTP reverse proxy
    HttpProxy,
    /// API gateway, microservices
    ApiGateway,
    /// VPN gateway, long sessions
    Vpn,
    /// DNS, much UDP
    Dns,
    /// Kubernetes worker
    Kubernetes,
}

impl Profile {
    /// As it is written on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::HttpProxy => "http-proxy",
            Self::ApiGateway => "api-gateway",
            Self::Vpn => "vpn",
            Self::Dns => "dns",
            Self::Kubernetes => "kubernetes",
        }
    }

    /// What it sets on a host that is set up so. A limit comes with a quarter as many buckets, unless there are more.
    pub(crate) fn settings(self, base: &Setup) -> Vec<(Sysctl, u32)> {
        let written = self.written();
        let limit = written.iter().find(|(name, _)| *name == "max").map(|(_, limit)| *limit);
        let buckets = limit.map(|limit| ("buckets", base.host.buckets.0.max(limit / 4)));
        let all = written.iter().copied().chain(buckets);
        let parsed = all.map(|(name, value)| Some((format!("nf_conntrack_{name}").parse().ok()?, value)));
        parsed.flatten().collect()
    }

    const fn written(self) -> &'static [(&'static str, u32)] {
        match self {
            Self::General => &[
                ("max", 524_288),
                ("tcp_timeout_established", 3600),
                ("tcp_timeout_time_wait", 30),
                ("tcp_timeout_fin_wait", 30),
                ("tcp_timeout_close_wait", 60),
                ("tcp_timeout_syn_recv", 30),
                ("tcp_timeout_syn_sent", 30),
                ("udp_timeout", 30),
                ("udp_timeout_stream", 120),
                ("icmp_timeout", 30),
            ],
            Self::HttpProxy => &[
                ("tcp_timeout_established", 1800),
                ("tcp_timeout_time_wait", 30),
                ("tcp_timeout_fin_wait", 30),
                ("tcp_timeout_close_wait", 30),
            ],
            Self::ApiGateway => {
                &[("tcp_timeout_established", 600), ("tcp_timeout_time_wait", 15), ("tcp_timeout_syn_recv", 15)]
            }
            Self::Vpn => &[("tcp_timeout_established", 86_400), ("tcp_timeout_time_wait", 120)],
            Self::Dns => &[("udp_timeout", 10), ("udp_timeout_stream", 60)],
            Self::Kubernetes => &[
                ("max", 1_048_576),
                ("tcp_timeout_time_wait", 15),
                ("tcp_timeout_fin_wait", 15),
                ("tcp_timeout_close_wait", 30),
                ("udp_timeout", 10),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_model::Buckets;
    use plimsoll_twin::Capabilities;

    #[test]
    fn every_profile_sets_only_what_there_is() {
        let base = Setup::stock(Capabilities::LINUX_6_18, 1);
        for profile in Profile::value_variants() {
            let settings = profile.settings(&base);
            let has_limit = profile.written().iter().any(|(name, _)| *name == "max");
            assert_eq!(settings.len(), profile.written().len() + usize::from(has_limit), "{profile:?}");
            for (sysctl, value) in settings {
                sysctl.set(&mut base.clone(), value).unwrap();
            }
            assert_eq!(profile.to_possible_value().unwrap().get_name(), profile.name());
        }
    }

    #[test]
    fn a_limit_never_takes_buckets_away() {
        let mut base = Setup::stock(Capabilities::LINUX_6_18, 1);
        let buckets = |base: &Setup| {
            let settings = Profile::Kubernetes.settings(base);
            settings.iter().find(|(sysctl, _)| sysctl.short() == "buckets").map(|(_, value)| *value)
        };
        assert_eq!(buckets(&base), Some(262_144));
        base.host.buckets = Buckets(65_536);
        assert_eq!(buckets(&base), Some(262_144));
        base.host.buckets = Buckets(524_288);
        assert_eq!(buckets(&base), Some(524_288));
    }
}
