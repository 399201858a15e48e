//! `plimsoll check` on another kernel, Debian's stock 6.1 in QEMU: what needs modules or global settings. Needs what
//! scripts/test installs, and no right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "the helpers of tests, too, panic")]

mod ipvs;
#[path = "../support/mod.rs"]
mod support;

use plimsoll_guest::{Step, Transcript};
use serde_json::Value;

use support::guest::{entries, guest, run};

#[test]
fn reading_loads_no_module() {
    let transcript = run(
        &guest(),
        r"
        state() {
            cat /proc/modules /proc/net/netlink
            find /sys/module /proc/net/ /proc/sys/net
        }
        step bare-before state
        step bare check
        step bare-after state

        modprobe nf_conntrack
        step untracked check

        track
        ping -c 1 127.0.0.1
        step tracking-before state
        step tracking check --netns this
        step tracking-after state

        # That what was not loaded could have been, by asking for it.
        conntrack -L
        step asked state
        ",
    );
    let output = |name| transcript.step(name).unwrap().output.as_str();

    let bare = Checked::of(&transcript, "bare");
    assert_eq!(output("bare-before"), output("bare-after"));
    assert!(!output("bare-before").contains("nfnetlink"));
    bare.ended("ok", 0);
    assert_eq!(bare.json["module"], "absent");
    assert_eq!(bare.finding("nothing-tracked")["confidence"], "certain");
    assert_eq!(bare.json["unseen"], Value::Array(Vec::new()), "where nothing is tracked there is nothing to be seen");

    let untracked = Checked::of(&transcript, "untracked");
    assert_eq!(untracked.json["module"], "loaded");
    assert_eq!(untracked.host()["tracking"]["answer"], "inconclusive", "this kernel cannot list its hooks");
    assert_eq!(untracked.finding("nothing-tracked")["severity"], "info");

    let tracking = Checked::of(&transcript, "tracking");
    assert_eq!(output("tracking-before"), output("tracking-after"));
    assert!(!output("tracking-before").contains("nf_conntrack_netlink "));
    assert!(output("asked").contains("nf_conntrack_netlink "));
    tracking.ended("ok", 0);
    assert_eq!(tracking.host()["tracking"]["answer"], "yes");
    assert_eq!(tracking.host()["occupancy"], 1);
    assert_eq!(tracking.host()["census"], Value::Null);
    let unseen = tracking.json["unseen"].as_array().unwrap();
    let entries = unseen.iter().find(|gap| gap["reading"] == "entries").expect("the entries that were not read");
    assert!(entries["needs"].as_str().unwrap().contains("nf_conntrack_netlink"), "{entries}");
    assert_eq!(tracking.finding("cannot-see")["severity"], "info");
}

/// Limits a conntrack zone of Open vSwitch: `limit-zone ZONE LIMIT`, where zone -1 is the default for all others.
const LIMIT_ZONE: &str = r#"#!/bin/perl
my ($zone, $limit) = @ARGV;
my ($AF_NETLINK, $SOCK_RAW, $NETLINK_GENERIC) = (16, 3, 16);
socket(my $socket, $AF_NETLINK, $SOCK_RAW, $NETLINK_GENERIC) or die $!;
sub ask {
    my ($family, $command, $body) = @_;
    # nlmsghdr with NLM_F_REQUEST | NLM_F_ACK, genlmsghdr.
    my $message = pack("L S S L L C C S a*", 20 + length $body, $family, 5, 1, 0, $command, 1, 0, $body);
    send($socket, $message, 0, pack("S S L L", $AF_NETLINK, 0, 0, 0)) or die $!;
    recv($socket, my $answer, 65536, 0);
    my ($length, $kind) = unpack("L S", $answer);
    die "refused: " . unpack("x16 l", $answer) if $kind == 2 && unpack("x16 l", $answer);
    return $answer;
}
# CTRL_CMD_GETFAMILY by CTRL_ATTR_FAMILY_NAME; CTRL_ATTR_FAMILY_ID is among the attributes of the answer.
my $name = "ovs_ct_limit\0";
my $answer = substr ask(16, 3, pack("S S a* x3", 4 + length $name, 2, $name)), 20;
my $family;
while (length $answer >= 4) {
    my ($length, $kind) = unpack("S S", $answer);
    $family = unpack("x4 S", $answer) if $kind == 1;
    $answer = substr $answer, ($length + 3) & ~3;
}
recv($socket, my $acknowledged, 65536, 0);
# ovs_header, OVS_CT_LIMIT_CMD_SET, OVS_CT_LIMIT_ATTR_ZONE_LIMIT with one struct ovs_zone_limit.
ask($family, 1, pack("l S S l L L", 0, 16, 1, $zone, $limit, 0));
"#;

