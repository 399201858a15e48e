//! The unit for systemd: that systemd takes it, and how far it confines the daemon. Needs no right.

use std::fs;
use std::process::Command;

use crate::support::PLIMSOLL;

fn analyze(words: &[&str]) -> (bool, String) {
    let output = Command::new("systemd-analyze").args(words).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn systemd_takes_the_unit_and_calls_the_daemon_confined() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("plimsoll-watch.service");
    // As it is shipped, but for where the program lies.
    let shipped = include_str!("../../../../packaging/systemd/plimsoll-watch.service");
    fs::write(&unit, shipped.replace("/usr/bin/plimsoll", PLIMSOLL)).unwrap();
    let unit = unit.to_str().unwrap();
    let (is_well, said) = analyze(&["verify", "--man=no", unit]);
    assert!(is_well && said.is_empty(), "{said}");
    // Exposure in tenths: below 50 is "OK" and better.
    let (is_well, said) = analyze(&["security", "--offline=true", "--threshold=40", unit]);
    assert!(is_well, "{said}");
}
