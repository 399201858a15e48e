//! What may be asked for on the command line.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use plimsoll_kube::Policy;
use plimsoll_plan::Profile;
use plimsoll_scenario::Size;

use crate::apply::{ApplyArguments, ConfirmArguments, HistoryArguments, RollbackArguments, WatchdogArguments};
use crate::plan::PlanArguments;
use crate::record::RecordArguments;
use crate::relieve::RelieveArguments;
use crate::report::ReportArguments;
use crate::rules::RulesArguments;
use crate::shield::ShieldArguments;
use crate::simulate::{Assignment, Kernel, Lifetime, Mix, Ram, Share, Swept};
use crate::top::TopArguments;
use crate::trim::TrimArguments;
use crate::watch::WatchArguments;

/// The load line for a Linux host's connection-tracking table.
///
/// Without a command it does what `check` does.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, args_conflicts_with_subcommands = true, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) check: CheckArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Diagnose this host once: how full its tables are, what fills them, whether packets are lost
    Check(CheckArguments),
    /// Say of a finding what it is, how it is told, what helps, what makes it worse; without an id, list them all
    Explain(ExplainArguments),
    /// Play a workload on this machine's kernel, in network namespaces of its own, and see what `check` says of it
    #[command(subcommand)]
    Lab(LabCommand),
    /// Say what to change, in which order, why, and what it would do
    Plan(PlanArguments),
    /// Record the lives of flows and their silences, for timeouts that follow from them
    Record(Box<RecordArguments>),
    /// Relieve a table that is full, at once: save what is seen, raise the limit, trim what nobody will miss
    Relieve(RelieveArguments),
    /// Write a page of a check, a plan, a recording: one file for a browser, a ticket, a printer
    Report(ReportArguments),
    /// Write rules, a dashboard or checks for a monitoring system: Prometheus, Grafana, Nagios, Zabbix
    Rules(RulesArguments),
    /// Filter or limit traffic before it is tracked: in shadow first, then enforced, always with an end
    Shield(Box<ShieldArguments>),
    /// Say what a table would do under a workload and settings: how full, when, what it would lose
    Simulate(Box<SimulateArguments>),
    /// Show the same as `check` live, in the terminal: tables, what fills them, whose it is
    Top(TopArguments),
    /// Bring existing entries under the timeouts in force, or under others: a lower timeout alone does nothing to them
    Trim(Box<TrimArguments>),
    /// Keep watch: metrics, a dashboard, a forecast, and word to whom it may concern
    Watch(Box<WatchArguments>),
    /// Make changes one at a time, watch what they do, and undo them unless they are confirmed
    Apply(Box<ApplyArguments>),
    /// Keep what was applied, and write the files that make it last
    Confirm(ConfirmArguments),
    /// Undo what was applied
    Rollback(RollbackArguments),
    /// Say what was applied, when, by whom, and what came of it
    History(HistoryArguments),
    #[command(name = plimsoll_apply::watchdog::COMMAND, hide = true)]
    Watchdog(WatchdogArguments),
}

#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// List the scenarios that can be played
    List(ListArguments),
    /// Play a scenario; with --check, check meanwhile and say whether it was found what must be found
    Run(RunArguments),
    /// Play the same packets to this kernel and to the twin, and say how well the twin knows the kernel
    Conform(ConformArguments),
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
EXIT CODES
  0  the twin agrees with this kernel in every flow
  1  it differs: the fewest packets that show it are printed
  3  it could not be measured, or was interrupted before a difference was found

The namespaces are removed at the end, on Ctrl-C too. No global setting is touched.

EXAMPLES
  plimsoll lab conform                      a minute
  plimsoll lab conform --packets 5000000    a long run
  plimsoll lab conform --json > kernel.json
")]
pub(crate) struct ConformArguments {
    /// How many packets to play, about
    #[arg(long, value_name = "NUMBER", default_value = "200000")]
    pub(crate) packets: NonZeroU64,

    /// What flows, packets and settings are drawn from
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub(crate) seed: u64,

    /// Play though this host tracks connections of its own, with which the lab shares the kernel's hash and gc
    #[arg(long)]
    pub(crate) on_this_host: bool,

