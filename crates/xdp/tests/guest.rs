//! Whether older kernels take the program: Debian's 6.1 and 6.12 in QEMU. Needs what scripts/test installs, and no right.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::time::Duration;

use plimsoll_guest::{Guest, Stock};

/// For a machine much slower than any it was tried on.
const TIMEOUT: Duration = Duration::from_mins(5);

#[test]
fn linux_6_1_takes_it_and_ends_it_in_time() {
    takes_it_and_ends_it_in_time(Stock::Linux6_1);
}

#[test]
fn linux_6_12_takes_it_and_ends_it_in_time() {
    takes_it_and_ends_it_in_time(Stock::Linux6_12);
}

/// In the driver of veth and behind the loopback device. What attached it has ended when packets come.
fn takes_it_and_ends_it_in_time(stock: Stock) {
    let guest = Guest::new().on(stock).program(support::example("hold_filter")).program("ip").module("veth");
    // busybox has an ip of its own, which makes no pairs.
    let script = "
        modprobe veth
        ip link set lo up
        /bin/ip link add v0 type veth peer name v1
        ip link set v0 up
        ip link set v1 up
        step native hold_filter v1 60000 10.0.0.0/8 native </dev/null
        step generic hold_filter lo 30000 127.0.0.66/32 </dev/null
        step twice hold_filter lo 30000 127.0.0.66/32 </dev/null
        step dropped ping -c 1 -W 2 -I 127.0.0.66 127.0.0.1
        step passes ping -c 1 -W 20 -I 127.0.0.67 127.0.0.1
        sleep 30
        step over ping -c 1 -W 20 -I 127.0.0.66 127.0.0.1
    ";
    let transcript = guest.run(script, TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    let step = |name: &str| transcript.step(name).unwrap();
    assert!(step("native").output.starts_with("Native"), "{:?}", step("native"));
    assert!(step("generic").output.starts_with("Generic"), "{:?}", step("generic"));
    for (name, succeeds) in [("twice", false), ("dropped", false), ("passes", true), ("over", true)] {
        assert_eq!(step(name).exit_code == 0, succeeds, "{:?}", step(name));
    }
}