#[test]
fn limits_of_open_vswitchs_zones_are_read() {
    let guest = guest().file("/bin/limit-zone", LIMIT_ZONE).module("openvswitch");
    let transcript = run(
        &guest,
        r"
        modprobe openvswitch
        step unlimited check
        limit-zone -1 1000
        limit-zone 5 100
        step limited check
        ",
    );
    let unlimited = Checked::of(&transcript, "unlimited");
    unlimited.ended("ok", 0);
    let limits = |checked: &Checked| checked.json["elsewhere"][0]["limits"].clone();
    assert_eq!(limits(&unlimited), serde_json::json!([{ "zone": null, "limit": 0, "count": 0 }]));
    let limited = Checked::of(&transcript, "limited");
    limited.ended("ok", 0);
    let expected = [(Value::Null, 1000), (5.into(), 100)];
    let expected = expected.map(|(zone, limit)| serde_json::json!({ "zone": zone, "limit": limit, "count": 0 }));
    assert_eq!(limits(&limited), Value::from(expected.to_vec()));
}

#[test]
fn limits_are_told_apart() {
    let established = entries(0..1000, "ESTABLISHED");
    let transcript = run(
        &guest().file("/established", established),
        r"
        modprobe nf_conntrack_netlink
        track
        set_max 200000

        # Chains of any length are refused at 50 to 79 nodes: with 512 buckets that is long before the limit.
        set_buckets 512
        step small-hash check --interval 0
        send-udp 127.0.0.1 1 18000
        step_under_fire long-chains check

        # The buckets change while a dump waits to be received.
        set_buckets 8192
        step count count
        step resized check --exact --netns this --interval 0 &
        await_dump
        set_buckets 65536
        wait $!

        # Full of what early_drop kills.
        conntrack -F
        set_buckets 1024
        set_max 4000
        send-udp 127.0.0.1 1 4000
        step_under_fire half-open check
        step refused send-udp 127.0.0.2 1 1000

        # Full of what nothing kills.
        conntrack -F
        set_max 1000
        conntrack -R /established
        send-udp 127.0.0.1 1 100
        step_under_fire full check
        step log dmesg
        ",
    );

    let small_hash = Checked::of(&transcript, "small-hash");
    small_hash.ended("warning", 1);
    assert_eq!(small_hash.finding("hash-too-small")["severity"], "warning");

    let long_chains = Checked::of(&transcript, "long-chains");
    long_chains.ended("critical", 2);
    assert_eq!(long_chains.finding("hash-too-small")["severity"], "critical");
    assert!(long_chains.evidence("chain-too-long", "chain_too_long_per_sec") > 0.0);
    assert!(long_chains.counted("chain_too_long") > 0);
    assert_eq!(long_chains.counted("drop"), 0, "the chain cap does not show in `drop`");
    assert!(long_chains.finding("table-full").is_null());

    let resized = Checked::of(&transcript, "resized");
    let count: u64 = transcript.step("count").unwrap().output.trim().parse().unwrap();
    let census = &resized.host()["census"];
    assert_eq!(resized.json["limits"]["buckets"], 65_536);
    assert_eq!(census["restarts"], 1);
    assert_eq!(census["coverage"]["kind"], "complete");
    assert_eq!(census["read"], count, "each entry once: {}", census["duplicates"]);

    let half_open = Checked::of(&transcript, "half-open");
    half_open.ended("warning", 1);
    assert_eq!(half_open.finding("table-full")["severity"], "warning");
    assert!(half_open.evidence("table-full", "new_flow_loss_ratio") < 0.01);
    assert!(half_open.evidence("early-drop", "early_drop_entries") > 0.0);
    assert_eq!(half_open.counted("drop"), 0);
    assert_eq!(transcript.step("refused").unwrap().output, "0\n", "packets of new flows");

    let full = Checked::of(&transcript, "full");
    full.ended("critical", 2);
    assert_eq!(full.finding("table-full")["severity"], "critical");
    assert_eq!(full.finding("table-full")["confidence"], "certain");
    assert!(full.evidence("table-full", "full_table_drops") > 0.0);
    assert!(full.counted("drop") > 0);
    let log = &transcript.step("log").unwrap().output;
    assert!(log.contains("nf_conntrack: nf_conntrack: table full, dropping packet"), "{log}");
    assert!(full.evidence("table-full", "log_last_secs_ago") < 60.0);
    assert!(full.json["log"]["unnamed"]["lines"].as_u64().unwrap() > 0);
}

