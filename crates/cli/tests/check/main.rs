//! `plimsoll check` on the real kernel, in namespaces of the test's own. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod kubernetes;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use plimsoll_lab::{Kind, LabNamespace, entries, mixed_entries};
use plimsoll_model::{Layer4, NewEntry, Status, TcpState, Tuple};
use serde_json::Value;
use support::{PLIMSOLL, as_nobody, finding, namespace, plimsoll, plimsoll_in};

fn limit() -> u32 {
    let text = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max").expect("nf_conntrack");
    text.trim().parse().expect("a number")
}

fn states(census: &Value) -> Vec<(String, u64)> {
    let groups = census["states"].as_array().expect("states");
    let mut states: Vec<_> = groups
        .iter()
        .map(|group| (group["key"].as_str().expect("a key").to_string(), group["seen"].as_u64().expect("a count")))
        .collect();
    states.sort();
    states
}

/// What `conntrack -L` counts, under the names that `check` uses.
fn conntrack_states(lab: &LabNamespace) -> Vec<(String, u64)> {
    let mut counts = std::collections::BTreeMap::<String, u64>::new();
    for family in ["ipv4", "ipv6"] {
        let listing = lab.run(&["conntrack", "-L", "-f", family]).expect("conntrack");
        for line in listing.lines() {
            // tcp 6 117 TIME_WAIT src=…; udp 17 29 src=…
            let mut words = line.split_whitespace();
            let protocol = words.next().expect("a protocol");
            let state = words.nth(2).filter(|word| !word.contains('=') && !word.starts_with('['));
            let key = state.map_or(protocol.to_string(), |state| format!("{protocol} {state}"));
            *counts.entry(key).or_default() += 1;
        }
    }
    counts.into_iter().collect()
}

#[test]
fn exact_counts_equal_those_of_conntrack_on_the_same_quiet_table() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(mixed_entries(20_000)).unwrap();
    lab.fill(entries(Kind::DestinationNat, 0, 500)).unwrap();
    lab.fill(entries(Kind::Tcp(TcpState::SynRecv), 0, 300)).unwrap();
    let document = plimsoll_in(&lab, &["check", "--netns", "this", "--exact", "--interval", "0", "--json"]).json();
    let census = &namespace(&document, lab.name())["census"];
    assert_eq!(census["coverage"]["kind"], "complete");
    assert_eq!(census["read"], 20_800);
    assert_eq!(states(census), conntrack_states(&lab));
    assert_eq!(census["unknown"]["attributes"], serde_json::json!({}));
}

#[test]
fn a_sample_of_a_real_table_holds_the_truth_within_its_intervals() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(mixed_entries(60_000)).unwrap();
    let document = plimsoll_in(&lab, &["check", "--netns", "this", "--interval", "0", "--json"]).json();
    let census = &namespace(&document, lab.name())["census"];
    assert_eq!(census["coverage"]["because"], "precise_enough");
    let read = census["read"].as_u64().unwrap();
    assert!((1000..20_000).contains(&read), "{read} entries were read");
    assert_eq!(census["homogeneity"]["kind"], "alike", "{}", census["homogeneity"]);
    // Each of these misses its truth in one run of twenty, and is then off by little: a margin of as much again keeps
    // the test from crying wolf.
    for (state, truth) in [("tcp TIME_WAIT", 0.45), ("tcp ESTABLISHED", 0.35), ("udp", 0.10), ("tcp SYN_SENT", 0.05)] {
        let group = census["states"].as_array().unwrap().iter().find(|group| group["key"] == state).unwrap();
        let [low, value, high] = ["low", "value", "high"].map(|key| group["share"][key].as_f64().unwrap());
        assert!(low < value && value < high && high - low <= 0.02, "{group}");
        assert!(low - (value - low) <= truth && truth <= high + (high - value), "{state}: {truth} in {group}");
        assert!(group["entries"]["high"].as_f64().unwrap() >= truth * 60_000.0 * 0.9, "{group}");
    }
}

