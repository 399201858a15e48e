//! States, protocols, networks and timeouts as they are written on the command line.

use std::str::FromStr;

use plimsoll_model::{Network, Protocol, Sysctl, Timeout};
use plimsoll_trim::StateName;

use crate::nearest::nearest;
use crate::setting::{name_and_value, sysctl_named};

/// A timeout and its value: `KEY=SECS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeoutSetting {
    pub(super) sysctl: Sysctl,
    pub(super) timeout: Timeout,
    pub(super) secs: u32,
}

impl TimeoutSetting {
    /// A value of a timeout; `None` for one that cannot be set.
    pub(super) fn of((timeout, secs): (Timeout, u32)) -> Option<Self> {
        Some(Self { sysctl: Sysctl::of_timeout(timeout)?, timeout, secs })
    }
}

impl FromStr for TimeoutSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, secs) = name_and_value(text, "a timeout's sysctl and its value: KEY=SECS")?;
        let sysctl = sysctl_named(name, "there is no timeout", |sysctl| sysctl.timeout().is_some())?;
        match (sysctl.timeout(), secs.parse()) {
            (Some(timeout), Ok(secs)) if secs > 0 => Ok(Self { sysctl, timeout, secs }),
            _ => Err(format!("{sysctl} must be a whole number of seconds above 0")),
        }
    }
}

/// A state by the kernel's name.
pub(super) fn state(text: &str) -> Result<StateName, String> {
    text.parse().map_err(|error| {
        let near = nearest(&text.to_lowercase(), StateName::all().into_iter()).unwrap_or_default();
        format!("{error}; the nearest is {near}")
    })
}

/// A protocol by name or number.
pub(super) fn protocol(text: &str) -> Result<Protocol, String> {
    let named =
        || (0..=u8::MAX).map(Protocol).find(|known| known.name().is_some_and(|name| name.eq_ignore_ascii_case(text)));
    let known = text.parse().ok().map(Protocol).or_else(named);
    known.ok_or_else(|| "must be a protocol's name, as tcp, udp, icmp, icmpv6, gre, sctp, or its number".to_string())
}

/// A network, whose own errors say too little where a whole command is read.
pub(super) fn network(text: &str) -> Result<Network, String> {
    text.parse().map_err(|error: plimsoll_model::NoNetwork| error.to_string())
}

#[cfg(test)]
mod tests {
    use plimsoll_model::TcpState;

    use super::*;

    #[test]
    fn a_timeout_is_named_in_full_or_in_short_and_has_a_value() {
        for text in ["net.netfilter.nf_conntrack_tcp_timeout_time_wait=30", "nf_conntrack_tcp_timeout_time_wait = 30"] {
            let setting: TimeoutSetting = text.parse().unwrap();
            assert_eq!((setting.timeout, setting.secs), (Timeout::Tcp(TcpState::TimeWait), 30));
        }
        for (wrong, said) in [
            ("nf_conntrack_tcp_timeout_time_wait", "KEY=SECS"),
            ("nf_conntrack_tcp_timeout_time_wait=", "above 0"),
            ("nf_conntrack_tcp_timeout_time_wait=0", "above 0"),
            ("nf_conntrack_tcp_timeout_time_wait=-1", "above 0"),
            ("nf_conntrack_max=5", "there is no timeout \"nf_conntrack_max\""),
            ("nf_conntrack_tcp_timewait=5", "the nearest is net.netfilter.nf_conntrack_tcp_timeout_time_wait"),
            ("\u{1b}[31m=5", "\\u{1b}[31m"),
        ] {
            let error = wrong.parse::<TimeoutSetting>().unwrap_err();
            assert!(error.contains(said), "{wrong}: {error}");
        }
    }

    #[test]
    fn names_are_the_kernels_in_any_case() {
        assert_eq!(state("TIME_WAIT"), state("time_wait"));
        assert!(state("timewait").unwrap_err().ends_with("the nearest is time_wait"));
        assert_eq!(
            (protocol("TCP"), protocol("58"), protocol("253")),
            (Ok(Protocol(6)), Ok(Protocol(58)), Ok(Protocol(253)))
        );
        assert!(protocol("256").is_err() && protocol("").is_err() && protocol("tpc").is_err());
        assert!(network("10.0.0.0").is_err());
    }
}
