//! Stands in for the daemon, in tests: a steward, and its watchdog.
//!
//! - `governed watchdog ID --state-dir DIR --applier PID`: the watchdog, as a steward starts it
//! - `governed hold NETNS DIR SCRIPT [KILL-AT]`: governs with made-up readings, until it is ended
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "it is of tests")]

mod hold;
mod watch;

use std::path::{Path, PathBuf};

use plimsoll_apply::Author;
use plimsoll_apply::watchdog::{Guardian, Timer};
use plimsoll_govern::Seat;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["watchdog", id, "--state-dir", folder, "--applier", applier] => {
            watch::watch(Path::new(folder), id.parse().unwrap(), applier.parse().unwrap());
        }
        ["hold", netns, folder, script] => hold::hold(netns, Path::new(folder), script, u32::MAX),
        ["hold", netns, folder, script, kill_at] => {
            hold::hold(netns, Path::new(folder), script, kill_at.parse().unwrap());
        }
        _ => panic!("what is {arguments:?}?"),
    }
}

fn seat(namespace: &str, folder: &Path) -> Seat {
    Seat {
        namespace: namespace.to_string(),
        state_dir: PathBuf::from(folder),
        guardian: Guardian { program: std::env::current_exe().unwrap(), timer: Timer::None },
        by: Author::of_this_process(),
    }
}
