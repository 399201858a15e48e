//! How many packets a second the lab plays here, as fast as it can:
//! `cargo run --release -p plimsoll-lab --example throughput`

use std::sync::atomic::AtomicBool;

use plimsoll_lab::Router;
use plimsoll_scenario::{Scenario, Size};

/// Flows that all begin at once, so that every packet is late. In `PACKETS` one packet a line.
const TEXT: &str = r#"
name = "throughput"
title = ""
about = ""
[play]
secs = 60
check_at_secs = 1
[[traffic]]
name = "flows"
count = 100000
clients = { in = "10.0.0.0/8", hosts = 50000 }
servers = { in = "192.0.2.0/24", hosts = 100, ports = 80 }
script = "flow"
[scripts.flow]
rtt_ms = 0
packets = """
PACKETS
"""
[expect]
must = []
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let handshake = "> syn\n< syn-ack\n> ack\n";
    for (what, nat, packets) in [
        ("new flows only (SYN)", "", "> syn".to_string()),
        (
            "a request a connection, 9 packets",
            "",
            format!("{handshake}> data 200\n< data 800\n> ack\n> fin\n< fin\n> ack"),
        ),
        ("connections with 10 requests", "", format!("{handshake}repeat 10\n> data 200\n< data 800\n> ack\nend")),
        ("new flows, masqueraded", "[[masquerade]]\nclients = \"10.0.0.0/8\"\n", "> syn".to_string()),
    ] {
        let text = TEXT.replace("PACKETS", &packets).replace("[expect]", &format!("{nat}[expect]"));
        let scenario = Scenario::parse("throughput.toml", &text)?;
        let router = Router::build(&scenario)?;
        let played = router.play(&scenario, 1, Size::default(), &AtomicBool::new(false))?;
        println!(
            "{what}: {} packets in {:.2} s, {} a second; {} flows refused",
            played.packets,
            played.took.as_secs_f64(),
            played.packets_per_sec(),
            played.refused
        );
    }
    Ok(())
}
