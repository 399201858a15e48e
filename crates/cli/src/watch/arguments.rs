//! What may be asked of `plimsoll watch`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use plimsoll_plan::Profile;

use crate::arguments::{Color, profile, seconds};

#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
#[command(after_long_help = "\
WHAT IT SERVES
  /            a dashboard
  /metrics     metrics, for Prometheus
  /healthz     whether readings come as they should
  /api/status, /api/history?netns=NAME, /api/events   what the dashboard shows (docs/watch.md)

WHAT IT CHANGES
  Nothing of the kernel: it subscribes to nothing and sets nothing. With --untracked it keeps a table of
  rules of its own while it runs; with --govern it sets timeouts, and undoes that. It writes its history into --state-dir, and what it is told to write.

SIGNALS
  HUP reads the configuration file anew; TERM and INT end it.

EXIT CODES
  0  it was told to end
  3  it could not begin

EXAMPLES
  plimsoll watch
  plimsoll watch --listen 0.0.0.0:9754 --web-config /etc/plimsoll/web.yml
  plimsoll watch --config /etc/plimsoll/watch.toml
  plimsoll watch --listen none --textfile /var/lib/prometheus/node-exporter/plimsoll.prom
")]
pub(crate) struct WatchArguments {
    /// A file of settings, in TOML (docs/watch.md); what is said here goes before what it says
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Time between readings, from `1s` on (default 10s)
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(super) interval: Option<Duration>,

    /// Where to listen: `ADDRESS:PORT`, `unix:PATH`, or `none`; may be given more than once (default 127.0.0.1:9754)
    #[arg(long, value_name = "WHERE")]
    pub(super) listen: Vec<String>,

    /// Who is let in, and TLS: a web configuration file as Prometheus' exporters have it
    #[arg(long, value_name = "FILE.yml")]
    pub(super) web_config: Option<PathBuf>,

    /// A name that requests over loopback may ask for beside this host's own, as behind a proxy; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub(super) name: Vec<String>,

    /// Metrics in a file as well, for `node_exporter`'s textfile collector: it still sees them when no connection can be tracked
    #[arg(long, value_name = "FILE.prom")]
    pub(super) textfile: Option<PathBuf>,

    /// `node_exporter`'s names for its metrics of connection tracking as well, for hosts that have none
    #[arg(long)]
    pub(super) compat_metrics: bool,

    /// Do not track connections to the ports listened on: a scrape gets through when the table is full. Firewall rules that go by a
    /// connection's state do not see them
    #[arg(long)]
    pub(super) untracked: bool,

    /// Shorten timeouts while the table fills, and trim it where it is about to be full; whatever ends this program, they are what
    /// they were again (docs/govern.md)
    #[arg(long, help_heading = "Govern")]
    pub(super) govern: bool,

    /// Below which profile's values, and this host's rails, no timeout goes
    #[arg(long, value_name = "PROFILE", requires = "govern", value_parser = profile(), help_heading = "Govern")]
    pub(super) govern_profile: Option<Profile>,

    /// Measured values below which none goes, before the profile's: a plan from this host's recording, as `plimsoll plan --from
    /// RECORDING --json` writes it
    #[arg(long, value_name = "FILE", requires = "govern", help_heading = "Govern")]
    pub(super) govern_measured: Option<PathBuf>,

    /// Tell an Alertmanager of troubles: its address, as `http://10.0.0.1:9093`
    #[arg(long, value_name = "URL", help_heading = "Who is told")]
    pub(super) alertmanager: Vec<String>,

    /// Post each notice to this address, as JSON
    #[arg(long, value_name = "URL", help_heading = "Who is told")]
    pub(super) webhook: Vec<String>,

    /// Run this program for each notice, with the JSON on its standard input
    #[arg(long, value_name = "PROGRAM", help_heading = "Who is told")]
    pub(super) notify_command: Vec<PathBuf>,

    /// Where its history is kept, and journals of what was applied are (default /var/lib/plimsoll)
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,

    /// Keep the history, and what was told, in memory alone
    #[arg(long)]
    pub(super) no_history_file: bool,

    /// Keep all rights that it has. Without this it gives up what it does not need once it has begun; programs that it runs have no
    /// more than it kept
    #[arg(long)]
    pub(super) unconfined: bool,

    /// Say nothing but what is wrong
    #[arg(long, short)]
    pub(super) quiet: bool,

    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Color,
}
