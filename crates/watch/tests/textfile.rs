//! Metrics in a file, in a folder that somebody else owns.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use plimsoll_watch::textfile;

#[test]
fn nothing_that_lies_there_is_followed_or_waited_for_and_everybody_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let [file, beside, victim] = ["a.prom", "a.prom.new", "victim"].map(|name| folder.path().join(name));
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, &beside).unwrap();
    textfile::write(&file, "x 1\n").unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(Command::new("mkfifo").arg(&beside).status().unwrap().success());
    textfile::write(&file, "x 2\n").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "x 2\n");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn whether_it_could_be_written_is_tried_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.prom");
    fs::write(&file, "x 1\n").unwrap();
    textfile::try_out(&file).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "x 1\n");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    let refused = textfile::try_out(&folder.path().join("nowhere/a.prom")).unwrap_err().to_string();
    assert!(refused.contains("nowhere/a.prom: No such file"), "{refused}");
}

#[test]
fn what_is_not_written_any_more_is_removed_and_what_is_not_there_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.prom");
    textfile::write(&file, "x 1\n").unwrap();
    textfile::remove(&file).unwrap();
    assert!(!file.exists());
    textfile::remove(&file).unwrap();
    let refused = textfile::remove(folder.path()).unwrap_err().to_string();
    assert!(refused.contains("removing metrics from"), "{refused}");
}