    /// Write one JSON document (docs/twin.md)
    #[arg(long)]
    pub(crate) json: bool,

    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// Write one JSON document (docs/lab.md)
    #[arg(long)]
    pub(crate) json: bool,

    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
EXIT CODES
  0  played; with --check, the findings are those that the scenario expects
  1  with --check: a finding is missing, or one is there that should not be
  3  it could not be played

The namespaces are removed at the end, on Ctrl-C too; what a killed run leaves behind, the next one removes.

EXAMPLES
  plimsoll lab run syn-flood --check        half a minute: play, check, compare
  plimsoll lab run http-churn               play, and look at it with `plimsoll check --netns NAME`
  plimsoll lab run ./mine.toml --size 0.5   a scenario of one's own, at half its size
")]
pub(crate) struct RunArguments {
    /// A scenario's name, or a file that ends in .toml
    #[arg(value_name = "NAME|FILE.toml")]
    pub(crate) scenario: String,

    /// Check while it is played, and compare with what the scenario expects
    #[arg(long)]
    pub(crate) check: bool,

    /// What arrival times and addresses are drawn from: the same seed plays the same packets
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub(crate) seed: u64,

    /// Factor on every rate and count
    #[arg(long, value_name = "FACTOR", default_value = "1")]
    pub(crate) size: Size,

    /// Play though this host tracks connections of its own, with which the lab shares the kernel's hash, gc and log
    #[arg(long)]
    pub(crate) on_this_host: bool,

    /// Write one JSON document (docs/lab.md)
    #[arg(long)]
    pub(crate) json: bool,

    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
#[command(after_long_help = "\
EXIT CODES (those of monitoring plugins)
  0  nothing is wrong
  1  warning: a table is filling, or something else will do harm
  2  critical: packets are being lost, or will be as soon as new flows come
  3  it could not be told: a right is missing, an option is wrong, flows are tracked elsewhere

EXAMPLES
  plimsoll check                     every namespace, two readings a second apart
  plimsoll check --interval 0        one reading, at once
  plimsoll check --netns web --exact one namespace, every entry of it
  plimsoll check --watch-for 30s     how fast tables fill, and when they will be full
  plimsoll check --json | jq .verdict
")]
pub(crate) struct CheckArguments {
    /// Look at one network namespace: its name, its inode, or `this`; or at `all`
    #[arg(long, value_name = "NAME", default_value = "all")]
    pub(crate) netns: String,

    /// Read every entry, where entries are read at all
    #[arg(long, conflicts_with = "sample")]
    pub(crate) exact: bool,

    /// Read this many entries, instead of as many as every share needs to be known to a point
    #[arg(long, value_name = "ENTRIES")]
    pub(crate) sample: Option<NonZeroU64>,

    /// Seconds between two readings of the counters; 0 for one reading
    #[arg(long, value_name = "SECS", default_value = "1", value_parser = seconds)]
    pub(crate) interval: Duration,

    /// Watch for so long (`30s`, `2m`) how fast tables fill: a longer --interval, so that it can be said where it leads
    #[arg(long, value_name = "TIME", conflicts_with = "interval", value_parser = seconds)]
    pub(crate) watch_for: Option<Duration>,

    /// Seconds, after the interval, at which to stop reading entries and say what is known by then
    #[arg(long, value_name = "SECS", default_value = "60", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// Ask Kubernetes for names, once a cause was found (`on`: always): `auto` where there are a pod's or the kubelet's credentials (docs/kubernetes.md)
    #[arg(long, value_name = "WHETHER", default_value = "auto")]
    pub(crate) kube: Kube,

    /// Write one JSON document (docs/json.md)
    #[arg(long)]
    pub(crate) json: bool,

    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,

    /// Only the verdict's line
    #[arg(short, long, conflicts_with_all = ["json", "verbose"])]
    pub(crate) quiet: bool,

    /// Every namespace, every counter, every group of entries
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
EXIT CODES
  0  said
  3  there is no such finding

EXAMPLES
  plimsoll explain                   every finding in a line
  plimsoll explain table-full        one of them, with its commands
  plimsoll explain syn-flood --json | jq -r '.sections[].heading'
")]
pub(crate) struct ExplainArguments {
    /// A finding, as `check` calls it
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,