#[test]
fn a_full_namespace_is_found_from_a_host_whose_own_table_is_nearly_empty_and_at_once() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, limit())).unwrap();
    assert!(lab.send_udp(1000..=1050).unwrap() > 0, "the table is full: packets are refused");

    let mut child = Command::new(PLIMSOLL)
        .args(["check", "--interval", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("plimsoll runs");
    let mut progress = BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    progress.read_line(&mut first).unwrap();
    assert!(first.starts_with("CRITICAL") && first.contains(lab.name()), "{first}");
    // Before the whole table is read: whoever reads one line of progress has the answer.
    assert!(child.try_wait().unwrap().is_none(), "it goes on reading");
    let mut rest = String::new();
    progress.read_to_string(&mut rest).unwrap();
    assert!(rest.starts_with("Provisional"), "{rest}");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let answer = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answer.lines().filter(|line| line.starts_with("CRITICAL")).count(), 1, "{answer}");
    let last = "\nplimsoll relieve makes room now.\nplimsoll explain namespace-full says more; plimsoll plan says what to change.\n";
    assert!(answer.ends_with(last), "{answer}");

    let document = plimsoll(&["check", "--interval", "0", "--json"]).json();
    assert_eq!(document["verdict"], "critical");
    let full = finding(&document, "namespace-full");
    assert_eq!((&full["severity"], &full["namespace"]), (&"critical".into(), &lab.name().into()));
    let ns = namespace(&document, lab.name());
    assert_eq!(ns["census"]["coverage"]["kind"], "complete");
    assert_eq!(ns["utilization"], 1.0);
    // From within, the same table is its own.
    let document = plimsoll_in(&lab, &["check", "--interval", "0", "--json", "--netns", "this"]).json();
    assert_eq!(finding(&document, "table-full")["severity"], "critical");
}

#[test]
fn packets_dropped_within_the_interval_are_counted_and_logged() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, limit())).unwrap();
    let run = std::thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            let end = Instant::now() + Duration::from_secs(3);
            while Instant::now() < end {
                lab.send_udp(1000..=1100).unwrap();
            }
        });
        let run = plimsoll(&["check", "--netns", lab.name(), "--json"]);
        traffic.join().unwrap();
        run
    });
    assert_eq!(run.code, 2);
    let document = run.json();
    let full = finding(&document, "namespace-full");
    assert_eq!((&full["severity"], &full["confidence"]), (&"critical".into(), &"certain".into()));
    let evidence = |key: &str| {
        full["evidence"].as_array().unwrap().iter().find(|evidence| evidence["key"] == key).cloned().unwrap_or_default()
    };
    assert!(evidence("full_table_drops")["value"].as_f64().unwrap() > 0.0, "{full:#}");
    assert!(evidence("log_last_secs_ago")["value"].as_f64().unwrap() < 60.0, "{full:#}");
    let change = &namespace(&document, lab.name())["change"];
    assert!(change["over_secs"].as_f64().unwrap() >= 0.99, "{change}");
    assert!(change["counters"]["drop"].as_u64().unwrap() > 0, "{change}");
}

/// Refused is a flow in whose eight buckets lies nothing that may be killed. By chance that is one of exp(16), nine million. But a flow
/// that any namespace has refused before, in a test before this one, makes gc kill K entries in this one, whenever it comes
/// (docs/findings/gc-pressure.md): those of fewer than K buckets in a row. So many flows, too, have room without a kill. Of N flows
/// then less than (N - K) K / B are refused on the average, whatever K is less than N²/4B: 0.96 of 1,001, where there are as many buckets
/// B as entries. More than 12 of them are, by Poisson's law, in fewer than one run of 10^10.
#[test]
fn a_table_full_of_half_open_entries_refuses_next_to_nobody_and_is_a_warning() {
    const MOST_REFUSED: u32 = 12;
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(entries(Kind::Tcp(TcpState::SynSent), 0, limit())).unwrap();
    let run = plimsoll(&["check", "--netns", lab.name(), "--interval", "0", "--json"]);
    let document = run.json();
    assert_eq!((run.code, &document["verdict"]), (1, &"warning".into()), "{:#}", document["findings"]);
    assert_eq!(finding(&document, "namespace-full")["severity"], "warning");
    let refused = lab.send_udp(1000..=2000).unwrap();
    assert!(refused <= MOST_REFUSED, "of 1,001 flows {refused} are refused");
}

