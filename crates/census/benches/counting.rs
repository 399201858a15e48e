//! What an entry costs beyond receiving it: nanoseconds to parse it, and to count it.
//! `cargo bench -p plimsoll-census --bench counting -- DUMP` with a dump that ctnetlink's example `capture` wrote.
#![allow(clippy::expect_used, reason = "a bench fails by it")]

use std::hint::black_box;
use std::time::Instant;

use plimsoll_census::{Armings, Counting};
use plimsoll_ctnetlink::{Unknowns, parse::parse_datagram};
use plimsoll_model::{Policies, Timeouts};

const ROUNDS: usize = 9;

fn main() {
    let path = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let path =
        path.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../ctnetlink/tests/dumps/mixed.bin").into());
    let dump = std::fs::read(&path).expect("the dump");
    let datagrams = datagrams(&dump);
    let armings = Armings::in_force(&Timeouts::default(), Policies::None, u32::MAX);

    let entries = parse(&datagrams, |_| {});
    let parsing = fastest(|| {
        black_box(parse(&datagrams, |entry| {
            black_box(entry);
        }));
    });
    let both = fastest(|| {
        let mut counting = Counting::new(armings.clone());
        parse(&datagrams, |entry| counting.add(entry));
        black_box(counting.read());
    });
    let per_entry = |nanos: f64| nanos / entries as f64;
    println!("{entries} entries: parse {:.1} ns, parse and count {:.1} ns", per_entry(parsing), per_entry(both));
}

fn parse(datagrams: &[&[u8]], mut each: impl FnMut(&plimsoll_model::Entry)) -> u64 {
    let mut unknowns = Unknowns::default();
    let mut entries = 0;
    for datagram in datagrams {
        for dumped in parse_datagram(datagram, &mut unknowns) {
            each(&dumped.expect("an entry").entry);
            entries += 1;
        }
    }
    entries
}

fn fastest(mut work: impl FnMut()) -> f64 {
    let nanos = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        work();
        began.elapsed().as_nanos() as f64
    });
    nanos.fold(f64::INFINITY, f64::min)
}

fn datagrams(mut dump: &[u8]) -> Vec<&[u8]> {
    let mut datagrams = Vec::new();
    while let Some((length, rest)) = dump.split_first_chunk() {
        let (datagram, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        datagrams.push(datagram);
        dump = rest;
    }
    datagrams
}
