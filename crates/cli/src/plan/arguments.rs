//! What may be asked of `plimsoll plan`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Command, FromArgMatches};
use plimsoll_plan::{NoSuchProfile, Share as Rate, TimeoutsBy};
use plimsoll_render::Format;

use crate::arguments::{Color, seconds};
use crate::simulate::Share;

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
#[command(after_long_help = "\
EXIT CODES
  0  a plan was made, or there is nothing to do
  1  with --check-drift: something drifted
  3  something asked for is wrong, or too little of the host could be read to tell

Nothing on this host is changed.

EXAMPLES
  plimsoll plan                               what this host needs, in which order, and what each change does
  plimsoll plan --watch-for 30s               the same, with a better idea of where the table leads
  plimsoll plan --netns web --timeouts http-proxy
  plimsoll plan --from web.rec                timeouts that follow from this host's own flows (docs/timeouts.md)
  plimsoll plan --bypass                      also which services can be left untracked, though there is room
  plimsoll plan --growth 3 --memory-share 20%
  plimsoll plan --json > plan.json            for `plimsoll apply plan.json`
  plimsoll plan --diff
  plimsoll plan --format script > plan.sh
  plimsoll plan --check-drift
")]
pub(crate) struct PlanArguments {
    /// The network namespace to plan for: its name, its inode, or `this`
    #[arg(long, value_name = "NAME", default_value = "this")]
    pub(crate) netns: String,

    /// There must be room for so many times what was measured
    #[arg(long, value_name = "FACTOR", default_value = "2", value_parser = growth)]
    pub(crate) growth: f64,

    /// The share of RAM that all tables together may take: `12%`, `0.2`
    #[arg(long, value_name = "SHARE", default_value = "12%")]
    pub(crate) memory_share: Share,

    /// Where timeouts come from: `auto` (this host's own flows), `keep`, or a kind of host (general, http-proxy, api-gateway, vpn,
    /// dns, kubernetes)
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(crate) timeouts: Timeouts,

    /// Timeouts from a recording of this host's own flows (`plimsoll record`): what each value would save and kill
    #[arg(long, value_name = "RECORDING", conflicts_with = "timeouts", help_heading = "Measured timeouts")]
    pub(crate) from: Option<PathBuf>,

    /// With --from: false kills that are borne, per flow that ever idles beyond the guard rail, of each service: `0.01%`
    #[arg(long, value_name = "SHARE", default_value = "0.01%", value_parser = rate, requires = "from", help_heading = "Measured timeouts")]
    pub(crate) max_false_kill_rate: Rate,

    /// With --from: recommend values below the guard rails too, if the recording bears them out
    #[arg(long, requires = "from", help_heading = "Measured timeouts")]
    pub(crate) below_rails: bool,

    /// Look for services that need no entries even where the table has room
    #[arg(long)]
    pub(crate) bypass: bool,

    /// Have the kernel behave as `plimsoll lab conform --json` measured it, not as its version lets guess
    #[arg(long, value_name = "FILE.json")]
    pub(crate) conform: Option<String>,

    /// Read every entry
    #[arg(long)]
    pub(crate) exact: bool,

    /// Watch for so long (`30s`, `2m`) how fast tables fill
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = seconds)]
    pub(crate) watch_for: Duration,

    /// What the rehearsal is drawn from: the same seed gives the same plan of the same table
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub(crate) seed: u64,

    /// Write the plan for others: script, sysctl.d, modprobe.d, cmdline, modules-load.d, udev, nft, iptables, ansible, kube-proxy,
    /// daemonset, tuned (docs/lasting.md)
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["diff", "json"], help_heading = "Output")]
    pub(crate) format: Option<Format>,

    /// Write what the plan changes of today's values, as `diff -u` does
    #[arg(long, conflicts_with = "json", help_heading = "Output")]
    pub(crate) diff: bool,

    /// Plan nothing: say what is in force and neither as files set it nor as it was applied last
    #[arg(long, conflicts_with_all = ["format", "diff"], help_heading = "Output")]
    pub(crate) check_drift: bool,

    /// Write one JSON document (docs/plan.md)
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub(crate) color: Color,
}

impl PlanArguments {
    /// What nobody asked for otherwise, for a namespace.
    pub(crate) fn of(netns: &str) -> anyhow::Result<Self> {
        let command = Self::augment_args(Command::new("plan").no_binary_name(true));
        Ok(Self::from_arg_matches(&command.try_get_matches_from(["--netns", netns])?)?)
    }
}

/// Where timeouts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts(pub(crate) TimeoutsBy);

impl FromStr for Timeouts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(match text {
            "auto" => TimeoutsBy::Auto,
            "keep" => TimeoutsBy::Keep,
            profile => TimeoutsBy::Profile(
                profile.parse().map_err(|error: NoSuchProfile| format!("must be auto, keep or a profile; {error}"))?,
            ),
        }))
    }
}

/// A share that is neither none nor all.
fn rate(text: &str) -> Result<Rate, String> {
    let Share(share) = text.parse()?;
    Rate::new(share).map_err(|_| "must be above 0 and below 1, as 0.01% or 0.0001".to_string())
}

fn growth(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(growth) if (1.0..=100.0).contains(&growth) => Ok(growth),
        _ => Err("must be a factor of 1 to 100".to_string()),
    }
}