#[test]
fn services_are_called_by_the_names_that_rules_tell() {
    let lab = LabNamespace::tracking().unwrap();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/tests/rulesets/kube-iptables.v4");
    lab.run(&["sh", "-c", &format!("iptables-nft-restore < {}", rules.display())]).unwrap();
    // Questions to the service, answered by one of its backends.
    let questions = entries(Kind::UdpUnreplied, 0, limit() / 8).map(|entry| {
        let Layer4::Ports { source, .. } = entry.original.layer4 else { panic!("no ports") };
        let layer4 = Layer4::Ports { source, destination: 53 };
        let original = Tuple { destination: Ipv4Addr::new(10, 96, 0, 30).into(), layer4, ..entry.original };
        let reply_ports = Layer4::Ports { source: 53, destination: source };
        let reply = Tuple { source: Ipv4Addr::new(10, 244, 0, 2).into(), layer4: reply_ports, ..original.mirrored() };
        NewEntry { original, reply, status: Status::SEEN_REPLY, ..entry }
    });
    lab.fill(questions).unwrap();
    let document = plimsoll_in(&lab, &["check", "--netns", "this", "--interval", "0", "--json"]).json();
    let evidence = finding(&document, "nat-or-service-churn")["evidence"].as_array().expect("evidence");
    let says = |key: &str, text: &str| {
        let found = evidence.iter().find(|evidence| evidence["key"] == key);
        assert!(found.is_some_and(|found| found["text"].as_str().unwrap().contains(text)), "{key}: {evidence:#?}");
    };
    says("services", "shop/names (ClusterIP 10.96.0.30:53/udp) 100.0%");
    says("backends", "10.244.0.2:53/udp (shop/names) 100.0%");
    says("translated_by", "kube-proxy in iptables mode");
}

#[test]
fn what_a_node_asks_of_another_namespace_seldom_is_probes() {
    let (node, pod) = (LabNamespace::tracking().unwrap(), LabNamespace::create().unwrap());
    node.run(&["ip", "address", "add", "10.0.0.1/32", "dev", "lo"]).unwrap();
    pod.run(&["ip", "address", "add", "10.244.77.2/32", "dev", "lo"]).unwrap();
    // Fewer of each port than three a second, for two minutes; in a table that is filling, since none comes any more.
    let (count, each) = (limit() / 5 * 4, 240);
    let probes = entries(Kind::AssuredTcp(TcpState::TimeWait), 0, count).zip(0..).map(|(entry, n): (_, u32)| {
        let ports = [20_000 + n % each, 1000 + n / each].map(|port| u16::try_from(port).expect("a port"));
        let layer4 = Layer4::Ports { source: ports[0], destination: ports[1] };
        let (source, destination) = (Ipv4Addr::new(10, 0, 0, 1).into(), Ipv4Addr::new(10, 244, 77, 2).into());
        let original = Tuple { source, destination, layer4, ..entry.original };
        NewEntry { original, reply: original.mirrored(), timeout_secs: 60 + n % 60, ..entry }
    });
    node.fill(probes).unwrap();
    let document = plimsoll_in(&node, &["check", "--netns", "this", "--interval", "0", "--json"]).json();
    let found = finding(&document, "probe-churn");
    assert!(found["title"].as_str().unwrap().contains("ports of pods"), "{found:#}");
    let causes = document["findings"].as_array().unwrap();
    assert!(causes.iter().all(|finding| finding["id"] != "reverse-proxy-churn"), "{causes:#?}");
}

#[test]
fn an_empty_table_that_is_tracked_is_not_said_to_be_untracked() {
    let lab = LabNamespace::tracking().unwrap();
    let run = plimsoll_in(&lab, &["check", "--netns", "this", "--interval", "0"]);
    assert!(!run.stdout.contains("nothing is tracked here:"), "{run:?}");
    assert_eq!(run.code, 0, "{run:?}");
}

