//! What may be asked of `plimsoll shield`.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use clap::{Args, ValueEnum};
use plimsoll_model::{FindingId, Interface, Network, NoInterface, NoNetwork, Ports, Rate};

use crate::apply::CommonArguments;
use crate::arguments::seconds;
use crate::simulate::Share;

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
#[command(after_long_help = "\
A shield begins in shadow: its rules count what they would drop, and drop nothing. It has an end (--expire) that
the kernel keeps, though every process be killed. docs/shield.md says how it works.

EXIT CODES
  0  it is in force as it was asked for; or it was removed, or extended; or --dry-run, --status
  1  it is in shadow, though it was to be enforced: it would hit, or hit, too many of those who mean well, or was
     interrupted before; or there is nothing to make a shield for
  2  not all of it could be removed: it is said what remains
  3  nothing was done

EXAMPLES
  plimsoll shield                                     what fits what `plimsoll check` finds, in shadow
  plimsoll shield --enforce                           the one in shadow, or a new one, if it hits almost nobody who means well
  plimsoll shield --for syn-flood --port 443 --dry-run
  plimsoll shield --for syn-flood --port 443 --synproxy --allow 192.0.2.0/24 --expire 1h
  plimsoll shield --for udp-unreplied --port 53 --per-source 50/200
  plimsoll shield --for syn-flood --port 443 --xdp eth0
  plimsoll shield --status
  plimsoll shield --stop
")]
pub(crate) struct ShieldArguments {
    /// The network namespace: its name, its inode, or `this`
    #[arg(long, value_name = "NAME", default_value = "this")]
    pub(crate) netns: String,

    /// Tell of the shield that is in force
    #[arg(long, conflicts_with_all = ["stop", "extend", "enforce", "dry_run"])]
    pub(crate) status: bool,

    /// Remove it, and undo what went with it
    #[arg(long, conflicts_with_all = ["extend", "enforce", "dry_run"])]
    pub(crate) stop: bool,

    /// Have it end so long from now, whenever it was to end
    #[arg(long, value_name = "TIME", value_parser = some_time, conflicts_with_all = ["enforce", "dry_run"])]
    pub(crate) extend: Option<Duration>,

    /// Against what; without it, the worst that `plimsoll check` finds of these
    #[arg(long = "for", value_name = "FINDING", help_heading = "What it looks at")]
    pub(crate) against: Option<Against>,

    /// The port that is asked for; may be given often. Without it, those that the table shows
    #[arg(long, value_name = "PORT", value_delimiter = ',', requires = "against", help_heading = "What it looks at")]
    pub(crate) port: Vec<u16>,

    /// Packets that this host sends, not those that it receives
    #[arg(long, requires = "port", conflicts_with = "synproxy", help_heading = "What it looks at")]
    pub(crate) outgoing: bool,

    /// From one address, packets a second, and how many at once: `20`, `20/50`
    #[arg(long, value_name = "RATE[/BURST]", help_heading = "What is too many")]
    pub(crate) per_source: Option<Rate>,

    /// From a /24 of IPv4, or a /64 of IPv6
    #[arg(long, value_name = "RATE[/BURST]", help_heading = "What is too many")]
    pub(crate) per_prefix: Option<Rate>,

    /// From all sources together for which there is no room; without it they pass
    #[arg(long, value_name = "RATE[/BURST]", help_heading = "What is too many")]
    pub(crate) without_room: Option<Rate>,

