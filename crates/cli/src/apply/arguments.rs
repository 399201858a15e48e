//! What may be asked of `apply`, `confirm`, `rollback`, `history` and the watchdog on the command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use plimsoll_apply::STATE_DIR;
use plimsoll_model::Sysctl;

use crate::arguments::{Color, seconds};
use crate::setting::{name_and_value, sysctl_named, whole_number};

#[derive(Args, Debug)]
#[command(after_long_help = "\
What is applied is undone by itself unless `plimsoll confirm` comes in time: by a process of its
own, which needs neither this terminal nor its session, and by a timer where there is systemd.
docs/apply.md says what happens when something is killed.

EXIT CODES
  0  all is in force and awaits `plimsoll confirm`; or there was nothing to do; or --dry-run
  1  something became worse, or a change could not be made: all is as it was before
  2  the same, but not all could be undone: it is said what remains
  3  nothing was begun

EXAMPLES
  plimsoll apply --dry-run
  plimsoll apply --set nf_conntrack_tcp_timeout_time_wait=30 --dry-run
  plimsoll apply --set nf_conntrack_max=524288 --set nf_conntrack_buckets=524288
  plimsoll apply plan.json --soak 1m --confirm-within 10m --probe 'curl -fsS -m 2 localhost'
  plimsoll confirm
")]
pub(crate) struct ApplyArguments {
    /// A plan, as `plimsoll plan --json` writes it; `-` reads it from standard input. Without it, and without --set, what
    /// `plimsoll plan` proposes now
    #[arg(value_name = "PLAN.json")]
    pub(crate) plan: Option<String>,

    /// In place of a plan: a sysctl and its value; may be given often, and is done in this order
    #[arg(long, value_name = "KEY=N", conflicts_with = "plan")]
    pub(crate) set: Vec<Setting>,

    /// The network namespace that the changes go to: its name, its inode, or `this`; if not said, the plan's, or this one
    #[arg(long, value_name = "NAME")]
    pub(crate) netns: Option<String>,

    /// Print every write, in order, and what undoes it; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// How long to watch before the first change and after each: what is worse then is undone; 0 watches nothing
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = seconds)]
    pub(crate) soak: Duration,

    /// How long the changes stay without `plimsoll confirm`
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = some_time)]
    pub(crate) confirm_within: Duration,

    /// A command of sh that exits with 0 while all is well; run once a second while watching, in the namespace
    #[arg(long, value_name = "COMMAND")]
    pub(crate) probe: Option<String>,

    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
EXIT CODES
  0  confirmed
  1  confirmed, but not written to files: it is said why
  3  nothing was confirmed

EXAMPLES
  plimsoll confirm
  plimsoll confirm --no-persist      until the next reboot
")]
pub(crate) struct ConfirmArguments {
    /// Write no files: what is confirmed lasts until the next reboot
    #[arg(long)]
    pub(crate) no_persist: bool,

    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
A value that somebody else has changed since is left, and so is a file. It may be done again.

EXIT CODES
  0  undone, or there was nothing to undo
  1  undone, but for what somebody else has changed since
  2  not all could be undone: it is said what remains
  3  it could not be tried

EXAMPLES
  plimsoll rollback        the last application
  plimsoll rollback 7      to what was before application 7
  plimsoll rollback --left-behind    what `watch --govern` has set, if it was killed with its watchdog
")]
pub(crate) struct RollbackArguments {
    /// Go back to before this application; without it, undo the last one
    #[arg(value_name = "NUMBER")]
    pub(crate) number: Option<u32>,

    /// Undo this application if it is not confirmed by its deadline, for a timer
    #[arg(long, value_name = "NUMBER", conflicts_with = "number")]
    pub(crate) if_unconfirmed: Option<u32>,

    /// Undo only what `watch --govern` has left behind, if it was killed and its watchdog too, for a service manager
    #[arg(long, conflicts_with_all = ["number", "if_unconfirmed"])]
    pub(crate) left_behind: bool,

    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
EXAMPLES
  plimsoll history
  plimsoll history --json | jq '.applications[].outcome'
")]
pub(crate) struct HistoryArguments {
    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

/// For Plimsoll itself.
#[derive(Args, Debug)]
pub(crate) struct WatchdogArguments {
    pub(crate) id: u32,
    #[arg(long)]
    pub(crate) state_dir: PathBuf,
    #[arg(long)]
    pub(crate) applier: u32,
}

#[derive(Args, Debug)]
pub(crate) struct CommonArguments {
    /// The folder of the journals; if not said, `PLIMSOLL_STATE_DIR`, or /var/lib/plimsoll
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,

    /// Write one JSON document (docs/apply.md)
    #[arg(long)]
    pub(crate) json: bool,

    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

impl CommonArguments {
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.state_dir.clone().unwrap_or_else(state_dir)
    }
}

/// The folder of the journals if none is named on the command line.
pub(crate) fn state_dir() -> PathBuf {
    std::env::var_os("PLIMSOLL_STATE_DIR")
        .filter(|path| !path.is_empty())
        .map_or_else(|| STATE_DIR.into(), PathBuf::from)
}

/// A sysctl and its value: `KEY=N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) sysctl: Sysctl,
    pub(crate) value: u32,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = name_and_value(text, "a sysctl and its value: KEY=N")?;
        let sysctl = sysctl_named(name, "no sysctl of this name decides what tracking does:", |_| true)?;
        Ok(Self { sysctl, value: whole_number(sysctl, value)? })
    }
}

/// As [`seconds`], but time enough to type a command.
fn some_time(text: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_secs(1);
    seconds(text).and_then(|span| if span < LEAST { Err("must be a second at least".to_string()) } else { Ok(span) })
}
