//! What writing costs: `cargo run --release -p plimsoll-archive --example throughput [-- DIR]`.
//!
//! Prints processor time for each life and bytes for each life, of a million lives of a busy gateway.
#![allow(clippy::unwrap_used, reason = "an example")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::time::Duration;

use plimsoll_archive::{Archive, Limits, Writer};
use support::{BEGAN, Folder, life, origin};

const LIVES: u32 = 1_000_000;

fn main() {
    // Made before, so that their making is not measured.
    let lives: Vec<_> = (0..LIVES).map(life).collect();
    let folder = Folder::new();
    let (mut writer, _) = Writer::begin(folder.path(), &origin(), Limits::default()).unwrap();
    let began = processor_time();
    for life in &lives {
        let _ = writer.write_life(life).unwrap();
    }
    let _ = writer.finish(BEGAN).unwrap();
    let written = processor_time().saturating_sub(began);
    let bytes: u64 = folder
        .names("lives")
        .iter()
        .map(|name| fs::metadata(folder.path().join("lives").join(name)).unwrap().len())
        .sum();
    let began = processor_time();
    let read = Archive::open(folder.path()).unwrap().lives().unwrap().flatten().count();
    let reading = processor_time().saturating_sub(began);
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(LIVES);
    println!(
        "{:.2} µs of processor time for each life written, {:.2} µs for each read ({read})",
        micros(written),
        micros(reading)
    );
    println!("{:.1} MB a million lives", bytes as f64 / 1e6);
}

/// What this thread has had.
fn processor_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}
