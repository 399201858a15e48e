//! What may be asked of `top`.

use std::time::Duration;

use clap::Args;

use crate::arguments::{Color, Kube, some_seconds};

#[derive(Args, Debug)]
#[command(after_long_help = "\
KEYS
  1 2 3 4, Tab    overview, whose, states, findings
  arrows, j k     choose a row, or scroll; left and right: another namespace
  Enter           of a finding: what `plimsoll explain` says of it
  s  p  ?         sort; pause; every key
  q, Esc, Ctrl-C  quit

Counts and counters are read each interval, entries more slowly, for at most a twentieth of the time. Nothing is written or
subscribed to. With fewer rights it shows less, and says what (docs/permissions.md).

EXIT CODES
  0  it was quit
  3  it could not begin: there is no terminal, or no such namespace

EXAMPLES
  plimsoll top                every namespace
  plimsoll top --netns web    one, its entries however few they are
  plimsoll top --interval 5   counts each five seconds
  ssh -t gateway plimsoll top
")]
pub(crate) struct TopArguments {
    /// Look at one network namespace: its name, its inode, or `this`; or at `all`
    #[arg(long, value_name = "NAME", default_value = "all")]
    pub(crate) netns: String,

    /// Seconds between two readings of counts and counters
    #[arg(long, value_name = "SECS", default_value = "1", value_parser = some_seconds)]
    pub(crate) interval: Duration,

    /// Ask Kubernetes for names, once a cause was found (`on`: always): `auto` where there are a pod's or the kubelet's credentials (docs/kubernetes.md)
    #[arg(long, value_name = "WHETHER", default_value = "auto")]
    pub(crate) kube: Kube,

    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}