#[test]
fn where_nothing_is_tracked_it_says_so_and_that_is_fine() {
    let lab = LabNamespace::create().unwrap();
    lab.send_udp(1000..=1010).unwrap();
    let run = plimsoll_in(&lab, &["check", "--netns", "this", "--json"]);
    let document = run.json();
    assert_eq!((run.code, &document["verdict"]), (0, &"ok".into()), "{document:#}");
    assert_eq!(finding(&document, "nothing-tracked")["severity"], "info");
    let text = std::thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            let end = Instant::now() + Duration::from_secs(2);
            while Instant::now() < end {
                lab.send_udp(1000..=1010).unwrap();
            }
        });
        let text = plimsoll_in(&lab, &["check", "--netns", "this"]).stdout;
        traffic.join().unwrap();
        text
    });
    assert!(text.lines().count() <= 5, "a healthy host is told of in five lines:\n{text}");
    assert!(text.contains("nothing is tracked here: packets pass"), "{text}");
    assert!(!text.contains("says more"), "a note needs no explanation:\n{text}");
}

#[test]
fn a_healthy_host_is_told_of_in_five_lines() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(mixed_entries(20_000)).unwrap();
    let run = plimsoll_in(&lab, &["check", "--netns", "this"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.starts_with("OK ") && run.stdout.lines().count() <= 5, "{}", run.stdout);
    assert!(run.stdout.contains("holds tcp TIME_WAIT 4"), "{}", run.stdout);
}

#[test]
fn a_sick_host_is_told_of_in_about_forty_lines() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(mixed_entries(limit())).unwrap();
    let run = plimsoll(&["check", "--netns", lab.name(), "--interval", "0"]);
    assert_eq!(run.code, 2);
    assert!(run.stdout.lines().count() <= 48, "{}", run.stdout);
    // Commands are not broken.
    let is_wide = |line: &&str| {
        line.chars().count() > 100 && !line.starts_with("CRITICAL") && !line.starts_with("     ip netns exec")
    };
    assert_eq!(run.stdout.lines().find(is_wide), None);
    assert!(!run.stdout.contains('\x1b'), "no colour into a pipe");
    let coloured = plimsoll(&["check", "--netns", lab.name(), "--interval", "0", "--color", "always", "-q"]).stdout;
    assert!(coloured.contains('\x1b') && coloured.lines().count() == 1, "{coloured}");
}

#[test]
fn tables_that_are_not_worth_it_are_not_dumped() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(mixed_entries(5_000)).unwrap();
    let document = plimsoll(&["check", "--interval", "0", "--json"]).json();
    let ns = namespace(&document, lab.name());
    assert_eq!((&ns["occupancy"], &ns["census"]), (&5_000.into(), &Value::Null));
    let named = plimsoll(&["check", "--interval", "0", "--json", "--netns", lab.name()]).json();
    assert_eq!(namespace(&named, lab.name())["census"]["read"], 5_000);
    assert_eq!(named["namespaces"].as_array().unwrap().len(), 1);
}

#[test]
fn a_sample_is_as_large_as_was_asked_for_and_time_is_kept() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(mixed_entries(100_000)).unwrap();
    let sampled = plimsoll(&["check", "--netns", lab.name(), "--interval", "0", "--json", "--sample", "3000"]).json();
    let census = &namespace(&sampled, lab.name())["census"];
    assert_eq!(census["coverage"]["because"], "sample_size");
    assert!((3000..3500).contains(&census["read"].as_u64().unwrap()), "{}", census["read"]);

    let hurried = plimsoll(&["check", "--netns", lab.name(), "--exact", "--json", "--timeout", "0.02"]).json();
    let census = &namespace(&hurried, lab.name())["census"];
    assert_eq!(census["coverage"]["because"], "time_up");
    assert!(census["read"].as_u64().unwrap() < 100_000);
}