/// A scenario that needs a small hash is refused elsewhere; here it is played.
#[test]
fn the_lab_plays_a_scenario_that_needs_a_small_hash() {
    let guest = guest().program("ip").module("tun").module("nf_defrag_ipv4");
    let transcript = run(
        &guest,
        r"
        modprobe nf_conntrack_netlink
        modprobe tun
        [ -e /dev/net/tun ] || { mkdir -p /dev/net; mknod /dev/net/tun c 10 200; }
        step refused plimsoll lab run chain-cap --check
        set_buckets 1024
        set_max 200000
        step played plimsoll lab run chain-cap --check --json
        step left ls /run/netns
        ",
    );
    assert_eq!(transcript.step("refused").unwrap().exit_code, 3);
    let played = transcript.step("played").unwrap();
    let document: Value = serde_json::from_str(&played.output).unwrap_or_else(|error| panic!("{error}: {played:?}"));
    let told = (&document["expected"], &document["flows"], &document["refused_flows"]);
    assert_eq!(document["expected"]["found"], serde_json::json!(["chain-too-long"]), "{told:#?}");
    assert_eq!((played.exit_code, &document["expected"]["missing"]), (0, &serde_json::json!([])));
    assert!(document["refused_flows"].as_u64().unwrap() > 0, "{document:#}");
    assert_eq!(transcript.step("left").unwrap().output, "");
}

/// The sizes that the kernel chooses, and those of a hash size that is given, are as `settings-not-persistent` foresees.
#[test]
fn what_the_next_boot_sets_is_told_from_files() {
    let transcript = run(
        &guest(),
        r"
        mkdir -p /etc/sysctl.d /etc/modprobe.d /etc/modules-load.d
        file=/etc/sysctl.d/90-x.conf
        modprobe nf_conntrack
        step default check --interval 0

        chosen=$(cat /proc/sys/net/netfilter/nf_conntrack_max)
        step chosen echo $chosen
        set_max 5000
        step by-hand check --interval 0
        echo 'net.netfilter.nf_conntrack_max = 5000' >$file
        step perhaps-too-early check --interval 0
        echo nf_conntrack >/etc/modules-load.d/x.conf
        step lasting check --interval 0

        # More entries than the next boot lets in.
        track
        send-udp 127.0.0.1 1 200
        echo 'net/netfilter/nf_conntrack_max=100' >$file
        step below check --interval 0
        nft flush ruleset

        rm $file
        echo 'options nf_conntrack hashsize=1000' >/etc/modprobe.d/x.conf
        until rmmod nft_ct nf_conntrack; do sleep 1; done
        modprobe nf_conntrack hashsize=1000
        step hashsize check --interval 0
        echo 'options nf_conntrack hashsize=2000' >/etc/modprobe.d/x.conf
        step other-hashsize check --interval 0
        ",
    );
    let checked = |name| Checked::of(&transcript, name);
    let id = "settings-not-persistent";
    for name in ["default", "lasting", "hashsize"] {
        let checked = checked(name);
        assert!(!checked.json["lasting"].is_null(), "{name}: {:#}", checked.json["unseen"]);
        assert!(checked.finding(id).is_null(), "{name}: {:#}", checked.finding(id));
    }
    let chosen: f64 = transcript.step("chosen").unwrap().output.trim().parse().unwrap();
    let by_hand = checked("by-hand");
    assert_eq!(by_hand.finding(id)["severity"], "info");
    assert!((by_hand.evidence(id, "capacity_at_boot_entries") - chosen).abs() < 0.5);
    let early = checked("perhaps-too-early");
    assert_eq!(
        (&early.finding(id)["severity"], &early.finding(id)["confidence"]),
        (&"info".into(), &"possible".into())
    );
    assert_eq!(checked("below").finding(id)["severity"], "warning");
    let limits = &checked("hashsize").json["limits"];
    assert_eq!((&limits["buckets"], &limits["capacity"]), (&1024.into(), &8192.into()));
    assert!((checked("other-hashsize").evidence(id, "capacity_at_boot_entries") - 16_384.0).abs() < 0.5);
}

