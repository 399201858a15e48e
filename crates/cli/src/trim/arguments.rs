//! What `plimsoll trim` may be asked for.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use plimsoll_model::{Network, Protocol};
use plimsoll_trim::StateName;

use super::names::{TimeoutSetting, network, protocol, state};
use crate::arguments::{Color, seconds};
use crate::simulate::Share;

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
#[command(after_long_help = "\
WHAT GOES
  An entry goes if it has seen no packet for longer than its timeout, whichever of its possible
  timeouts the kernel gave it: those in force, those compiled in, and those of --armed. What may be
  younger stays. It is left 10 seconds more, in which a packet brings it back; with --now it is
  deleted. A flow whose entry has gone is picked up as a new one, or lost where it is translated:
  what is trimmed cannot be brought back.

EXIT CODES
  0  done; or there is nothing to trim
  1  a dry run: entries would go, and nothing was changed
  2  trimmed, but not as far as --until asks, or it was interrupted
  3  it could not be done

EXAMPLES
  plimsoll trim                                    what would go, and what would stay
  plimsoll trim --yes                              it goes
  plimsoll trim --netns web --state time_wait --as-if nf_conntrack_tcp_timeout_time_wait=30
  plimsoll trim --yes --now --until 80%            a full table, until there is room
  plimsoll trim --state established --as-if nf_conntrack_tcp_timeout_established=3600
  plimsoll trim --json | jq .left
")]
pub(crate) struct TrimArguments {
    /// Do it. Without this nothing is changed, unless a person on a terminal says yes
    #[arg(long)]
    pub(super) yes: bool,

    /// Only say what would go
    #[arg(long, conflicts_with = "yes")]
    pub(super) dry_run: bool,

    /// Delete at once, without the 10 seconds in which a packet brings an entry back
    #[arg(long)]
    pub(super) now: bool,

    /// In one network namespace: its name, its inode, or `this`
    #[arg(long, value_name = "NAME", default_value = "this", help_heading = "Which entries")]
    pub(super) netns: String,

    /// In this state, as the kernel calls it (`time_wait`); may be given often
    #[arg(long, value_name = "STATE", value_parser = state, help_heading = "Which entries")]
    pub(super) state: Vec<StateName>,

    /// Of this protocol, by name or number; may be given often
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol, help_heading = "Which entries")]
    pub(super) proto: Vec<Protocol>,

    /// Of this service: what the client asked for, or the server that answers it; may be given often
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Which entries")]
    pub(super) service: Vec<SocketAddr>,

    /// From this client; may be given often
    #[arg(long, value_name = "ADDRESS", help_heading = "Which entries")]
    pub(super) source: Vec<IpAddr>,

    /// From clients in this network; may be given often
    #[arg(long, value_name = "NETWORK/BITS", value_parser = network, help_heading = "Which entries")]
    pub(super) prefix: Vec<Network>,

    /// Idle for longer than this too, beside their timeout: `30s`, `2h`, `1d`
    #[arg(long, value_name = "TIME", value_parser = seconds, help_heading = "Which entries")]
    pub(super) idle_over: Option<Duration>,

    /// Without a reply
    #[arg(long, help_heading = "Which entries")]
    pub(super) unreplied: bool,

    /// Hold them against this timeout, not against the one in force; may be given often
    #[arg(long, value_name = "KEY=SECS", help_heading = "Timeouts")]
    pub(super) as_if: Vec<TimeoutSetting>,

    /// This timeout was in force earlier, and may have armed entries that are there; may be given often
    #[arg(long, value_name = "KEY=SECS", help_heading = "Timeouts")]
    pub(super) armed: Vec<TimeoutSetting>,

    /// Stop when the table is no fuller than this share of its limit
    #[arg(long, value_name = "SHARE", help_heading = "How far")]
    pub(super) until: Option<Share>,

    /// Entries a second, at most
    #[arg(long, value_name = "ENTRIES", default_value = "1000000", help_heading = "How far")]
    pub(super) rate: NonZeroU32,

    /// Write one JSON document (docs/trim.md)
    #[arg(long, help_heading = "Output")]
    pub(super) json: bool,

    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub(super) color: Color,
}
