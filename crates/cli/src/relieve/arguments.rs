//! What may be asked of `plimsoll relieve`.

use clap::Args;

use crate::apply::CommonArguments;
use crate::simulate::Share;

#[derive(Args, Debug)]
#[command(after_long_help = "\
What it does, in this order:
  1. saves what it sees, for afterwards
  2. raises nf_conntrack_max as far as memory allows, and leaves the buckets alone
  3. trims half-open and closing connections that have been silent for long; no open connection is touched

EXIT CODES
  0  the table has room, or had it
  1  nothing was done: it was a dry run, or nobody said yes
  2  the table is still nearly full
  3  it could not be done

Destroyed entries cannot be brought back; the limit can be undone with `plimsoll rollback`. On a terminal it asks once.

EXAMPLES
  plimsoll relieve --dry-run
  plimsoll relieve
  plimsoll relieve --yes              for a script, or a serial console that answers slowly
  plimsoll relieve --netns web --yes
")]
pub(crate) struct RelieveArguments {
    /// The network namespace to relieve: its name, its inode, or `this`; the fullest one if not said
    #[arg(long, value_name = "NAME")]
    pub(crate) netns: Option<String>,

    /// Do not ask
    #[arg(short, long, conflicts_with = "dry_run")]
    pub(crate) yes: bool,

    /// Show what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// The share of RAM that all tables together may take: `12%`, `0.2`
    #[arg(long, value_name = "SHARE", default_value = "12%")]
    pub(crate) memory_share: Share,

    #[command(flatten)]
    pub(crate) common: CommonArguments,
}
