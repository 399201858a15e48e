//! What writing costs: `cargo run --release -p plimsoll-archive --example throughput [-- DIR]`.
//!
//! Prints processor time for each life and bytes for each life, of a million lives of a busy gateway.
#![allow(clippy::unwrap_used, reason = "an example")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::time::Instant;

use plimsoll_archive::{Archive, Limits, Writer};
use support::{BEGAN, Folder, life, origin};

const LIVES: u32 = 1_000_000;

fn main() {
    // Made before, so that their making is not measured.
    let lives: Vec<_> = (0..LIVES).map(life).collect();
    let folder = Folder::new();
    let (mut writer, _) = Writer::begin(folder.path(), &origin(), Limits::default()).unwrap();
    let (began, mut longest) = (Instant::now(), 0.0_f64);
    for life in &lives {
        let before = Instant::now();
        let _ = writer.write_life(life).unwrap();
        longest = longest.max(before.elapsed().as_secs_f64());
    }
    let written = began.elapsed();
    let _ = writer.finish(BEGAN).unwrap();
    let closed = began.elapsed();
    let bytes: u64 = folder
        .names("lives")
        .iter()
        .map(|name| fs::metadata(folder.path().join("lives").join(name)).unwrap().len())
        .sum();
    let began = Instant::now();
    let read = Archive::open(folder.path()).unwrap().lives().unwrap().filter(Result::is_ok).count();
    let micros = |secs: f64, of: u32| secs * 1e6 / f64::from(of);
    println!(
        "written: {:.3} µs a life, the longest call {:.1} ms",
        micros(written.as_secs_f64(), LIVES),
        longest * 1e3
    );
    println!("closed after {:.1} ms more", (closed - written).as_secs_f64() * 1e3);
    println!("{:.1} MB a million lives", bytes as f64 / 1e6);
    println!("read: {read} lives, {:.3} µs each", micros(began.elapsed().as_secs_f64(), LIVES));
}
