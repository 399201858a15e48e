//! `plimsoll trim` on other kernels, Debian's 6.1 and 6.12 in QEMU: a table that is full to its limit. Needs what scripts/test
//! installs, and no right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use plimsoll_guest::{Guest, Stock, Transcript};
use serde_json::{Value, json};
use support::guest::{entries, guest, run};

/// Entries that were armed with the five days of before, some seconds ago; and such as today's timeouts arm.
fn with_entries(guest: Guest) -> Guest {
    let stale = entries(0..400, "ESTABLISHED").replace("-t 3600", "-t 431996");
    guest.file("/stale", stale).file("/fresh", entries(1000..1100, "SYN_RECV").replace("-t 3600", "-t 60"))
}

/// Nothing is idle for longer than the guest is up: so it waits until it is old enough, and the timeout in force is a second.
const SCRIPT: &str = r#"
    modprobe nf_conntrack
    step unloaded sh -c 'plimsoll trim 2>&1'

    until [ "$(cut -d. -f1 /proc/uptime)" -ge 6 ]; do sleep 0.1; done
    track
    conntrack --load-file /stale
    conntrack --load-file /fresh
    set_max 500
    step refused send-udp 127.0.0.1 1 10
    echo 1 >/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established
    step dry plimsoll trim --json
    step expire plimsoll trim --json --yes --until 90%
    step delete plimsoll trim --json --yes --now
    step counted count
    step accepted send-udp 127.0.0.1 1 10
"#;

fn json_of(transcript: &Transcript, name: &str) -> (u8, Value) {
    let step = transcript.step(name).unwrap();
    let document = serde_json::from_str(&step.output).unwrap_or_else(|error| panic!("{error}: {step:?}"));
    (step.exit_code, document)
}

fn a_full_table_is_relieved(guest: Guest) {
    let transcript = run(&with_entries(guest), SCRIPT);
    let output = |name| transcript.step(name).unwrap().output.trim();
    let unloaded = transcript.step("unloaded").unwrap();
    assert_eq!(unloaded.exit_code, 3, "{unloaded:?}");
    assert!(unloaded.output.contains("nf_conntrack_netlink"), "{unloaded:?}");
    assert_eq!(output("refused"), "10");

    let (code, dry) = json_of(&transcript, "dry");
    assert_eq!(
        (code, &dry["read"], &dry["stale"], &dry["occupancy"]),
        (1, &json!(500), &json!(400), &json!(500)),
        "{dry:#}"
    );
    let (code, expire) = json_of(&transcript, "expire");
    assert_eq!((code, &expire["done"]["ended"]), (0, &json!("few_enough")), "{expire:#}");
    assert_eq!(
        (&expire["done"]["changed"], &expire["done"]["occupancy_after"]),
        (&json!(50), &json!(450)),
        "{expire:#}"
    );
    let (code, delete) = json_of(&transcript, "delete");
    assert_eq!((code, &delete["done"]["changed"], &delete["done"]["gone"]), (0, &json!(350), &json!(0)), "{delete:#}");
    assert_eq!((output("counted"), output("accepted")), ("100", "0"));
}

#[test]
fn a_full_table_of_6_1_is_relieved() {
    a_full_table_is_relieved(guest());
}

#[test]
fn a_full_table_of_6_12_is_relieved() {
    a_full_table_is_relieved(guest().on(Stock::Linux6_12));
}
