//! A storm that overflows a small table, and a reboot, on Debian's 6.1 in QEMU: the limit is one value for a whole host. Needs what
//! scripts/test installs, and no right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::time::Duration;

use plimsoll_guest::{Guest, Transcript};
use serde_json::Value;

/// For a machine much slower than any it was tried on.
const TIMEOUT: Duration = Duration::from_mins(5);

fn guest() -> Guest {
    let guest = Guest::new().program(support::governed());
    let guest = ["nft", "ip"].into_iter().fold(guest, Guest::program);
    let modules = ["nf_conntrack", "nf_conntrack_netlink", "nft_ct", "tun", "nf_defrag_ipv6"];
    modules.into_iter().fold(guest, Guest::module)
}

const COMMON: &str = "
    modprobe nf_conntrack
    modprobe nf_conntrack_netlink
    modprobe tun
    [ -e /dev/net/tun ] || { mkdir -p /dev/net; mknod /dev/net/tun c 10 200; }
    mkdir -p /run/netns
";

fn run(guest: &Guest, script: &str) -> Transcript {
    guest.run(&format!("{COMMON}\n{script}"), TIMEOUT).unwrap_or_else(|error| panic!("{error}"))
}

fn json_of(transcript: &Transcript, name: &str) -> Value {
    let step = transcript.step(name).unwrap();
    serde_json::from_str(&step.output).unwrap_or_else(|error| panic!("{error}: {step:?}"))
}

#[test]
fn a_storm_that_overflows_a_stock_table_passes_under_a_governor() {
    let transcript = run(
        &guest(),
        "
        echo 2000 >/proc/sys/net/netfilter/nf_conntrack_max
        step stock governed storm /var/lib/plimsoll stock
        step governed governed storm /var/lib/plimsoll governed
        ",
    );
    let stock = json_of(&transcript, "stock");
    println!("{stock:#}");
    assert!(stock["drop"].as_u64().unwrap() > 100 && stock["refused"].as_u64().unwrap() > 100, "{stock:#}");
    let governed = json_of(&transcript, "governed");
    println!("{governed:#}");
    assert_eq!((&governed["drop"], &governed["early_drop"], &governed["refused"]), (&0.into(), &0.into(), &0.into()));
    assert_eq!((governed["live"].as_u64(), &governed["kept"]), (Some(130), &governed["live"]), "{governed:#}");
    assert_eq!((&governed["governed"]["came_back"], &governed["before"]), (&true.into(), &governed["after"]));
    assert!(governed["governed"]["least"].as_f64().unwrap() < 1.0);
    let acts = governed["governed"]["acts"].as_array().unwrap();
    let of = |what: &str| acts.iter().filter(|act| act["what"] == what).count();
    assert!(of("shrink") > 0 && of("trim") > 0 && of("restore") > 0, "{acts:#?}");
    assert_eq!((of("fail"), of("leave"), of("give_way")), (0, 0, 0), "{acts:#?}");
}

#[test]
fn after_a_reboot_the_journal_says_that_nothing_is_in_force() {
    let value = "cat /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait";
    let guest = guest();
    let first = run(
        &guest,
        &format!(
            "
            mkdir -p /var/lib
            governed hold this /var/lib/plimsoll 99 >/tmp/told &
            until grep -q 'holds 30%' /tmp/told; do sleep 0.1; done
            step shrunk {value}
            # The power fails.
            keep /var/lib/plimsoll
            "
        ),
    );
    assert_eq!(first.step("shrunk").unwrap().output.trim(), "36");
    let second = run(
        &guest.after(&first),
        &format!(
            "
            step boots {value}
            chmod 700 /var/lib/plimsoll
            step released governed release /var/lib/plimsoll
            step after {value}
            step again governed release /var/lib/plimsoll
            "
        ),
    );
    let output = |name: &str| second.step(name).unwrap().output.trim();
    assert_eq!((output("boots"), output("after"), output("again")), ("120", "120", ""));
    let released = output("released");
    assert!(released.contains("application 1: undone") && released.matches("Gone").count() == 3, "{released}");
}