#[test]
fn the_time_for_reading_counts_from_the_end_of_the_interval() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, limit())).unwrap();
    let document = plimsoll(&["check", "--netns", lab.name(), "--json", "--timeout", "0.15"]).json();
    let census = &namespace(&document, lab.name())["census"];
    assert_eq!(census["coverage"]["because"], "time_up");
    // Had it counted from the start, the interval would have taken all of it.
    assert!(census["read"].as_u64().unwrap() > 1_000, "{}", census["read"]);
}

/// Everything of the kernel's that a reading could have changed.
fn fingerprint(lab: &LabNamespace) -> String {
    let settings = || {
        let mut text = String::new();
        for directory in ["/proc/sys/net/netfilter", "/proc/sys/net/ipv4", "/proc/sys/net/ipv6"] {
            let mut files: Vec<_> = fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path()).collect();
            files.sort();
            for file in files.iter().filter(|file| file.is_file() && !file.ends_with("nf_conntrack_count")) {
                text += &format!("{} {:?}\n", file.display(), fs::read_to_string(file).ok());
            }
        }
        for file in ["ip_tables_names", "ip6_tables_names", "netlink", "nf_conntrack_expect", "netfilter/nf_log"] {
            let content = fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
            // A netlink socket's line: address, protocol, port, groups.
            let lines =
                content.lines().map(|line| line.split_whitespace().skip(1).take(3).collect::<Vec<_>>().join(" "));
            let mut lines: Vec<_> = lines.collect();
            lines.sort();
            text += &format!("{file}: {lines:?}\n");
        }
        text += &fs::read_to_string("/proc/modules").unwrap_or_default();
        text
    };
    let rules = lab.run(&["nft", "list", "ruleset"]).unwrap();
    let listing = lab.run(&["conntrack", "-L", "-o", "id"]).unwrap();
    let mut entries: Vec<_> = listing
        .lines()
        .map(|line| {
            // All but the seconds that remain, which fall by themselves.
            line.split_whitespace()
                .enumerate()
                .filter(|(at, _)| *at != 2)
                .map(|(_, word)| word)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    entries.sort();
    let names = fs::read_dir("/run/netns").unwrap().flatten().map(|entry| entry.file_name()).collect::<Vec<_>>();
    let own = settings();
    let inside = lab.enter(settings).unwrap();
    let counters = lab.run(&["cat", "/proc/net/stat/nf_conntrack"]).unwrap();
    format!("{own}\n{inside}\n{rules}\n{entries:?}\n{names:?}\n{counters}")
}

#[test]
fn reading_changes_nothing() {
    let tracked = LabNamespace::tracking().unwrap();
    tracked.fill(mixed_entries(3_000)).unwrap();
    let before = fingerprint(&tracked);
    for arguments in [
        &["check", "--interval", "0", "--exact"][..],
        &["check", "--interval", "0.1", "--netns", tracked.name()],
        &["check", "--interval", "0", "--json", "-v"],
    ] {
        plimsoll(arguments);
        plimsoll_in(&tracked, arguments);
    }
    let after = fingerprint(&tracked);
    assert!(before == after, "{}", diff(&before, &after));
}

#[test]
fn reading_subscribes_to_no_events() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(mixed_entries(limit() / 2 + 1000)).unwrap();
    let mut child = Command::new(PLIMSOLL).args(["check", "--exact"]).stdout(Stdio::null()).spawn().unwrap();
    let mut seen = 0;
    while child.try_wait().unwrap().is_none() {
        for sockets in [fs::read_to_string("/proc/net/netlink").unwrap(), lab.enter(netlink_sockets).unwrap()] {
            // Address, protocol, port (the process's id for its first socket), groups.
            for socket in sockets.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>()) {
                if socket[2] == child.id().to_string() {
                    seen += 1;
                    assert_eq!(socket[3], "00000000", "plimsoll has joined a group: {socket:?}");
                }
            }
        }
    }
    assert!(seen > 0, "no socket of plimsoll's was seen while it ran");
}

fn netlink_sockets() -> String {
    fs::read_to_string("/proc/thread-self/net/netlink").unwrap()
}

