//! The twin against other kernels, Debian's 6.1 and 6.12 in QEMU; and what only shows in numbers, with limits and hashes that no
//! test may set on the machine that it runs on. Needs what scripts/test installs, and no right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "the helpers of tests, too, panic")]

mod support;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use plimsoll_guest::{Stock, Transcript};
use plimsoll_model::{Buckets, Capacity, Counter, Layer4, NewEntry, Protocol, Status, TcpState, Timeout, Tuple, Zone};
use plimsoll_twin::packet::{Content, Packet};
use plimsoll_twin::{Capabilities, HostSettings, NamespaceId, NoRules, RemovedBy, Settings, Twin, Verdict};
use serde_json::Value;

use support::guest::{entries, guest, run};

fn conforms(stock: Stock, more: &[&str], expected: Capabilities) {
    let modules = ["tun", "nft_chain_nat", "nft_nat", "nf_defrag_ipv6"].iter().chain(more);
    let guest = modules.fold(guest().on(stock).program("ip"), |guest, module| guest.module(module));
    let transcript = run(
        &guest,
        "
        modprobe nf_conntrack_netlink
        modprobe tun
        [ -e /dev/net/tun ] || { mkdir -p /dev/net; mknod /dev/net/tun c 10 200; }
        step conform plimsoll lab conform --json --packets 100000
        ",
    );
    let step = transcript.step("conform").unwrap();
    let document: Value = serde_json::from_str(&step.output).unwrap_or_else(|error| panic!("{error}: {step:?}"));
    println!("{document:#}");
    assert_eq!((step.exit_code, &document["disagreements"]), (0, &serde_json::json!([])));
    assert!(document["packets"].as_u64().unwrap() >= 100_000);
    let measured = document["capabilities"].as_array().unwrap().iter().filter(|one| one["measured"] == true);
    let measured: BTreeMap<_, _> =
        measured.map(|one| (one["name"].as_str().unwrap(), one["way"].as_str().unwrap())).collect();
    assert_eq!(measured.len(), 8, "{measured:?}");
    let preset: BTreeMap<_, _> = expected.named().filter(|(name, _)| measured.contains_key(name)).collect();
    assert_eq!(measured, preset, "the preset is what was measured");
}

#[test]
fn the_twin_makes_of_every_packet_what_6_1_makes_of_it() {
    conforms(Stock::Linux6_1, &["nft_objref"], Capabilities::LINUX_6_1);
}

#[test]
fn the_twin_makes_of_every_packet_what_6_12_makes_of_it() {
    conforms(Stock::Linux6_12, &[], Capabilities::LINUX_6_12);
}

/// A table like the guest's.
fn twin(buckets: u32, capacity: u32, udp_secs: u32, seed: u64) -> (Twin, NamespaceId) {
    let mut twin = Twin::new(HostSettings {
        buckets: Buckets(buckets),
        capacity: Capacity(capacity),
        first_collection: Duration::from_mins(1),
        ..HostSettings::stock(Capabilities::LINUX_6_1, seed)
    });
    let timeouts = [(Timeout::Udp, udp_secs)].into_iter().collect();
    let namespace = twin.add_namespace(Settings { timeouts, ..Settings::default() });
    (twin, namespace)
}

/// A packet to each port, as `send-udp` sends them, and how many were refused.
fn send_udp(
    twin: &mut Twin,
    namespace: NamespaceId,
    at: Duration,
    to: [u8; 4],
    ports: std::ops::RangeInclusive<u16>,
) -> u32 {
    let refused = ports.map(|port| {
        let tuple = Tuple {
            source: Ipv4Addr::LOCALHOST.into(),
            destination: IpAddr::V4(Ipv4Addr::from(to)),
            protocol: Protocol::UDP,
            layer4: Layer4::Ports { source: 40_000, destination: port },
        };
        let packet = Packet::Flow { tuple, content: Content::Plain };
        u32::from(matches!(twin.pass(at, namespace.into(), &packet, &mut NoRules), Verdict::Dropped(_)))
    });
    refused.sum()
}

fn number(transcript: &Transcript, step: &str) -> f64 {
    let output = transcript.step(step).unwrap().output.trim();
    output.parse().unwrap_or_else(|error| panic!("{step}: {error}: {output:?}"))
}

const FILLINGS: [u16; 4] = [128, 512, 1024, 3072];
const BUCKETS: u32 = 16_384;
const SENT: u16 = 4000;

