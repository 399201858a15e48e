//! What new flows there are, and how long connections stay open.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use plimsoll_diagnose::words::percent;
use plimsoll_model::Untrusted;

use crate::arguments::seconds;

/// A kind of flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A connection for one request: opened, asked, answered, closed.
    Http,
    /// A question over UDP, from a port of its own, and its answer.
    Dns,
    /// A connection that is silent for long between two exchanges.
    Idle,
    /// A SYN from an address of its own that nobody answers.
    Flood,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Http, Self::Dns, Self::Idle, Self::Flood];

    /// As it is written on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Dns => "dns",
            Self::Idle => "idle",
            Self::Flood => "flood",
        }
    }

    fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

/// Kinds of flows with the weight of each: `http=70,dns=30`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mix(Vec<(Kind, f64)>);

impl Mix {
    /// Each kind's share of all flows.
    pub(crate) fn shares(&self) -> impl Iterator<Item = (Kind, f64)> {
        let sum: f64 = self.0.iter().map(|(_, weight)| weight).sum();
        self.0.iter().map(move |(kind, weight)| (*kind, weight / sum))
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(kind, _)] = self.0[..] {
            return f.write_str(kind.name());
        }
        let shares: Vec<_> = self.shares().map(|(kind, share)| format!("{} {}", percent(share), kind.name())).collect();
        f.write_str(&shares.join(", "))
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const MOST: f64 = 1e6;
        let mut weights: Vec<(Kind, f64)> = Vec::new();
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name.trim()).ok_or_else(|| {
                format!("\"{}\" is no kind of flow: name one of {}", Untrusted::from(name), Kind::names())
            })?;
            let weight = weight.trim().parse().ok().filter(|weight| *weight > 0.0 && *weight <= MOST);
            let weight = weight.ok_or_else(|| format!("the weight of {name} must be a number above 0"))?;
            if weights.iter().any(|(known, _)| *known == kind) {
                return Err(format!("names {name} twice"));
            }
            weights.push((kind, weight));
        }
        Ok(Self(weights))
    }
}

/// How long connections stay open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// All as long.
    Fixed(Duration),
    /// Exponentially distributed, with this mean.
    Exponential(Duration),
}

impl Lifetime {
    /// As a script's `wait` has it.
    pub(crate) fn as_wait(self) -> String {
        match self {
            Self::Fixed(span) => format!("{}s", span.as_secs_f64()),
            Self::Exponential(mean) => format!("~{}s", mean.as_secs_f64()),
        }
    }
}

impl FromStr for Lifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix('~') {
            Some(mean) => seconds(mean).map(Self::Exponential),
            None => seconds(text).map(Self::Fixed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_become_shares() {
        let mix: Mix = "http=30,dns=10".parse().unwrap();
        assert_eq!(mix.shares().collect::<Vec<_>>(), [(Kind::Http, 0.75), (Kind::Dns, 0.25)]);
        assert_eq!(mix.to_string(), "75.0% http, 25.0% dns");
        assert_eq!("dns".parse::<Mix>().unwrap().to_string(), "dns");
        for wrong in ["", "web=1", "http=0", "http=-1", "http=nan", "http=inf", "http=1,http=2", "http=1,"] {
            assert!(wrong.parse::<Mix>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_lifetime_is_a_span_or_a_mean() {
        assert_eq!("30s".parse(), Ok(Lifetime::Fixed(Duration::from_secs(30))));
        assert_eq!("~2m".parse(), Ok(Lifetime::Exponential(Duration::from_mins(2))));
        assert!("~".parse::<Lifetime>().is_err() && "-1s".parse::<Lifetime>().is_err());
    }
}