#[test]
fn reading_registers_no_hook() {
    let untracked = LabNamespace::create().unwrap();
    plimsoll_in(&untracked, &["check", "--netns", "this", "--exact", "--interval", "0.1"]);
    plimsoll(&["check", "--netns", untracked.name(), "--interval", "0"]);
    untracked.send_udp(1000..=1100).unwrap();
    let document = plimsoll(&["check", "--netns", untracked.name(), "--interval", "0", "--json"]).json();
    assert_eq!(namespace(&document, untracked.name())["occupancy"], 0, "packets passed and none was tracked");
}

fn diff(before: &str, after: &str) -> String {
    let changed = before.lines().zip(after.lines()).filter(|(before, after)| before != after);
    changed.map(|(before, after)| format!("- {before}\n+ {after}")).collect::<Vec<_>>().join("\n")
}

/// A process in a namespace, killed when dropped.
struct Resident(Child);

impl Resident {
    fn of(lab: &LabNamespace, program: &str) -> Self {
        let child = lab.enter(|| Command::new(program).arg("600").spawn()).unwrap();
        Self(child.unwrap_or_else(|error| panic!("{program}: {error}")))
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn an_ordinary_user_is_shown_what_may_be_seen_and_told_what_may_not() {
    let run = as_nobody(&["check", "--interval", "0", "--json"]);
    let document = run.json();
    assert_eq!((run.code, &document["verdict"]), (3, &"unknown".into()), "{document:#}");
    let blind = finding(&document, "cannot-see");
    assert_eq!(blind["severity"], "unknown");
    assert!(
        blind["evidence"]
            .as_array()
            .unwrap()
            .iter()
            .any(|gap| gap["text"].as_str().unwrap().contains("Operation not permitted"))
    );
    assert_eq!(document["capabilities"]["read_entries"]["needs"], "CAP_NET_ADMIN");
    assert!(namespace(&document, "host")["capacity"].as_u64().unwrap() > 0);
    let text = as_nobody(&["check", "--interval", "0", "--netns", "this"]).stdout;
    assert!(text.starts_with("UNKNOWN") && text.contains("entries (0.") && text.contains("so far"), "{text}");
}

#[test]
fn even_an_ordinary_user_finds_a_full_namespace_by_the_process_in_it() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, limit())).unwrap();
    let resident = Resident::of(&lab, "sleep");
    let run = as_nobody(&["check", "--interval", "0", "--json"]);
    let document = run.json();
    assert_eq!((run.code, &document["verdict"]), (2, &"critical".into()), "{:#}", document["findings"]);
    let name = finding(&document, "namespace-full")["namespace"].as_str().unwrap().to_string();
    let ns = namespace(&document, &name);
    assert_eq!((&ns["owner"]["pid"], &ns["inode"]), (&resident.0.id().into(), &Value::Null));
}

#[test]
fn names_from_outside_are_escaped_in_every_output() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(entries(Kind::AssuredTcp(TcpState::Established), 0, limit() / 2 + 1000)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("\x1b[2J\nOK x\u{202e}");
    fs::copy("/bin/sleep", &program).unwrap();
    let _resident = Resident::of(&lab, program.to_str().unwrap());
    for arguments in [&["check", "--interval", "0", "-v"][..], &["check", "--interval", "0", "--json"]] {
        let output = plimsoll(arguments).stdout;
        assert!(output.contains("u{1b}[2J"), "{output}");
        assert!(!output.contains('\x1b') && !output.contains('\u{202e}') && !output.contains("\nOK x"), "{output}");
    }
}

