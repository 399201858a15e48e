//! The user's own check.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// What takes longer has failed.
pub(crate) const LONGEST: Duration = Duration::from_secs(10);

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

/// Waits for its end; `None` if it was ended for taking too long. What it has started ends with it: once a second, it would add up.
fn wait(mut child: Child) -> io::Result<Option<ExitStatus>> {
    let group = Pid::from_child(&child);
    let until = Instant::now() + LONGEST;
    // It is left to be reaped, so that its number, which is its group's, is nobody else's when the group is ended.
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let has_ended = loop {
        if waitid(WaitId::Pid(group), look)?.is_some() {
            break true;
        }
        if Instant::now() >= until {
            break false;
        }
        // waitid(2) takes no time limit.
        thread::sleep(Duration::from_millis(10));
    };
    // Nobody may be left in it.
    let _ = kill_process_group(group, Signal::KILL);
    let status = child.wait()?;
    Ok(has_ended.then_some(status))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_passes_or_fails_as_the_command_does() {
        assert_eq!(run("exit 0"), Answer::Passed);
        assert_eq!(run("yes | head -c 10000000"), Answer::Passed, "what it writes goes nowhere");
        for command in ["exit 3", "kill -9 $$", "no-such-program"] {
            assert_eq!(run(command), Answer::Failed, "{command}");
        }
    }

    #[test]
    fn what_it_has_started_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        assert_eq!(run(&format!("sleep 1000 & echo $! >{}", path.display())), Answer::Passed);
        let started = fs::read_to_string(&path).unwrap();
        let until = Instant::now() + Duration::from_mins(1);
        // A process that was killed may wait for its parent to take notice of it.
        let lives = || {
            let status = fs::read_to_string(format!("/proc/{}/stat", started.trim()));
            status.is_ok_and(|status| !status.contains(") Z "))
        };
        // Nobody is told of the end of a process that is not one's child.
        while lives() {
            assert!(Instant::now() < until, "{started} lives");
            thread::sleep(Duration::from_millis(5));
        }
    }
}
