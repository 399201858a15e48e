//! Governing a namespace with made-up readings.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use plimsoll_apply::{Event, Moment};
use plimsoll_govern::{Floors, Governor, Outlook, Reading, Rules, Steward};
use plimsoll_host::{HostFs, monotonic_now};
use plimsoll_model::{Capacity, Occupancy, TcpState, Timeout, Timeouts};
use plimsoll_observe::{Place, find};
use rustix::process::{Signal, getpid, kill_process};

/// `script` names how full the table is, in hundredths, one reading after the other; the last one goes on. What is done is printed.
/// At the given record of the journal, before or after it is on the disk, the process kills itself.
pub(crate) fn hold(netns: &str, folder: &Path, script: &str, kill_at: u32) {
    const SIGTERM: i32 = 15;
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, Arc::clone(&stop)).unwrap();
    let passed = Cell::new(0_u32);
    let observer = |_: Moment, _: &Event| {
        if passed.replace(passed.get() + 1) == kill_at {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    };
    let rules = Rules { at_most_every: Duration::ZERO, restore_after: Duration::ZERO, ..Rules::default() };
    let floors: Floors =
        [(Timeout::Tcp(TcpState::TimeWait), 15), (Timeout::Udp, 10), (Timeout::Tcp(TcpState::Established), 7275)]
            .into_iter()
            .collect();
    let mut steward = Steward::new(Governor::new(rules, floors).unwrap(), super::seat(netns, folder));
    let full: Vec<u32> = script.split(',').map(|full| full.parse().unwrap()).collect();
    let mut full = full.iter().copied().peekable();
    while !stop.load(Ordering::Relaxed) {
        let began = monotonic_now();
        let now = full.peek().copied().unwrap();
        let reading = Reading {
            occupancy: Occupancy(now),
            capacity: Capacity(100),
            timeouts: timeouts(netns),
            outlook: Outlook::Room,
        };
        for act in steward.tick(began, &reading, &observer) {
            println!("{act}");
        }
        let read = full.next();
        if full.peek().is_none() {
            full = vec![read.unwrap()].leak().iter().copied().peekable();
            // What was asked for is done; it goes on so.
            println!("holds {}", steward.scale());
            thread::sleep(Duration::from_millis(20));
        }
    }
    for act in steward.end(&observer) {
        println!("{act}");
    }
}

fn timeouts(netns: &str) -> Timeouts {
    let host = HostFs::new();
    let found = find(&host, netns).unwrap();
    Place::of(&found).visit(|| host.timeouts().read).unwrap()
}
