//! What is dropped and what is limited.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use plimsoll_model::Network;

/// What an attached program does with packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Until when it does anything; from then on everything passes, whether or not anybody is there to see to it. Time since
    /// boot (`CLOCK_BOOTTIME`, [`plimsoll_host::boottime_now`]), in the initial time namespace.
    pub until: Duration,
    /// What it does with what it would drop.
    pub action: Action,
    /// A number of whoever attaches it, by which they know it again ([`Status::owner`](crate::Status::owner)). Nothing is decided by it.
    pub owner: u32,
    /// Sources whose packets always pass.
    pub allowed: Vec<Network>,
    /// Sources whose packets are dropped.
    pub dropped: Vec<Dropped>,
    /// Which of their packets.
    pub scope: Scope,
    /// How many connections may be begun: SYNs without FIN, RST and ACK are counted.
    pub tcp: Option<Limit>,
    /// How many UDP datagrams may come.
    pub udp: Option<Limit>,
    /// How much is kept in memory.
    pub room: Room,
}

/// What is done with a packet that would be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is counted, and passes.
    Shadow,
    /// It is dropped.
    Enforce,
}

/// Sources whose packets are dropped for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Which.
    pub network: Network,
    /// Until when, as [`Config::until`].
    pub until: Duration,
}

/// Which packets of [`Config::dropped`] sources are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All, of any protocol.
    All,
    /// What [`Config::tcp`] and [`Config::udp`] look at: SYNs without FIN, RST and ACK, and datagrams, to their ports.
    Limited,
}

/// How many packets a source may send to some ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// To which ports of this host, or behind it.
    pub ports: Ports,
    /// How many; `None` for all but those of sources that are dropped.
    pub rates: Option<Rates>,
}

/// Ports that packets go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// All.
    All,
    /// These.
    These(BTreeSet<u16>),
}

/// Of what a limit counts the packets: of addresses, or of [`plimsoll_model::Prefix`]es (/24 of IPv4, /64 of IPv6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rates {
    /// Of each address.
    Source(Rate),
    /// Of each prefix.
    Prefix(Rate),
    /// Of both: a packet passes if neither is over its rate.
    Both {
        /// Of each address.
        source: Rate,
        /// Of each prefix.
        prefix: Rate,
    },
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    interval_ns: NonZeroU64,
    burst_ns: u64,
}

/// The longest time that a full bucket may last.
const LONGEST_BURST: Duration = Duration::from_hours(24);

/// Not a rate that can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRate {
    /// More packets a second than the clock has ticks.
    #[error("at most 1,000,000,000 packets a second can be told from no limit")]
    TooFast,
    /// A burst that would take longer than a day to be earned.
    #[error("a burst must be earned within a day at its rate")]
    TooLong,
}

impl Rate {
    /// So many packets a second, and a burst of at least one.
    pub fn per_sec(packets: NonZeroU32, burst: NonZeroU32) -> Result<Self, NoRate> {
        Self::each(Duration::from_secs(1) / packets.get(), burst)
    }

    /// A packet in each interval, and a burst of at least one.
    pub fn each(interval: Duration, burst: NonZeroU32) -> Result<Self, NoRate> {
        if interval.checked_mul(burst.get()).is_none_or(|earned| earned > LONGEST_BURST) {
            return Err(NoRate::TooLong);
        }
        let interval_ns = u64::try_from(interval.as_nanos()).map_err(|_| NoRate::TooLong)?;
        let interval_ns = NonZeroU64::new(interval_ns).ok_or(NoRate::TooFast)?;
        Ok(Self { interval_ns, burst_ns: interval_ns.get() * u64::from(burst.get() - 1) })
    }

    /// From what stands in a map; `None` for no rate.
    pub(crate) fn from_words([interval_ns, burst_ns]: [u64; 2]) -> Option<Self> {
        Some(Self { interval_ns: NonZeroU64::new(interval_ns)?, burst_ns })
    }

    /// As it stands in a map.
    pub(crate) const fn words(self) -> [u64; 2] {
        [self.interval_ns.get(), self.burst_ns]
    }

    /// In how much time a packet is earned.
    pub const fn interval(self) -> Duration {
        Duration::from_nanos(self.interval_ns.get())
    }

    /// How many packets a full bucket lasts for.
    pub fn burst(self) -> u64 {
        self.burst_ns / self.interval_ns + 1
    }
}

impl Rates {
    /// From two rates that may be there.
    pub(crate) fn of(source: Option<Rate>, prefix: Option<Rate>) -> Option<Self> {
        match (source, prefix) {
            (None, None) => None,
            (Some(source), None) => Some(Self::Source(source)),
            (None, Some(prefix)) => Some(Self::Prefix(prefix)),
            (Some(source), Some(prefix)) => Some(Self::Both { source, prefix }),
        }
    }

    /// The rate of each address.
    pub const fn source(self) -> Option<Rate> {
        match self {
            Self::Source(source) | Self::Both { source, .. } => Some(source),
            Self::Prefix(_) => None,
        }
    }

    /// The rate of each prefix.
    pub const fn prefix(self) -> Option<Rate> {
        match self {
            Self::Prefix(prefix) | Self::Both { prefix, .. } => Some(prefix),
            Self::Source(_) => None,
        }
    }
}

impl Ports {
    /// Whether a port is among them.
    pub fn hold(&self, port: u16) -> bool {
        match self {
            Self::All => true,
            Self::These(ports) => ports.contains(&port),
        }
    }
}

/// How much a program keeps; settled when it is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Sources and prefixes whose packets are counted. Memory for all of them is taken at once, about 100 bytes each. When there are more, who was
    /// not seen for longest is forgotten, and may send a burst again.
    pub sources: NonZeroU32,
    /// Allowed and dropped networks, of each family.
    pub listed: NonZeroU32,
    /// Sources of which it is noted how many packets were dropped; taken like the others. When there are more, their packets are
    /// [`Unnoted`](crate::Unnoted).
    pub hits: NonZeroU32,
}

impl Default for Room {
    /// 65,536 of each.
    fn default() -> Self {
        let many = NonZeroU32::MIN.saturating_add(65_535);
        Self { sources: many, listed: many, hits: many }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_it_was_made_of_and_what_cannot_be_kept_is_refused() {
        let number = |number| NonZeroU32::new(number).unwrap();
        let rate = Rate::per_sec(number(20), number(40)).unwrap();
        assert_eq!((rate.interval(), rate.burst()), (Duration::from_millis(50), 40));
        assert_eq!(Rate::from_words(rate.words()), Some(rate));
        assert_eq!(Rate::from_words([0, 7]), None);
        let fastest = Rate::per_sec(number(1_000_000_000), number(1)).unwrap();
        assert_eq!((fastest.interval(), fastest.burst()), (Duration::from_nanos(1), 1));
        assert_eq!(Rate::per_sec(number(1_000_000_001), number(1)), Err(NoRate::TooFast));
        assert!(Rate::each(Duration::from_hours(1), number(24)).is_ok());
        assert_eq!(Rate::each(Duration::from_hours(1), number(25)), Err(NoRate::TooLong));
        assert_eq!(Rate::each(Duration::MAX, number(2)), Err(NoRate::TooLong));
    }
}