#[test]
fn wrong_input_is_an_unknown_verdict_and_never_a_critical_one() {
    for arguments in [
        &["check", "--netns", "no-such-namespace"][..],
        &["check", "--interval", "-1"],
        &["check", "--interval", "nan"],
        &["check", "--interval", "1e9"],
        &["check", "--sample", "0"],
        &["check", "--sample", "5", "--exact"],
        &["check", "--color", "blue"],
        &["chekc"],
        &["--frob"],
    ] {
        let run = plimsoll(arguments);
        assert_eq!(run.code, 3, "{arguments:?}: {run:?}");
        assert!(run.stdout.is_empty() && !run.stderr.is_empty(), "{arguments:?}: {run:?}");
    }
    let document = plimsoll(&["check", "--netns", "no-such-namespace", "--json"]).json();
    assert_eq!(document["verdict"], "unknown", "{document:#}");
    let missing = plimsoll(&["check", "--netns", "no-such-namespace"]).stderr;
    assert!(missing.contains("no-such-namespace") && missing.contains("host"), "{missing}");
    assert_eq!(plimsoll(&["--help"]).code, 0);
    assert_eq!(plimsoll(&["--version"]).code, 0);
}

#[test]
fn no_command_means_check_and_a_closed_pipe_is_no_failure() {
    let lab = LabNamespace::create().unwrap();
    let with = plimsoll_in(&lab, &["check", "--netns", "this", "--interval", "0", "-q"]);
    let without = plimsoll_in(&lab, &["--netns", "this", "--interval", "0", "-q"]);
    assert_eq!((with.code, &with.stdout), (without.code, &without.stdout));

    let script = format!("{PLIMSOLL} check --interval 0 -v | true; echo ${{PIPESTATUS[0]}}");
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    let code: u8 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
    assert!(code <= 3 && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn the_document_has_the_keys_that_it_promises() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(mixed_entries(2_000)).unwrap();
    let document = plimsoll_in(&lab, &["check", "--netns", "this", "--json"]).json();
    assert_eq!(document["schema"], "plimsoll.check/1");
    for key in ["verdict", "host", "limits", "namespaces", "findings", "capabilities", "elsewhere", "log", "unseen"] {
        assert!(document.get(key).is_some(), "{key}");
    }
    let ns = namespace(&document, lab.name());
    for key in
        ["name", "inode", "occupancy", "capacity", "utilization", "census", "change", "timeouts", "bytes_per_entry"]
    {
        assert!(!ns[key].is_null(), "{key} in {ns:#}");
    }
    assert_eq!((&ns["occupancy"], &ns["relation"], &ns["policies"]), (&2_000.into(), &"own".into(), &"none".into()));
    assert_eq!(ns["timeouts"]["nf_conntrack_tcp_timeout_established"], 432_000);
    // Every key that is written is described.
    let described = include_str!("../../../../docs/json.md");
    let mut keys = std::collections::BTreeSet::new();
    collect_keys(&document, &mut keys);
    let missing: Vec<_> = keys.iter().filter(|key| !described.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/json.md does not describe {missing:?}");
}

/// The names of all fields; those of maps whose keys are data are left out.
fn collect_keys(value: &Value, keys: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                keys.insert(key.clone());
                if !["timeouts", "attributes", "protocols", "states"].contains(&key.as_str()) || value.is_array() {
                    collect_keys(value, keys);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        _ => {}
    }
}

#[test]
fn policies_leave_idle_ages_unknown() {
    let lab = LabNamespace::tracking().unwrap();
    lab.fill(entries(Kind::AssuredTcp(TcpState::TimeWait), 0, 100)).unwrap();
    let idle = |document: &Value| namespace(document, lab.name())["census"]["idle"][0].clone();
    let arguments = ["check", "--netns", lab.name(), "--interval", "0", "--json"];
    lab.set("net/netfilter/nf_conntrack_tcp_timeout_time_wait", 3700).unwrap();
    let before = idle(&plimsoll(&arguments).json());
    assert_eq!(before["certainly_over"][1], 100, "armed with 3700 s, 3600 s left: {before}");
    lab.nft("table inet t { ct timeout short { protocol udp; policy = { replied : 5 }; }; }\n").unwrap();
    let document = plimsoll(&arguments).json();
    assert_eq!(namespace(&document, lab.name())["policies"], serde_json::json!({ "some": 1 }));
    assert_eq!(idle(&document)["certainly_over"][0], 0, "{document:#}");
}
