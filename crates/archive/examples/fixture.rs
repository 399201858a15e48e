//! Writes the recording of `tests/v1`: `cargo run -p plimsoll-archive --example fixture -- DIR`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "an example")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use plimsoll_archive::{Limits, Writer};
use plimsoll_recording::Row;
use support::{BEGAN, origin, rows};

fn main() {
    let folder = PathBuf::from(env::args_os().nth(1).expect("a directory"));
    let limits = Limits { segment_lasts: Duration::from_mins(1), ..Limits::default() };
    let (mut writer, _) = Writer::begin(&folder, &origin(), limits).unwrap();
    for row in rows(40).into_iter().rev() {
        let _ = writer.write(&row).unwrap();
        if matches!(row, Row::Reading(_)) {
            // The settings and the readings are in the first segment, the rest in the second.
            let _ = writer.tick(BEGAN.plus(Duration::from_mins(1))).unwrap();
        }
    }
    let _ = writer.finish(BEGAN.plus(Duration::from_secs(90))).unwrap();
}
