//! Sysctls by name, as they are written on the command line.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use plimsoll_model as model;
use plimsoll_simulate::{NotSet, Setup};

use crate::setting::{name_and_value, sysctl_named, whole_number};

/// The name of a sysctl that a simulation knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sysctl(model::Sysctl);

impl Sysctl {
    /// All there are.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Setup::sysctls().map(Self)
    }

    /// One that decides what is simulated; `None` for others.
    pub(crate) fn simulated(known: model::Sysctl) -> Option<Self> {
        Setup::sysctls().any(|simulated| simulated == known).then_some(Self(known))
    }

    /// As all of Plimsoll knows it.
    pub(crate) const fn known(self) -> model::Sysctl {
        self.0
    }

    /// With dots, in full.
    pub(crate) fn full(self) -> String {
        self.0.to_string()
    }

    /// Without what all have in common.
    pub(crate) fn short(self) -> &'static str {
        self.0.name().trim_start_matches("nf_conntrack_")
    }

    /// Sets it.
    pub(crate) fn set(self, setup: &mut Setup, value: u32) -> Result<(), String> {
        setup.set(self.0, value).map_err(|error| match error {
            NotSet::OutOfRange { .. } => format!("{self} cannot be {value}: {error}"),
            NotSet::Unknown => format!("{self}: {error}"),
        })
    }
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Sysctl {
    type Err = String;

    /// The full name, or it without `net.netfilter.`.
    fn from_str(text: &str) -> Result<Self, String> {
        sysctl_named(text, "a simulation knows no sysctl", |known| Self::simulated(known).is_some()).map(Self)
    }
}

/// A sysctl and its value: `KEY=N`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) sysctl: Sysctl,
    pub(crate) value: u32,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = name_and_value(text, "a sysctl and its value: KEY=N")?;
        let sysctl: Sysctl = name.parse()?;
        Ok(Self { value: whole_number(sysctl.known(), value)?, sysctl })
    }
}

/// A sysctl and several values: `KEY=A,B,C`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) sysctl: Sysctl,
    pub(crate) values: Vec<u32>,
}

impl FromStr for Swept {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, values) = name_and_value(text, "a sysctl and several values: KEY=A,B,C")?;
        let sysctl: Sysctl = name.parse()?;
        let values =
            values.split(',').map(|value| whole_number(sysctl.known(), value)).collect::<Result<Vec<_>, _>>()?;
        if values.iter().collect::<BTreeSet<_>>().len() < values.len() {
            return Err(format!("names a value of {sysctl} twice"));
        }
        Ok(Self { sysctl, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_answered_with_the_one_that_was_meant() {
        for (written, meant) in [
            ("nf_conntrack_tcp_time_wait", "tcp_timeout_time_wait"),
            ("net.netfilter.nf_conntrack_tcp_timeout_timewait", "tcp_timeout_time_wait"),
            ("net.netfilter.nf_conntrack_udp_timeout_streams", "udp_timeout_stream"),
            ("nf_conntrack_bucket", "buckets"),
            ("net.ipv4.netfilter.ip_conntrack_max", "max"),
        ] {
            let error = written.parse::<Sysctl>().unwrap_err();
            assert!(error.ends_with(&format!("the nearest is net.netfilter.nf_conntrack_{meant}")), "{error}");
        }
        assert!("".parse::<Sysctl>().is_err() && "\u{1b}[31m".parse::<Sysctl>().unwrap_err().contains("\\u{1b}"));
    }

    #[test]
    fn values_are_whole_numbers_and_none_is_swept_twice() {
        let swept: Swept = "nf_conntrack_max = 1, 2,3".parse().unwrap();
        assert_eq!((swept.sysctl.short(), swept.values), ("max", vec![1, 2, 3]));
        for wrong in ["nf_conntrack_max", "nf_conntrack_max=", "nf_conntrack_max=1,", "nf_conntrack_max=1,1"] {
            assert!(wrong.parse::<Swept>().is_err(), "{wrong}");
        }
        for wrong in ["nf_conntrack_max", "nf_conntrack_max=-1", "nf_conntrack_max=1e3", "=1", "x=1"] {
            assert!(wrong.parse::<Assignment>().is_err(), "{wrong}");
        }
    }
}
