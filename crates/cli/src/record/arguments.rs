//! What may be asked of `plimsoll record`.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::arguments::{Color, days, some_seconds};
use crate::simulate::Ram;

#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_long_help = "\
WHAT IS RECORDED
  The life of each flow from its events: when it began, its states, when it ended and how. The silences
  of a sample of entries, which are looked at again and again. The table's numbers, and its settings.

WHAT IT CHANGES
  Listening to events makes the kernel allocate room for them with each new entry, 128 bytes on most
  kernels, in every namespace, as long as somebody listens. --no-events does without; looks then have
  the kernel free expired entries, as any dump does.

EXIT CODES
  0  recorded; also if Ctrl-C ended it, or the network namespace is gone
  3  it could not be recorded, or not to the end: what was written until then can be read

EXAMPLES
  plimsoll record --to web.rec --duration 1h
  plimsoll record --to web.rec --netns web --no-events
  plimsoll record --to gateway.rec --anonymize --max-disk 500M
  plimsoll record show web.rec
  plimsoll plan --from web.rec
"
)]
pub(crate) struct RecordArguments {
    #[command(subcommand)]
    pub(super) command: Option<RecordCommand>,
    #[command(flatten)]
    pub(super) recording: RecordingArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RecordCommand {
    /// Say what a recording holds
    Show(ShowArguments),
}

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub(crate) struct RecordingArguments {
    /// The directory to write to: a new one, or a recording of the same host and namespace, which goes on
    #[arg(long, value_name = "DIR", required = true)]
    pub(super) to: Option<PathBuf>,

    /// For how long (`90s`, `2h`, `7d`); if not said, until it is told to stop
    #[arg(long, value_name = "TIME", value_parser = days)]
    pub(super) duration: Option<Duration>,

    /// The network namespace: its name, its inode, or `this`
    #[arg(long, value_name = "NAME", default_value = "this")]
    pub(super) netns: String,

    /// By looks alone: no event is listened to, and nothing on this host changes
    #[arg(long)]
    pub(super) no_events: bool,

    /// Write other addresses in place of the flows' own, of which networks stay together. Ports, times and settings stay
    #[arg(long)]
    pub(super) anonymize: bool,

    /// A file whose content decides how addresses are hidden: the same in several recordings, and they can be compared
    #[arg(long, value_name = "FILE", requires = "anonymize")]
    pub(super) anonymize_key: Option<PathBuf>,

    /// Of more events a second than this, only those of a share of all entries are received
    #[arg(long, value_name = "EVENTS", default_value = "250000", help_heading = "Load")]
    pub(super) max_events_per_sec: NonZeroU64,

    /// Of more flows at a time than this, only a share is followed; 310 bytes of memory each
    #[arg(long, value_name = "FLOWS", default_value = "1000000", help_heading = "Load")]
    pub(super) max_flows: NonZeroU64,

    /// Memory of the kernel's for events that have come and were not taken yet
    #[arg(long, value_name = "BYTES", default_value = "64M", help_heading = "Load")]
    pub(super) buffer: Ram,

    /// Entries that are looked at again and again
    #[arg(long, value_name = "ENTRIES", default_value = "10000", help_heading = "Looks")]
    pub(super) look_at: NonZeroUsize,

    /// Time from one look to the next, on the average; if not said, 5s, and 15s where entries are so few among the hash's buckets that
    /// a look holds up packets
    #[arg(long, value_name = "TIME", value_parser = some_seconds, help_heading = "Looks")]
    pub(super) look_every: Option<Duration>,

    /// Time from one reading of the table's numbers and settings to the next
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = some_seconds, help_heading = "Looks")]
    pub(super) read_every: Duration,

    /// Timeouts have been what they are for as long as entries are old: then the age of each is known at the first look
    #[arg(long, help_heading = "Looks")]
    pub(super) timeouts_unchanged: bool,

    /// A file is closed, and safe from then on, after so long
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = some_seconds, help_heading = "Files")]
    pub(super) segment_every: Duration,

    /// A file is closed when it has so many bytes
    #[arg(long, value_name = "BYTES", default_value = "64M", help_heading = "Files")]
    pub(super) segment_size: Ram,

    /// Of more than this the oldest files go
    #[arg(long, value_name = "BYTES", default_value = "2G", help_heading = "Files")]
    pub(super) max_disk: Ram,

    /// Write what was recorded as one JSON document (docs/record.md)
    #[arg(long, help_heading = "Output")]
    pub(super) json: bool,

    /// Only what goes wrong
    #[arg(short, long, help_heading = "Output")]
    pub(super) quiet: bool,

    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub(super) color: Color,
}

#[derive(Args, Debug)]
#[command(after_long_help = "\
EXIT CODES
  0  said
  3  it could not be read

EXAMPLES
  plimsoll record show web.rec
  plimsoll record show web.rec --svg silences.svg
  plimsoll record show web.rec --json | jq .silences
")]
pub(crate) struct ShowArguments {
    /// The recording's directory
    #[arg(value_name = "DIR")]
    pub(super) recording: PathBuf,

    /// Draw how long flows are silent, and what each timeout would save and kill; `-` for standard output
    #[arg(long, value_name = "FILE")]
    pub(super) svg: Option<String>,

    /// Write one JSON document (docs/record.md)
    #[arg(long)]
    pub(super) json: bool,

    /// When to colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Color,
}
