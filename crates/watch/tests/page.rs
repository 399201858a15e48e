//! The dashboard in headless Chromium, before daemons that are played: `tests/page/check.py` says what is looked at. Needs Debian's
//! `chromium`.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::path::Path;
use std::process::Command;

#[test]
fn the_dashboard_shows_what_it_should_in_every_scenario() {
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/check.py");
    let output = Command::new("python3").arg(check).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