    /// Write one JSON document (docs/json.md)
    #[arg(long)]
    pub(crate) json: bool,

    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
KINDS OF --mix
  http    a connection for one request: opened, asked, answered, closed (after --lifetime, if given)
  dns     a question over UDP, from a port of its own, and its answer
  idle    a connection that is silent for --lifetime (~10m if not given) between two exchanges
  flood   a SYN from an address of its own that nobody answers

EXIT CODES
  0  simulated; with limits given, a setting keeps to them
  1  no setting keeps to the limits given
  3  something asked for is wrong, or not all was simulated: Ctrl-C gives the result so far, marked as partial;
     a second Ctrl-C ends it at once, without a result

Nothing is sent, and nothing on this host is changed. It is a model: docs/simulate.md says of what.

EXAMPLES
  plimsoll simulate --list
  plimsoll simulate founding-dns --sweep nf_conntrack_udp_timeout=30,10
  plimsoll simulate --new-per-sec 2000 --mix http=70,dns=20,idle=5,flood=5 --lifetime ~2s --for 10m
  plimsoll simulate traffic.pcap --profile http-proxy --max-false-kill-rate 0.1%
  plimsoll simulate --from web.rec --sweep nf_conntrack_tcp_timeout_established=7200,3600,600
  plimsoll simulate http-churn --kernel 5.10 --ram 4G --for 5m --svg churn.svg
")]
pub(crate) struct SimulateArguments {
    /// A workload: a scenario's name, a file that ends in .toml, a capture (pcap or pcapng), or a recording's directory
    ///
    /// Capture on one interface, of a router that translates on its clients' side; 96 bytes of each packet suffice
    /// (`tcpdump -i eth0 -s 96 -w traffic.pcap`), but not of fragments. `-i any` holds each forwarded packet twice.
    #[arg(value_name = "NAME|FILE|RECORDING")]
    pub(crate) input: Option<String>,

    /// List the scenarios that can be simulated
    #[arg(long, conflicts_with = "input")]
    pub(crate) list: bool,

    /// In place of a name or file: replay the flows of a recording, the directory that `plimsoll record` wrote
    ///
    /// Settings start from those that were in force while it was recorded. A directory's name alone means the same: `plimsoll
    /// simulate web.rec`.
    #[arg(
        long,
        value_name = "RECORDING",
        conflicts_with_all = ["input", "list", "new_per_sec", "size"],
        help_heading = "Workload"
    )]
    pub(crate) from: Option<PathBuf>,

    /// In place of a name or file: so many new flows a second
    #[arg(long, value_name = "FLOWS", value_parser = flows_per_sec, help_heading = "Workload")]
    pub(crate) new_per_sec: Option<f64>,

    /// What they are, each kind with its weight
    #[arg(
        long,
        value_name = "KIND=WEIGHT,…",
        default_value = "http",
        requires = "new_per_sec",
        help_heading = "Workload"
    )]
    pub(crate) mix: Mix,

    /// How long connections stay open: `30s`, or `~30s` for an exponential distribution with this mean
    #[arg(long, value_name = "TIME", requires = "new_per_sec", help_heading = "Workload")]
    pub(crate) lifetime: Option<Lifetime>,

    /// How long it lasts, at most a day: `90s`, `10m`; if not said, as long as the scenario, capture or recording, and 5m of --new-per-sec
    #[arg(long = "for", value_name = "TIME", value_parser = some_seconds, help_heading = "Workload")]
    pub(crate) lasts: Option<Duration>,

    /// What arrivals, addresses and the kernel's own choices are drawn from: the same seed gives the same result
    #[arg(long, value_name = "NUMBER", default_value = "1", help_heading = "Workload")]
    pub(crate) seed: u64,

    /// Factor on every rate and count of a scenario
    #[arg(long, value_name = "FACTOR", default_value = "1", help_heading = "Workload")]
    pub(crate) size: Size,

    /// Start from what this kernel sets by itself, not from this host's settings, or the recorded ones
    #[arg(long, value_name = "VERSION", help_heading = "Settings")]
    pub(crate) kernel: Option<Kernel>,