    /// Sources that are told apart at once
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1 << 22), help_heading = "What is too many")]
    pub(crate) most_sources: Option<u32>,

    /// Whose packets are too many in any case: an address or a network; may be given often
    #[arg(long, value_name = "ADDRESS|NETWORK", value_parser = network, help_heading = "What is too many")]
    pub(crate) drop: Vec<Network>,

    /// Have SYNPROXY do the handshakes while it is enforced: a SYN takes no entry, wherever it comes from
    #[arg(long, help_heading = "What is too many")]
    pub(crate) synproxy: bool,

    /// Whom it never touches: an address or a network; may be given often. Who is logged in by SSH is among them in any case
    #[arg(long, value_name = "ADDRESS|NETWORK", value_parser = network, help_heading = "Whom it spares")]
    pub(crate) allow: Vec<Network>,

    /// The same from a file, one a line: monitoring, load balancers, partners
    #[arg(long, value_name = "FILE", help_heading = "Whom it spares")]
    pub(crate) allow_file: Option<String>,

    /// Before the rules have XDP drop the same on this interface, before there is an skb; may be given often. Where it cannot be, it is
    /// said why, and the rules go on alone
    #[arg(long, value_name = "INTERFACE", value_parser = interface, conflicts_with = "outgoing", help_heading = "How")]
    pub(crate) xdp: Vec<Interface>,

    /// Have it drop, once it was in shadow for long enough and would hit few enough of those who mean well
    #[arg(long, help_heading = "How")]
    pub(crate) enforce: bool,

    /// The share of those with completed flows that it may hit: `0.01`, `1%`
    #[arg(long, value_name = "SHARE", default_value = "1%", requires = "enforce", help_heading = "How")]
    pub(crate) max_collateral: Share,

    /// How long it is in shadow before it is judged
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = seconds, help_heading = "How")]
    pub(crate) shadow: Duration,

    /// When it ends
    #[arg(long, alias = "for-time", value_name = "TIME", default_value = "30m", value_parser = some_time, help_heading = "How")]
    pub(crate) expire: Duration,

    /// Leave it to the watchdog to see whom it hits while it is enforced
    #[arg(long, requires = "enforce", help_heading = "How")]
    pub(crate) no_watch: bool,

    /// Print the rules and what is set with them; change nothing
    #[arg(long, help_heading = "How")]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

impl ShieldArguments {
    /// Whether anything is said of what the shield is to be.
    pub(crate) const fn shapes(&self) -> bool {
        self.per_source.is_some()
            || self.per_prefix.is_some()
            || self.without_room.is_some()
            || self.most_sources.is_some()
            || self.synproxy
            || self.allow_file.is_some()
            || !self.xdp.is_empty()
            || !self.drop.is_empty()
            || !self.allow.is_empty()
    }
}

/// A finding that a shield helps against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Against {
    SynFlood,
    UdpUnreplied,
    OutboundScan,
}

impl Against {
    pub(crate) const ALL: [Self; 3] = [Self::SynFlood, Self::UdpUnreplied, Self::OutboundScan];

    pub(crate) const fn finding(self) -> FindingId {
        match self {
            Self::SynFlood => FindingId::SynFlood,
            Self::UdpUnreplied => FindingId::UdpUnreplied,
            Self::OutboundScan => FindingId::OutboundScan,
        }
    }
}

impl ShieldArguments {
    /// The ports that were named; `None` where none was.
    pub(crate) fn ports(&self) -> anyhow::Result<Option<Ports>> {
        if self.port.is_empty() {
            return Ok(None);
        }
        let ports: BTreeSet<u16> = self.port.iter().copied().collect();
        Ports::try_from(ports).map(Some).map_err(|error| anyhow::anyhow!("--port {error}"))
    }

    /// Sources that are told apart, if it was said.
    pub(crate) fn most_sources(&self) -> Option<NonZeroU32> {
        self.most_sources.and_then(NonZeroU32::new)
    }
}

/// An address alone, or a network.
pub(crate) fn network(text: &str) -> Result<Network, String> {
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(Network::host(address)),
        Err(_) => text.parse().map_err(|error: NoNetwork| error.to_string()),
    }
}

/// One whose packets a shield looks at.
fn interface(text: &str) -> Result<Interface, String> {
    if text == "lo" {
        return Err("loopback is never looked at".to_string());
    }
    text.parse().map_err(|error: NoInterface| error.to_string())
}

/// Time enough to be told of it, and no more than a day.
fn some_time(text: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_secs(1);
    seconds(text).and_then(|span| if span < LEAST { Err("must be a second at least".to_string()) } else { Ok(span) })
}
