//! A disk that fills up ends a recording, and leaves what was closed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::env;
use std::path::Path;
use std::process::Command;

use plimsoll_archive::{Archive, Error, Limits, Writer};

use support::{Folder, life, origin};

/// Tells this program that it is in mounts of its own, and where the small disk is.
const DISK: &str = "PLIMSOLL_ARCHIVE_DISK";

#[test]
fn a_full_disk_is_told_and_what_was_closed_can_be_read() {
    if let Some(disk) = env::var_os(DISK) {
        return fill(Path::new(&disk));
    }
    let folder = Folder::new();
    std::fs::create_dir(folder.path()).unwrap();
    // The mount ends with the last process in its namespace.
    let script = r#"mount -t tmpfs -o size=5m tmpfs "$1" && exec "$2" --exact "$3" --nocapture"#;
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
        .arg(folder.path())
        .arg(env::current_exe().unwrap())
        .arg("a_full_disk_is_told_and_what_was_closed_can_be_read")
        .env(DISK, folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "as root only: {output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("was full"), "{output:?}");
}

fn fill(disk: &Path) {
    let (mut writer, _) = Writer::begin(disk, &origin(), Limits { segment_bytes: 1, ..Limits::default() }).unwrap();
    let error = (0..1_000_000).find_map(|number| writer.write_life(&life(number)).err()).expect("a full disk");
    assert!(matches!(error, Error::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("make room there"), "{error}");
    assert!(matches!(writer.write_life(&life(0)), Err(Error::Over { .. })));
    for table in ["lives", "gaps", "readings", "changes"] {
        let mut files = std::fs::read_dir(disk.join(table)).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(files.all(|name| name.to_str().unwrap().ends_with(".parquet")));
    }
    let lives: Vec<_> = Archive::open(disk).unwrap().lives().unwrap().map(Result::unwrap).collect();
    assert!(lives.len() >= 32_768 && lives.len().is_multiple_of(32_768));
    assert!(lives.iter().cloned().eq((0..).map(life).take(lives.len())));
    println!("\nwas full");
}