/// A refused packet asks gc for help. It runs once a minute, begins at the first bucket, and stops long before the last.
#[test]
fn gc_under_pressure_is_seen_in_the_entries() {
    let entries = entries(0..9000, "ESTABLISHED") + &entries(9000..12_000, "TIME_WAIT");
    let transcript = run(
        &guest().file("/entries", entries),
        r#"
        modprobe nf_conntrack_netlink
        track
        set_max 12000
        conntrack -R /entries
        step before check --interval 0
        send-udp 127.0.0.1 1 100
        while [ "$(count)" -ge 12000 ]; do sleep 1; done
        step after check --interval 0
        "#,
    );
    assert_eq!(Checked::of(&transcript, "before").host()["census"]["homogeneity"]["kind"], "alike");
    let after = Checked::of(&transcript, "after");
    let homogeneity = &after.host()["census"]["homogeneity"];
    assert_eq!(homogeneity["kind"], "gc_pressure", "{homogeneity}");
    assert!(homogeneity["share_in_first"].as_f64() < homogeneity["share_in_rest"].as_f64(), "{homogeneity}");
}

/// What `check --json` wrote, and how it ended.
struct Checked<'a> {
    step: &'a Step,
    json: Value,
}

impl<'a> Checked<'a> {
    fn of(transcript: &'a Transcript, name: &str) -> Self {
        let step = transcript.step(name).unwrap();
        let json = serde_json::from_str(&step.output).unwrap_or_else(|error| panic!("{error}: {step:?}"));
        Self { step, json }
    }

    #[track_caller]
    fn ended(&self, verdict: &str, exit_code: u8) {
        let told = (self.json["verdict"].as_str().unwrap(), self.step.exit_code);
        assert_eq!(told, (verdict, exit_code), "{}: {:#}", self.step.name, self.json["findings"]);
    }

    fn host(&self) -> &Value {
        support::namespace(&self.json, "host")
    }

    fn finding(&self, id: &str) -> &Value {
        support::finding(&self.json, id)
    }

    #[track_caller]
    fn evidence(&self, id: &str, key: &str) -> f64 {
        let evidence = self.finding(id)["evidence"].as_array();
        let keyed = evidence.and_then(|evidence| evidence.iter().find(|evidence| evidence["key"] == key));
        let value = keyed.and_then(|evidence| evidence["value"].as_f64());
        value.unwrap_or_else(|| panic!("{}: no {key} of {id}: {:#}", self.step.name, self.json["findings"]))
    }

    /// What a counter of the host's namespace rose by in the interval.
    fn counted(&self, counter: &str) -> u64 {
        self.host()["change"]["counters"][counter].as_u64().unwrap()
    }
}
