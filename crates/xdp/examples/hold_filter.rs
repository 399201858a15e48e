//! Attaches the program to an interface, says so, and waits to be killed: what `tests/kernel.rs` does to it.
//!
//! `hold_filter INTERFACE MILLISECONDS NETWORK [native]`: drops what comes from the network for so long, by the best way or in the driver.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "an example")]

use std::env;
use std::io::Read;
use std::time::Duration;

use plimsoll_xdp::{Action, Attached, Config, Dropped, Room, Scope, Way};

fn main() {
    let mut arguments = env::args().skip(1);
    let mut argument = || arguments.next().expect("hold_filter INTERFACE MILLISECONDS NETWORK");
    let (interface, milliseconds, network) = (argument(), argument(), argument());
    let until = plimsoll_host::boottime_now() + Duration::from_millis(milliseconds.parse().unwrap());
    let config = Config {
        until,
        action: Action::Enforce,
        owner: 1,
        allowed: Vec::new(),
        dropped: vec![Dropped { network: network.parse().unwrap(), until: Duration::MAX }],
        scope: Scope::All,
        tcp: None,
        udp: None,
        room: Room::default(),
    };
    let way = if arguments.next().as_deref() == Some("native") { Way::Native } else { Way::Best };
    let attached = Attached::attach(&interface, way, &config).unwrap();
    println!("{:?} {}", attached.mode(), attached.not_native().map_or(String::new(), ToString::to_string));
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}
