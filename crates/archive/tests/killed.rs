//! A recorder that is killed loses its open segment and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use plimsoll_archive::{Archive, Event, Limits, Writer};

use support::{BEGAN, Folder, life, origin};

/// Tells this program that it is the one to be killed, and where it writes.
const WRITES_TO: &str = "PLIMSOLL_ARCHIVE_WRITES_TO";

#[test]
fn what_was_closed_before_a_kill_is_whole_and_the_recording_goes_on() {
    if let Some(folder) = env::var_os(WRITES_TO) {
        write_for_ever(Path::new(&folder));
    }
    let folder = Folder::new();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "what_was_closed_before_a_kill_is_whole_and_the_recording_goes_on", "--nocapture"])
        .env(WRITES_TO, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let closed = lines.filter(|line| line.starts_with("closed")).take(3).count();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(closed, 3);

    let names = folder.names("lives");
    let whole = names.len() - 1;
    assert!(whole >= 3 && names[0] == format!(".{:06}.open", whole + 1), "{names:?}");
    let read = || Archive::open(folder.path()).unwrap().lives().unwrap().map(Result::unwrap);
    let count = 32_768 * u32::try_from(whole).unwrap();
    assert!(read().eq((0..count).map(life)));

    let (mut writer, events) = Writer::begin(folder.path(), &origin(), Limits::default()).unwrap();
    assert!(matches!(events[..], [Event::LeftoverRemoved { number }] if number as usize == whole + 1), "{events:?}");
    let _ = writer.write_life(&life(count)).unwrap();
    let _ = writer.finish(BEGAN).unwrap();
    assert!(read().eq((0..=count).map(life)));
}

fn write_for_ever(folder: &Path) -> ! {
    let (mut writer, _) = Writer::begin(folder, &origin(), Limits { segment_bytes: 1, ..Limits::default() }).unwrap();
    for number in 0.. {
        for event in writer.write_life(&life(number)).unwrap() {
            println!("\nclosed {event:?}");
        }
    }
    unreachable!()
}
