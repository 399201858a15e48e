//! Whose the ends of a namespace's entries are, and what it took to ask: `openers NAMESPACE`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use plimsoll_model::{End, Side};
use plimsoll_observe::{Bounds, Depth, Options, Target, ask_whose, observe};

fn main() {
    let name = std::env::args().nth(1).unwrap();
    let options = Options {
        target: Target::Named(name),
        interval: Duration::ZERO,
        depth: Depth::Exact,
        timeout: Duration::from_secs(30),
    };
    let mut snapshot = observe(&options, &mut |_| {}).unwrap();
    let (began, before) = (Instant::now(), processor_ticks());
    ask_whose(&mut snapshot, Bounds::ONCE, |_| true);
    println!("{} ms, {} ms of a processor", began.elapsed().as_millis(), (processor_ticks() - before) * 10);
    let census = snapshot.namespaces[0].census.as_ref().unwrap();
    for side in [Side::Client, Side::Server] {
        let mut ends = BTreeMap::<String, usize>::new();
        for drawn in census.drawn.iter().filter_map(|drawn| drawn.ends) {
            let end = match drawn.of(side) {
                End::NotHere => "not here".to_string(),
                End::Unknown { .. } => "not known".to_string(),
                end => end.by().map_or("nobody's".to_string(), |by| census.program(by).unwrap().to_string()),
            };
            *ends.entry(end).or_default() += 1;
        }
        println!("{side:?}: {ends:?}");
    }
}

/// User and system time, in hundredths of a second (`proc_pid_stat(5)`).
fn processor_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    stat.rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum()
}
