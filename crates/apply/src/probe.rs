//! The user's own check.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// What takes longer has failed.
const LONGEST: Duration = Duration::from_secs(10);

/// How a run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It exited with 0.
    Passed,
    /// It exited otherwise, was killed, took too long, or could not be started.
    Failed,
}

/// Runs a command of sh(1) once, in the calling thread's network namespace. What it writes goes nowhere.
pub(crate) fn run(command: &str) -> Answer {
    match start(command).and_then(wait) {
        Ok(Some(status)) if status.success() => Answer::Passed,
        _ => Answer::Failed,
    }
}

fn start(command: &str) -> io::Result<Child> {
    let mut shell = Command::new("sh");
    // In a group of its own: what it starts can be ended with it, and Ctrl-C at `apply` is no failure of it.
    shell.args(["-c", command]).process_group(0);
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Waits for its end; `None` if it was ended for taking too long.
fn wait(mut child: Child) -> io::Result<Option<ExitStatus>> {
    let until = Instant::now() + LONGEST;
    while Instant::now() < until {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(10));
    }
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended just now.
        let _ = kill_process_group(group, Signal::KILL);
    }
    child.wait()?;
    Ok(None)
}