/// A new flow in a full table of entries that may be killed is refused with a probability of exp(−16·U/B).
#[test]
fn full_tables_refuse_as_many_and_long_chains_stall_at_as_many() {
    let steps = FILLINGS.iter().fold(String::new(), |script, filling| {
        script
            + &format!(
                "
                set_max {filling}
                send-udp 127.1.{}.1 1 {filling} >/dev/null
                step refused-{filling} send-udp 127.2.{}.1 1 {SENT}
                ",
                filling / 16,
                filling / 16
            )
    });
    let transcript = run(
        &guest(),
        &format!(
            "
            modprobe nf_conntrack_netlink
            track
            set_buckets {BUCKETS}
            {steps}
            conntrack -F
            set_max 200000
            set_buckets 512
            for host in 1 2 3 4 5 6 7 8 9 10; do send-udp 127.3.0.$host 1 2500 >/dev/null; done
            step stalled count
            "
        ),
    );
    for filling in FILLINGS {
        let (mut twin, namespace) = twin(BUCKETS, filling.into(), 3600, 1);
        send_udp(&mut twin, namespace, Duration::ZERO, [127, 1, 0, 1], 1..=filling);
        let sent = f64::from(SENT);
        let of_twin = f64::from(send_udp(&mut twin, namespace, Duration::ZERO, [127, 2, 0, 1], 1..=SENT)) / sent;
        let of_kernel = number(&transcript, &format!("refused-{filling}")) / sent;
        let formula = (-16.0 * f64::from(filling) / f64::from(BUCKETS)).exp();
        println!("U = {filling}: kernel {of_kernel:.3}, twin {of_twin:.3}, exp(-16U/B) {formula:.3}");
        // Each of the two is a draw of its own: four standard deviations of their difference.
        let apart = 4.0 * (2.0 * formula * (1.0 - formula) / sent).sqrt() + 0.01;
        assert!((of_kernel - of_twin).abs() < apart, "{filling}: kernel {of_kernel}, twin {of_twin}");
        assert!((of_twin - formula).abs() < apart, "{filling}: twin {of_twin}, formula {formula}");
    }
    let (mut twin, namespace) = twin(512, 200_000, 3600, 2);
    for host in 1..=10 {
        send_udp(&mut twin, namespace, Duration::ZERO, [127, 3, 0, host], 1..=2500);
    }
    let (of_twin, of_kernel) = (f64::from(twin.occupancy(namespace).0), number(&transcript, "stalled"));
    println!("stalled at: kernel {of_kernel}, twin {of_twin}");
    assert!((of_kernel / of_twin - 1.0).abs() < 0.02, "kernel {of_kernel}, twin {of_twin}");
    assert!(twin.counters(namespace).get(Counter::ChainTooLong) > 5000);
}

/// What gc frees under pressure, and when; and how long what has expired is counted.
#[test]
fn gc_relieves_a_full_table_by_as_much_and_what_has_expired_is_counted_as_long() {
    const NEW: u16 = 30;
    let held = entries(0..600, "ESTABLISHED") + &entries(600..900, "TIME_WAIT");
    let transcript = run(
        &guest().file("/entries", held),
        &format!(
            "
            modprobe nf_conntrack_netlink
            track
            set_buckets 262144
            set_max 1000
            conntrack -R /entries
            send-udp 127.0.0.1 1 100 >/dev/null
            step full count
            step refused send-udp 127.0.0.2 1 {NEW}
            while [ \"$(count)\" -ge 1000 ]; do sleep 1; done
            step relieved count

            conntrack -F
            set_max 100000
            echo 5 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout
            send-udp 127.0.0.3 1 500 >/dev/null
            sent=$(date +%s)
            sleep 7
            step expired count
            while [ \"$(count)\" -gt 250 ]; do sleep 1; done
            step lag echo $(($(date +%s) - sent - 5))
            "
        ),
    );
    let (mut twin, namespace) = twin(262_144, 1000, 3600, 1);
    let states = (0..600).map(|_| TcpState::Established).chain((0..300).map(|_| TcpState::TimeWait));
    for (number, state) in (0..).zip(states) {
        let client = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | number));
        let original = Tuple {
            source: client,
            destination: "192.0.2.1".parse().unwrap(),
            protocol: Protocol::TCP,
            layer4: Layer4::Ports { source: 1024, destination: 443 },
        };
        let entry = NewEntry {
            original,
            reply: original.mirrored(),
            zone: Zone::default(),
            status: Status::SEEN_REPLY.and(Status::ASSURED),
            tcp_state: Some(state),
            timeout_secs: 3600,
        };
        twin.insert(Duration::ZERO, namespace, &entry).unwrap();
    }
    send_udp(&mut twin, namespace, Duration::ZERO, [127, 0, 0, 1], 1..=100);
    let refused = send_udp(&mut twin, namespace, Duration::from_secs(1), [127, 0, 0, 2], 1..=NEW);
    twin.advance(Duration::from_secs(59));
    let before = twin.occupancy(namespace).0;
    twin.advance(Duration::from_secs(61));
    let after = twin.occupancy(namespace).0;
    println!("twin: {refused} refused, {before} entries, then {after}: {:?}", twin.removals(namespace));
    assert!((number(&transcript, "full") - 1000.0).abs() < 0.5);
    // Some of the hundred that may be killed lie near by chance.
    let of_kernel = number(&transcript, "refused");
    assert!((of_kernel - f64::from(refused)).abs() <= 3.0 && of_kernel >= 25.0, "{of_kernel} and {refused}");
    let relieved = number(&transcript, "relieved");
    println!("kernel: {of_kernel} refused, relieved to {relieved}");
    assert!((relieved - f64::from(after)).abs() <= 30.0, "{relieved} and {after}");
    assert!(twin.removals(namespace).by(RemovedBy::PressureClosing) > 0);

    let expired = number(&transcript, "expired");
    let lag = number(&transcript, "lag");
    println!("kernel: {expired} of 500 are counted 2 s after they expired, and half of them for {lag} s");
    // gc comes once a minute to an idle table, and nobody knows when it last came.
    assert!((400.0..=501.0).contains(&expired), "{expired}");
    assert!((1.0..=63.0).contains(&lag), "{lag}");
    let (mut twin, namespace) = self::twin(262_144, 100_000, 5, 1);
    send_udp(&mut twin, namespace, Duration::from_secs(1), [127, 0, 0, 3], 1..=500);
    twin.advance(Duration::from_secs(59));
    assert_eq!(twin.occupancy(namespace).0, 500);
    twin.advance(Duration::from_secs(62));
    assert_eq!((twin.occupancy(namespace).0, twin.removals(namespace).by(RemovedBy::Expiry)), (0, 500));
    assert_eq!(twin.counters(namespace).get(Counter::Drop), 0);
}
