//! The twin against this machine's kernel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::sync::atomic::AtomicBool;

use plimsoll_lab::conform::{Agreement, Known, Plan, conform, probe};
use plimsoll_twin::{Capabilities, Version};

fn guess() -> Capabilities {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    Capabilities::guess(Version::of_release(&release).unwrap())
}

fn play(packets: u64, seed: u64, capabilities: Capabilities) -> Agreement {
    let agreement = conform(Plan { packets, seed }, capabilities, &AtomicBool::new(false), &mut |_| {}).unwrap();
    println!("seed {seed}: {agreement:#?}");
    agreement
}

#[test]
fn the_twin_makes_of_every_packet_what_the_kernel_makes_of_it() {
    let (capabilities, probed) = probe(guess()).unwrap();
    println!("{probed:#?}");
    let agreement = play(240_000, 1, capabilities);
    assert!(agreement.packets >= 200_000);
    assert_eq!((agreement.flows_that_differ, agreement.counters_that_differ), (0, 0));
}

/// That the comparison can fail, and then says by what.
#[test]
fn a_twin_of_another_kernel_is_found_out() {
    let other = Capabilities::LINUX_5_4;
    assert_ne!(probe(guess()).unwrap().0.window_excess, other.window_excess, "this kernel is another one");
    let agreement = play(45_000, 2, other);
    assert!(agreement.flows_that_differ > 20);
    assert!(agreement.share() < 0.999);
    let packets = agreement.disagreements.iter().map(|disagreement| disagreement.packets.len());
    assert!(packets.clone().all(|packets| packets > 0));
    assert!(packets.min().unwrap() <= 4, "shrunk to the few that matter");
}

#[test]
fn probes_find_the_kernels_ways_whatever_was_guessed() {
    let (right, probed) = probe(guess()).unwrap();
    let measured = probed.iter().filter(|probed| probed.known == Known::Measured);
    assert!(measured.clone().count() >= 8, "{probed:#?}");
    let (from_wrong, _) = probe(Capabilities::LINUX_5_4).unwrap();
    for probed in measured {
        assert!(from_wrong.named().any(|named| named == (probed.capability, probed.way)), "{probed:?}: {from_wrong:?}");
    }
    assert_eq!(from_wrong.window_excess, right.window_excess);
}
