//! Hosts that have not been up for as long as a scenario's entries have been silent.
//!
//! Nothing can have been idle for longer than its host is up, and `check` takes that into account. A time namespace
//! (`time_namespaces(7)`, Linux 5.6) shows the processes in it another uptime, and changes nothing for anybody else.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use anyhow::anyhow;

/// What this process takes for the host's uptime.
pub(crate) enum Uptime {
    /// What others do.
    TheHosts,
    /// More: the process is in a time namespace of its own.
    Pretended,
}

impl Uptime {
    /// What to write before a command that is to see the same uptime as this process.
    pub(crate) fn entering(&self) -> String {
        match self {
            Self::TheHosts => String::new(),
            Self::Pretended => format!("nsenter --time=/proc/{}/ns/time ", std::process::id()),
        }
    }
}

/// Sees to it that this process takes the host to have been up for so long: where it has not been, the program is run
/// anew in a time namespace.
pub(crate) fn pretend(at_least: Duration) -> anyhow::Result<Uptime> {
    let up = plimsoll_host::monotonic_now();
    let Some(missing) = at_least.checked_sub(up).filter(|missing| !missing.is_zero()) else {
        return Ok(of_this_process());
    };
    // Time goes on meanwhile, and an entry is idle for a second more than it seems.
    let offset = (missing + Duration::from_mins(1)).as_secs().to_string();
    let program = env::current_exe()?;
    let failed = Command::new("unshare")
        .args(["--time", "--monotonic", &offset, "--boottime", &offset, "--kill-child=SIGTERM"])
        .arg(program)
        .args(env::args_os().skip(1))
        .exec();
    Err(anyhow!(
        "this host has not been up for as long as the scenario's entries are to have been silent, and the program cannot \
         be run in a time namespace: `unshare --time` (util-linux 2.36 or later): {failed}"
    ))
}

/// Where the clocks of this process's time namespace are not the host's, `/proc/self/timens_offsets` says by how much; a
/// kernel without such namespaces has no such file.
fn of_this_process() -> Uptime {
    let offsets = fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
    let is_off = offsets.lines().any(|clock| clock.split_whitespace().skip(1).any(|number| number != "0"));
    if is_off { Uptime::Pretended } else { Uptime::TheHosts }
}