    /// Start from what a kernel sets by itself on a host with so much memory: `4G`, `512M`
    #[arg(long, value_name = "BYTES", help_heading = "Settings")]
    pub(crate) ram: Option<Ram>,

    /// Have the kernel behave as `plimsoll lab conform --json` measured it, not as its version lets guess
    #[arg(long, value_name = "FILE.json", help_heading = "Settings")]
    pub(crate) conform: Option<String>,

    /// Settings for a kind of host, over those
    #[arg(long, value_name = "NAME", value_parser = profile(), help_heading = "Settings")]
    pub(crate) profile: Option<Profile>,

    /// A setting over all others, as `net.netfilter.nf_conntrack_max=524288`; may be given often
    #[arg(long, value_name = "KEY=N", help_heading = "Settings")]
    pub(crate) set: Vec<Assignment>,

    /// Compare several values of a setting; given often, every combination, at most 64
    #[arg(long, value_name = "KEY=A,B,C", help_heading = "Settings")]
    pub(crate) sweep: Vec<Swept>,

    /// Name the cheapest setting of which false kills hit at most this share of the flows: `0.001`, `0.1%`
    #[arg(long, value_name = "SHARE", help_heading = "Limits")]
    pub(crate) max_false_kill_rate: Option<Share>,

    /// Name the cheapest setting under which the table is never fuller than this share of its limit
    #[arg(long, value_name = "SHARE", help_heading = "Limits")]
    pub(crate) max_utilization: Option<Share>,

    /// Write one JSON document (docs/simulate.md)
    #[arg(long, conflicts_with = "csv", help_heading = "Output")]
    pub(crate) json: bool,

    /// Write the table over time, one row a reading and setting
    #[arg(long, help_heading = "Output")]
    pub(crate) csv: bool,

    /// Draw the table over time into a file, or to standard output: `-`
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) svg: Option<String>,

    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub(crate) color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kube {
    Off,
    Auto,
    On,
}

impl From<Kube> for Policy {
    fn from(kube: Kube) -> Self {
        match kube {
            Kube::Off => Self::Off,
            Kube::Auto => Self::Auto,
            Kube::On => Self::On,
        }
    }
}

/// A number of seconds, with a fraction and a unit if need be (`30`, `30s`, `2m`, `1h`, `1d`); at most a day.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    span(text, DAY)
}

/// As [`seconds`], but not none, and up to a year.
pub(crate) fn days(text: &str) -> Result<Duration, String> {
    span(text, 366.0 * DAY).and_then(not_none)
}

/// Seconds.
const DAY: f64 = 86_400.0;

fn span(text: &str, most: f64) -> Result<Duration, String> {
    const UNITS: [(char, f64); 4] = [('s', 1.0), ('m', 60.0), ('h', 3600.0), ('d', DAY)];
    let unit = UNITS.iter().find_map(|(unit, secs)| Some((text.strip_suffix(*unit)?, *secs)));
    let (number, unit_secs) = unit.unwrap_or((text, 1.0));
    match number.parse::<f64>().map(|number| number * unit_secs) {
        Ok(secs) if (0.0..=most).contains(&secs) => Ok(Duration::from_secs_f64(secs)),
        Ok(_) => Err(format!("must be between 0 and {most} seconds")),
        Err(_) => Err("must be a number of seconds, or one with a unit: 30s, 2m, 1h, 1d".to_string()),
    }
}

/// A profile by its name.
pub(crate) fn profile() -> impl TypedValueParser<Value = Profile> {
    PossibleValuesParser::new(Profile::ALL.map(Profile::name)).try_map(|name| name.parse::<Profile>())
}

/// As [`seconds`], but not none.
pub(crate) fn some_seconds(text: &str) -> Result<Duration, String> {
    seconds(text).and_then(not_none)
}

fn not_none(span: Duration) -> Result<Duration, String> {
    if span.is_zero() { Err("must be above 0".to_string()) } else { Ok(span) }
}

/// A rate that a scenario can have.
fn flows_per_sec(text: &str) -> Result<f64, String> {
    const MOST: f64 = 1e6;
    match text.parse() {
        Ok(rate) if 0.0 < rate && rate <= MOST => Ok(rate),
        _ => Err("must be a number above 0 and at most a million".to_string()),
    }
}
