//! The dashboard of a daemon that runs, in headless Chromium. Needs root, and Debian's `chromium`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::path::Path;
use std::process::Command;

use plimsoll_lab::{LabNamespace, mixed_entries};
use support::watching::{ADDRESS, Daemon, status};

#[test]
fn the_page_shows_what_the_daemon_reads() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(mixed_entries(60_000)).unwrap();
    let _daemon = Daemon::begin_every(&lab, "5s", &[]);
    status(&lab);
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("../watch/tests/page/check.py");
    let address = format!("http://{ADDRESS}/");
    let mut command = Command::new("ip");
    command.args(["netns", "exec", lab.name(), "python3", check.to_str().unwrap(), &address]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
}
