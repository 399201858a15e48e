//! What may be asked of `report`.

use clap::Args;

use crate::arguments::Kube;

#[derive(Args, Debug)]
#[command(after_long_help = "\
The page is one file without scripts, and asks nothing of any network: it can be mailed, printed, and put into a ticket. What it
shows of a file is escaped, whoever wrote it. It holds names and addresses of this host and its peers: look at it before you send it.

EXIT CODES
  0  written
  3  a file could not be read, or is none of these; the page could not be written

EXAMPLES
  plimsoll report > page.html                      a check of now
  plimsoll check --json > check.json
  plimsoll plan --json > plan.json
  plimsoll report check.json plan.json -o page.html
  plimsoll report web.rec -o recording.html        a recording: its course, its services, how long flows are silent
  ssh gateway plimsoll check --json | plimsoll report - -o gateway.html
")]
pub(crate) struct ReportArguments {
    /// What to report of: the output of `check --json` or `plan --json`, or the directory of a recording; `-` for standard input.
    /// Without one, a check of now
    #[arg(value_name = "FILE|RECORDING")]
    pub(crate) files: Vec<String>,

    /// Where the page goes, instead of standard output
    #[arg(short, long, value_name = "FILE.html")]
    pub(crate) output: Option<String>,

    /// Of a check of now: look at one network namespace, its name, its inode, or `this`; or at `all`
    #[arg(long, value_name = "NAME", default_value = "all", conflicts_with = "files")]
    pub(crate) netns: String,

    /// Of a check of now: ask Kubernetes for names, once a cause was found (docs/kubernetes.md)
    #[arg(long, value_name = "WHETHER", default_value = "auto", conflicts_with = "files")]
    pub(crate) kube: Kube,
}
