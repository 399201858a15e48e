//! `plimsoll simulate`, as its users run it. No rights are needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{KERNEL, Run, collect_keys, plimsoll};
use tempfile::TempDir;

fn simulate(arguments: &[&str]) -> Run {
    plimsoll(&[&["simulate"], arguments].concat())
}

/// With a kernel's own settings, which must succeed and say nothing on the side.
fn simulated(arguments: &[&str]) -> Run {
    let run = simulate(&[arguments, &KERNEL].concat());
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{arguments:?}");
    run
}

/// A file of the test's own, removed with it.
struct Scratch {
    path: PathBuf,
    _folder: TempDir,
}

impl Scratch {
    fn new(name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("a file");
        Self { path, _folder: folder }
    }

    fn path(&self) -> &str {
        self.path.to_str().expect("UTF-8")
    }
}

const SILENT: &str = r#"
name = "silent"
title = "Connections that are silent for a minute"
about = "Each asks, waits, and asks again."
[play]
secs = 100
[[traffic]]
name = "connections"
count = 50
clients = { in = "10.0.0.0/24", hosts = 10 }
servers = { in = "192.0.2.1", ports = 443 }
script = "silent"
[scripts.silent]
packets = """
> syn
< syn-ack
> ack
wait 60s
> data 100
< data 100
"""
[simulate]
sysctls = { "net.netfilter.nf_conntrack_tcp_timeout_established" = 30 }
"#;

/// An IPv4 packet of UDP to port 53.
fn question(source_port: u16) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet.extend(source_port.to_be_bytes());
    packet.extend([0, 53, 0, 8, 0, 0]);
    packet
}

/// A pcap file of raw IP (link type 101), a packet each tenth of a second.
fn pcap(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101] {
        file.extend(word.to_le_bytes());
    }
    for (number, packet) in (0_u32..).zip(packets) {
        let length = u32::try_from(packet.len()).unwrap();
        for word in [1_700_000_000 + number / 10, number % 10 * 100_000, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

/// The same packets as pcapng: a section, an interface, and a simple packet block (which has no time) for each.
fn pcapng(packets: &[Vec<u8>]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let length = u32::try_from(12 + body.len()).unwrap().to_le_bytes();
        [&kind.to_le_bytes(), &length, body, &length].concat()
    };
    let mut section = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
    section.extend([1, 0, 0, 0]);
    section.extend([0xff; 8]);
    let mut file = block(0x0a0d_0d0a, &section);
    file.extend(block(1, &[101, 0, 0, 0, 0, 0, 0, 0]));
    for packet in packets {
        let length = u32::try_from(packet.len()).unwrap().to_le_bytes();
        file.extend(block(3, &[&length[..], packet].concat()));
    }
    file
}

fn questions(number: u16) -> Vec<Vec<u8>> {
    (0..number).map(|number| question(1024 + number)).collect()
}

fn outcome(document: &Value, place: usize) -> &Value {
    &document["runs"][place]
}

/// A setting's value and where it comes from.
fn setting<'a>(run: &'a Value, name: &str) -> (u64, &'a str) {
    let setting = &run["settings"][format!("net.netfilter.nf_conntrack_{name}")];
    (setting["value"].as_u64().unwrap(), setting["from"].as_str().unwrap())
}

#[test]
fn a_scenario_of_the_program_is_simulated() {
    let document = simulated(&["founding-dns", "--json"]).json();
    assert_eq!(document["schema"], "plimsoll.simulate/1");
    assert_eq!((&document["complete"], &document["workload"]["kind"]), (&true.into(), &"scenario".into()));
    let run = outcome(&document, 0);
    let live: Vec<_> =
        run["series"].as_array().unwrap().iter().map(|reading| reading["live"].as_u64().unwrap()).collect();
    // 2,000 a second for 30 seconds.
    let most = live.iter().max().unwrap();
    assert!((59_000..62_000).contains(most), "{most}");
    assert!(run["peak"]["occupancy"].as_u64().unwrap() >= *most);
    assert_eq!((&run["saturated_at_secs"], &run["refused_flows"]), (&Value::Null, &0.into()));
}

#[test]
fn a_scenario_can_be_longer_shorter_or_smaller_than_it_is_written() {
    let flows = |arguments: &[&str]| {
        let document = simulated(&[&["founding-dns", "--json"], arguments].concat()).json();
        (outcome(&document, 0)["flows"].as_u64().unwrap(), outcome(&document, 0)["lasted_secs"].as_f64().unwrap())
    };
    let (whole, lasted) = flows(&[]);
    assert!((235_000..245_000).contains(&whole) && (lasted - 120.0).abs() < 1e-9, "{whole} in {lasted} s");
    let (few, lasted) = flows(&["--for", "10s"]);
    assert!((19_000..21_000).contains(&few) && (lasted - 10.0).abs() < 1e-9, "{few} in {lasted} s");
    let (more, lasted) = flows(&["--for", "3m", "--size", "0.5"]);
    assert!((176_000..184_000).contains(&more) && (lasted - 180.0).abs() < 1e-9, "{more} in {lasted} s");
}

#[test]
fn a_scenario_in_a_file_brings_its_settings_and_its_false_kills_are_judged() {
    let file = Scratch::new("silent.toml", SILENT);
    let document = simulated(&[file.path(), "--json"]).json();
    let run = outcome(&document, 0);
    assert_eq!(setting(run, "tcp_timeout_established"), (30, "scenario"));
    assert_eq!((&run["false_kills"]["picked_up"], &run["false_kills"]["flows_hit"]), (&50.into(), &50.into()));
    assert_eq!(run["false_kills"]["rate"], 1.0);
    let text = simulated(&[file.path()]).stdout;
    assert!(text.contains("kill: picked up  flows hit") && text.contains("100.0%"), "{text}");

    // What is set lies above it.
    let document = simulated(&[file.path(), "--json", "--set", "nf_conntrack_tcp_timeout_established=90"]).json();
    assert_eq!(setting(outcome(&document, 0), "tcp_timeout_established"), (90, "set"));
    assert_eq!(outcome(&document, 0)["false_kills"]["flows_hit"], 0);
    // With windows unknown, a connection is not picked up: its packets are lost.
    let document = simulated(&[file.path(), "--json", "--set", "nf_conntrack_tcp_loose=0"]).json();
    assert_eq!(outcome(&document, 0)["false_kills"]["black_holed"], 50);
}

#[test]
fn a_capture_is_simulated_and_what_is_passed_over_is_said() {
    let mut packets = questions(100);
    packets.push(vec![0x75; 40]);
    for (name, bytes, lasted) in [("a.pcap", pcap(&packets), 9.9), ("a.pcapng", pcapng(&packets), 0.0)] {
        let file = Scratch::new(name, bytes);
        let run = simulate(&[&[file.path(), "--json"], &KERNEL[..]].concat());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{name}");
        let document = run.json();
        assert_eq!(document["workload"]["kind"], "capture");
        assert_eq!(document["skipped"][0]["count"], 1, "{document}");
        let outcome = outcome(&document, 0);
        assert_eq!((&outcome["flows"], &outcome["peak"]["occupancy"]), (&100.into(), &100.into()), "{name}");
        assert!((outcome["lasted_secs"].as_f64().unwrap() - lasted).abs() < 1e-9, "{name}: {outcome}");

        let run = simulate(&[&[file.path()], &KERNEL[..]].concat());
        assert_eq!(
            (run.code, run.stderr.as_str()),
            (0, "Passed over in the capture: 1 packets of a wrong IP version.\n")
        );
        assert!(run.stdout.contains("100 flows, 100 packets"), "{}", run.stdout);
    }
}

#[test]
fn a_capture_is_known_by_how_it_begins() {
    let packets = questions(10);
    for (name, bytes) in [("traffic", pcap(&packets)), ("traffic.dump.1", pcapng(&packets)), ("x.toml", pcap(&packets))]
    {
        let file = Scratch::new(name, bytes);
        let document = simulated(&[file.path(), "--json"]).json();
        assert_eq!((&document["workload"]["kind"], &outcome(&document, 0)["flows"]), (&"capture".into(), &10.into()));
    }
}

#[test]
fn a_capture_of_which_no_packet_can_be_used_is_an_error() {
    let empty = Scratch::new("empty.pcap", pcap(&[]));
    let wrong = Scratch::new("none.pcap", pcap(&[vec![0x75; 40], vec![0x45; 3]]));
    for (file, holds) in [
        (&empty, "it holds none"),
        (&wrong, "it holds 1 packets of a wrong IP version, 1 packets cut within their headers"),
    ] {
        for format in [&[][..], &["--json"], &["--max-utilization", "50%"]] {
            let run = simulate(&[&[file.path()], format, &KERNEL].concat());
            assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);
            assert!(run.stderr.contains(&format!("no packet in it can be used: {holds}")), "{}", run.stderr);
        }
    }
}

#[test]
fn the_cheapest_setting_is_told_with_its_harm_and_those_that_cost_as_much() {
    let file = Scratch::new("bargain.toml", SILENT);
    let sweep = ["--sweep", "nf_conntrack_tcp_timeout_established=20,90,120", "--max-utilization", "50%"];
    // Fifty entries are less than a hundredth of the buckets.
    let text = simulated(&[&[file.path()], &sweep[..]].concat()).stdout.replace('\n', " ");
    assert!(text.contains("Cheapest within the limits: tcp_timeout_established=90 ("), "{text}");
    let equals = "equally cheap: tcp_timeout_established=20 (false kills hit 100.0%), tcp_timeout_established=120.";
    assert!(text.contains(equals), "{text}");
    let text = simulated(&[file.path(), "--max-utilization", "50%"]).stdout;
    assert!(text.contains("; false kills hit 100.0% of its flows. Limits: "), "{text}");
}

#[test]
fn buckets_that_are_rounded_are_told_as_they_are_in_force() {
    let text = simulated(&["idle", "--for", "1s", "--sweep", "nf_conntrack_buckets=1000,1024"]).stdout;
    assert!(text.contains("1,000 (in force: 1,024)"), "{text}");
}

#[test]
fn a_picture_that_cannot_be_drawn_leaves_what_was_in_its_file() {
    let picture = Scratch::new("kept.svg", "before");
    let broken = pcap(&questions(20));
    let broken = Scratch::new("broken.pcap", &broken[..broken.len() - 5]);
    assert_eq!(simulate(&[broken.path(), "--svg", picture.path()]).code, 3);
    assert_eq!(fs::read_to_string(picture.path()).unwrap(), "before");
    fs::remove_file(picture.path()).unwrap();
    assert_eq!(simulate(&[broken.path(), "--svg", picture.path()]).code, 3);
    assert!(!Path::new(picture.path()).exists());
}

#[test]
fn a_capture_can_be_played_in_part() {
    let file = Scratch::new("part.pcap", pcap(&questions(100)));
    let document = simulated(&[file.path(), "--json", "--for", "5s"]).json();
    assert_eq!(outcome(&document, 0)["flows"], 51);
    assert_eq!(document["complete"], true);
    assert_eq!((&document["workload"]["secs"], &document["workload"]["seed"]), (&5.0.into(), &1.into()));
    let text = simulated(&[file.path(), "--for", "5s", "--seed", "7"]).stdout;
    assert!(text.lines().next().unwrap().ends_with("part.pcap (the first 5 s, seed 7)"), "{text}");
}

#[test]
fn a_clock_that_is_set_while_a_capture_runs_does_not_make_decades_of_it() {
    let mut bytes = pcap(&questions(3));
    // The second packet's time, and the third's.
    for (record, secs) in [(1, 0_u32), (2, 1_700_000_000)] {
        let at = 24 + record * (16 + 28);
        bytes[at..at + 4].copy_from_slice(&secs.to_le_bytes());
    }
    bytes[24..28].copy_from_slice(&0_u32.to_le_bytes());
    let file = Scratch::new("clock.pcap", bytes);
    // gc walks the table for six days: a small one.
    let small = ["--kernel", "6.1", "--ram", "64M"];
    let run = simulate(&[&[file.path(), "--json"], &small[..]].concat());
    let document = run.json();
    assert_eq!((run.code, &document["clock_jumps"]), (0, &1.into()));
    let lasted = outcome(&document, 0)["lasted_secs"].as_f64().unwrap();
    assert!((lasted - 6.0 * 86_400.0).abs() < 1.0, "{lasted}");
    let run = simulate(&[&[file.path()], &small[..]].concat());
    assert!(run.stderr.contains("jumps ahead by more than six days, once: "), "{}", run.stderr);
}

#[test]
fn a_broken_capture_is_an_error_with_its_place_and_nothing_else_is_said() {
    let whole = pcap(&questions(20));
    let cut = Scratch::new("cut.pcap", &whole[..whole.len() - 5]);
    for format in [&[][..], &["--json"], &["--csv"], &["--svg", "-"], &["--sweep", "nf_conntrack_max=1,2"]] {
        let run = simulate(&[&[cut.path()], format].concat());
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{format:?}");
        let place = whole.len() - 28 - 16;
        assert!(
            run.stderr.contains(&format!("cut.pcap: cannot read a pcap packet record at byte {place}: ")),
            "{}",
            run.stderr
        );
    }
    let packed = Scratch::new("packed.pcap", [0x1f, 0x8b, 8, 0]);
    let run = simulate(&[packed.path()]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
    assert!(run.stderr.contains("not a packet capture") && run.stderr.contains("unpack it first"), "{}", run.stderr);
}

#[test]
fn a_workload_is_made_from_a_few_numbers() {
    let numbers = ["--new-per-sec", "100", "--mix", "http=2,dns=1,flood=1", "--lifetime", "~3s", "--for", "20s"];
    let document = simulated(&[&["--json"], &numbers[..]].concat()).json();
    let run = outcome(&document, 0);
    let flows = run["flows"].as_u64().unwrap();
    assert!((1_800..2_200).contains(&flows), "{flows}");
    let text = simulated(&numbers).stdout;
    assert!(
        text.starts_with("synthetic: 100 new flows a second: 50.0% http, 25.0% dns, 25.0% flood (20 s, seed 1)\n"),
        "{text}"
    );

    // A silence that is longer than the timeout.
    let silent = ["--new-per-sec", "10", "--mix", "idle", "--lifetime", "20s", "--for", "40s", "--json"];
    let short = ["--set", "net.netfilter.nf_conntrack_tcp_timeout_established=10"];
    let document = simulated(&[&silent[..], &short].concat()).json();
    let hit = outcome(&document, 0)["false_kills"]["flows_hit"].as_u64().unwrap();
    assert!((150..250).contains(&hit), "{hit}");
    assert_eq!(outcome(&simulated(&silent).json(), 0)["false_kills"]["flows_hit"], 0);
}

#[test]
fn settings_come_from_where_they_are_said_to_come_from() {
    let idle = ["idle", "--for", "1s", "--json"];
    let of = |arguments: &[&str]| {
        let run = simulate(&[&idle[..], arguments].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        run.json()
    };
    let old = of(&["--kernel", "5.10", "--ram", "16G"]);
    assert_eq!((&old["base"]["settings_of"], &old["base"]["behaves_as"]), (&"kernel_defaults".into(), &"5.10".into()));
    assert_eq!(setting(outcome(&old, 0), "buckets"), (65_536, "kernel_default"));
    let new = of(&["--kernel", "6.12.0-1", "--ram", "2G"]);
    assert_eq!(setting(outcome(&new, 0), "max"), (65_536, "kernel_default"));
    assert_eq!(new["base"]["known_by"], "version");

    let profile =
        of(&["--kernel", "5.10", "--ram", "16G", "--profile", "kubernetes", "--set", "nf_conntrack_udp_timeout=7"]);
    assert_eq!(setting(outcome(&profile, 0), "max"), (1_048_576, "profile"));
    assert_eq!(setting(outcome(&profile, 0), "buckets"), (262_144, "profile"));
    assert_eq!(setting(outcome(&profile, 0), "udp_timeout"), (7, "set"));
    assert_eq!(setting(outcome(&profile, 0), "icmp_timeout"), (30, "kernel_default"));

    // This host's, where it shows them.
    let here = of(&[]);
    if let Ok(limit) = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max") {
        assert_eq!(here["base"]["settings_of"], "this_host");
        assert_eq!(setting(outcome(&here, 0), "max"), (limit.trim().parse().unwrap(), "host"));
    } else {
        assert_eq!(here["base"]["settings_of"], "kernel_defaults");
        assert!(here["base"]["notes"][0].as_str().unwrap().contains("not loaded"));
    }
}

#[test]
fn a_kernel_behaves_as_it_was_measured() {
    let measured = r#"{"schema": "plimsoll.conform/1", "release": "6.1.0-42", "flows": 100000, "agreement": 1.0,
        "agreement_at_least": 0.99997, "capabilities": [{"name": "udplite", "way": "absent", "measured": true}]}"#;
    let file = Scratch::new("kernel.json", measured);
    let arguments = ["idle", "--for", "1s", "--conform", file.path()];
    let document = simulated(&[&arguments[..], &["--json"]].concat()).json();
    assert_eq!(
        (&document["base"]["known_by"], &document["base"]["behaves_as"]),
        (&"conform".into(), &"6.1.0-42".into())
    );
    assert_eq!(document["base"]["capabilities"]["udplite"], "absent");
    let text = simulated(&arguments).stdout;
    assert!(text.contains("as measured on Linux 6.1.0-42: of 100,000 flows twin and kernel agreed in all"), "{text}");
    let wrong = Scratch::new("wrong.json", "{}");
    let run = simulate(&["idle", "--conform", wrong.path()]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
    assert!(run.stderr.contains("it is not what `plimsoll lab conform --json` writes"), "{}", run.stderr);
}

#[test]
fn many_settings_are_compared_and_the_cheapest_is_named() {
    let sweep = [
        "founding-dns",
        "--for",
        "60s",
        "--sweep",
        "nf_conntrack_udp_timeout=30,10",
        "--sweep",
        "nf_conntrack_max=50000,100000",
    ];
    let bounds = ["--max-utilization", "90%", "--max-false-kill-rate", "0"];
    let document = simulated(&[&sweep[..], &bounds, &["--json"]].concat()).json();
    let swept: Vec<_> = document["runs"].as_array().unwrap().iter().map(|run| run["swept"].to_string()).collect();
    assert_eq!(swept.len(), 4);
    assert!(swept[1].contains("_udp_timeout\":30") && swept[1].contains("_max\":100000"), "{swept:?}");
    // The same flows at the same times.
    let flows: Vec<_> = document["runs"].as_array().unwrap().iter().map(|run| run["flows"].clone()).collect();
    assert!(flows.iter().all(|number| *number == flows[0]), "{flows:?}");
    // 50,000 hold the 20,000 entries of ten seconds, and the least memory.
    assert_eq!((&document["cheapest"], &document["bounds"]["met"]), (&2.into(), &true.into()));
    let text = simulated(&[&sweep[..], &bounds].concat()).stdout;
    assert!(text.contains("Cheapest within the limits: udp_timeout=10 max=50000"), "{text}");

    let run = simulate(&[&sweep[..], &["--max-utilization", "0.1"], &KERNEL].concat());
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("None of these settings is within the limits: at most 10.0% full"), "{}", run.stdout);
    assert!(run.stdout.contains("- udp_timeout=30 max=50000: refuses "), "{}", run.stdout);
}

#[test]
fn a_run_within_a_sweep_is_as_it_is_alone_and_the_same_seed_gives_the_same_bytes() {
    let swept = ["http-churn", "--for", "15s", "--sweep", "nf_conntrack_max=10000,20000", "--json"];
    let together = simulated(&swept);
    assert_eq!(together.stdout, simulated(&swept).stdout);
    let alone = simulated(&["http-churn", "--for", "15s", "--sweep", "nf_conntrack_max=20000", "--json"]).json();
    assert_eq!(outcome(&together.json(), 1), outcome(&alone, 0));
    for format in [&[][..], &["--csv"], &["--svg", "-"]] {
        let of = |seed: &str| simulated(&[&["http-churn", "--for", "15s", "--seed", seed], format].concat()).stdout;
        assert_eq!(of("1"), of("1"));
        assert_ne!(of("1"), of("2"));
    }
}

#[test]
fn the_csv_has_a_row_for_each_reading_and_setting() {
    let text =
        simulated(&["founding-dns", "--for", "20s", "--sweep", "nf_conntrack_udp_timeout=30,10", "--csv"]).stdout;
    let mut lines = text.lines();
    let head = lines.next().unwrap();
    assert_eq!(
        head,
        "setting,net.netfilter.nf_conntrack_udp_timeout,at_secs,occupancy,live,capacity,packets,dropped,false_kills,complete"
    );
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == head.split(',').count()));
    for (setting, value) in [("0", "30"), ("1", "10")] {
        let of: Vec<_> = rows.iter().filter(|row| row[0] == setting).collect();
        assert!(of.len() > 50 && of.iter().all(|row| row[1] == value && row[9] == "true"));
        assert_eq!((of[0][2], of[of.len() - 1][2]), ("0", "20"));
        let times: Vec<f64> = of.iter().map(|row| row[2].parse().unwrap()).collect();
        assert!(times.is_sorted_by(|a, b| a < b));
    }
}

/// Every element that begins ends, in the right order, and no text holds what would be markup.
fn assert_is_xml(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg;
    while let Some(begin) = rest.find('<') {
        let (text, tag) = rest.split_at(begin);
        assert!(!text.contains('>'), "{text}");
        for entity in text.split('&').skip(1) {
            let known = ["amp;", "lt;", "gt;", "quot;", "#39;"];
            assert!(known.iter().any(|known| entity.starts_with(known)), "{text}");
        }
        let end = tag.find('>').expect("a tag's end");
        let inner = &tag[1..end];
        assert_eq!(inner.matches('"').count() % 2, 0, "{inner}");
        match inner.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if inner.ends_with('/') => {}
            None => open.push(inner.split_whitespace().next().unwrap()),
        }
        rest = &tag[end + 1..];
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
}

#[test]
fn the_picture_is_drawn_and_names_from_outside_harm_no_output() {
    let hostile = SILENT
        .replace("name = \"silent\"", r#"name = "</text><script>alert(1)</script>\u001b[31m""#)
        .replace("silent for a minute", r#"\u202e & \"quoted\" <b>"#);
    let file = Scratch::new("<b>\u{1b}.toml", hostile);
    let svg = simulated(&[file.path(), "--svg", "-"]).stdout;
    assert_is_xml(&svg);
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && svg.contains("<polyline"), "{svg}");
    assert!(!svg.contains("<script") && !svg.contains("<b>") && svg.contains("prefers-color-scheme"), "{svg}");
    for format in [&[][..], &["--json"], &["--csv"], &["--svg", "-"]] {
        let run = simulated(&[&[file.path()], format].concat());
        assert!(!run.stdout.contains(['\u{1b}', '\u{202e}']), "{format:?}: {}", run.stdout);
    }

    let picture = Scratch::new("drawn.svg", "");
    let run =
        simulated(&["http-churn", "--for", "9s", "--sweep", "nf_conntrack_max=1000,30000,0", "--svg", picture.path()]);
    assert!(run.stdout.starts_with("http-churn: "), "{}", run.stdout);
    let svg = fs::read_to_string(picture.path()).unwrap();
    assert_is_xml(&svg);
    assert_eq!(svg.matches("<polyline").count(), 3);
    assert!(svg.contains(">limit 1,000<") && svg.contains(">max=30000: peak "), "{svg}");
}

#[test]
fn a_chart_shows_the_limit_and_fits_the_usual_width() {
    let run = simulated(&["founding-dns"]);
    assert!(run.stdout.contains("┄ limit 262,144\n"), "{}", run.stdout);
    assert!(run.stdout.contains("█") && !run.stdout.contains('\u{1b}'));
    let too_wide = |line: &&str| line.chars().count() > 100;
    assert_eq!(run.stdout.lines().find(too_wide), None);
    let coloured = simulated(&["founding-dns", "--for", "1s", "--color", "always"]).stdout;
    assert!(coloured.starts_with("\u{1b}[1m"), "{coloured}");
}

#[test]
fn what_is_wrong_is_named_with_what_to_do() {
    let toml = Scratch::new("wrong.toml", SILENT.replace("count = 50", "count = 50\nper_sec = 1"));
    let unknown = Scratch::new("unknown.toml", SILENT.replace("tcp_timeout_established", "tcp_timeout_establish"));
    let capture = Scratch::new("right.pcap", pcap(&questions(1)));
    let standing = |name: &str| {
        format!(
            "[[standing]]\nname = \"{name}\"\ncount = 2000000000\nstate = \"established\"\nidle_from_secs = 0\n\
             idle_until_secs = 10\nclients = {{ in = \"10.0.0.0/8\" }}\nservers = {{ in = \"192.0.2.9\", ports = 80 }}\n"
        )
    };
    let both = format!("{}{}[[traffic]]", standing("one"), standing("two"));
    let huge = Scratch::new("huge.toml", SILENT.replace("[[traffic]]", &both));
    for (arguments, says) in [
        (&[][..], "name a workload: a scenario (healthy-web, "),
        (&["founding-dsn"], "(the nearest is founding-dns)"),
        (&["/nowhere/founding-dns"], "reading /nowhere/founding-dns: No such file"),
        (&["trafic.pcapg"], "reading trafic.pcapg: No such file"),
        (&[capture.path(), "--svg", capture.path()], "would be written over what is read"),
        (&[huge.path()], "and 4,000,000,000 entries at its begin"),
        (&["founding-dns", "--new-per-sec", "1"], "not both"),
        (&["/nowhere/x.toml"], "reading /nowhere/x.toml: No such file"),
        (&["/nowhere/x.pcap"], "reading /nowhere/x.pcap: No such file"),
        (&[toml.path()], "write either `per_sec` or `count`"),
        (&[unknown.path()], "the nearest is net.netfilter.nf_conntrack_tcp_timeout_established"),
        (&[capture.path(), "--size", "2"], "--size is for scenarios"),
        (&["proxy-with-keepalive"], "play it with `plimsoll lab run`"),
        (&["idle", "--mix", "http"], "--new-per-sec"),
        (&["--new-per-sec", "0"], "must be a number above 0"),
        (&["--new-per-sec", "1", "--mix", "web=1"], "name one of http, dns, idle, flood"),
        (&["--new-per-sec", "1", "--lifetime", "-3"], "error: "),
        (&["--new-per-sec", "1e6", "--for", "24h"], "shorten it with --for"),
        (&["idle", "--for", "0"], "must be above 0"),
        (&["idle", "--kernel", "new"], "as 5.10 or 6.1"),
        (&["idle", "--ram", "16"], "as 16G or 512M"),
        (&["idle", "--profile", "web"], "possible values: general, http-proxy"),
        (&["idle", "--set", "nf_conntrack_udp_timeout_streams=1"], "nf_conntrack_udp_timeout_stream"),
        (&["idle", "--set", "nf_conntrack_max=many"], "write a whole number"),
        (&["idle", "--set", "nf_conntrack_tcp_loose=2"], "it takes 0 to 1"),
        (&["idle", "--sweep", "nf_conntrack_max=1,1"], "twice"),
        (&["idle", "--sweep", "nf_conntrack_max=1", "--set", "nf_conntrack_max=2"], "both set and swept"),
        (&["idle", "--max-utilization", "80"], "as 0.8 or 80%"),
        (&["idle", "--json", "--csv"], "cannot be used with"),
        (&["idle", "--json", "--svg", "-"], "name a file for the picture"),
        (&["idle", "--for", "1s", "--svg", "/nowhere/x.svg"], "writing /nowhere/x.svg: No such file"),
    ] {
        let run = simulate(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(says), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn the_lab_says_of_a_scenario_that_is_only_simulated_how() {
    let run = plimsoll(&["lab", "run", "founding-dns"]);
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("plimsoll simulate founding-dns"), "{}", run.stderr);
}

#[test]
fn a_scenario_that_is_made_for_another_hash_is_simulated_with_a_note() {
    let run = simulate(&[&["chain-cap", "--for", "1s"], &KERNEL[..]].concat());
    assert_eq!(run.code, 0);
    assert!(run.stderr.contains("--set nf_conntrack_buckets=1024"), "{}", run.stderr);
    let run = simulate(&[&["chain-cap", "--set", "nf_conntrack_buckets=1024"], &KERNEL[..]].concat());
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert!(run.stdout.contains("dropped: chain"), "{}", run.stdout);
}

#[test]
fn scenarios_are_listed() {
    let listed = simulated(&["--list"]).stdout;
    assert!(listed.contains("\n  founding-sip ") && listed.contains("\n  http-churn "), "{listed}");
    assert!(!listed.contains("proxy-with-keepalive"), "{listed}");
    let document = simulated(&["--list", "--json"]).json();
    let scenarios = document["scenarios"].as_array().unwrap();
    assert_eq!(scenarios.len(), listed.lines().count() - 1);
    assert!(scenarios.iter().all(|scenario| scenario["title"].is_string() && scenario["secs"].is_number()));
}

#[test]
fn the_documents_keys_are_described() {
    let described = include_str!("../../../docs/simulate.md");
    let document = simulated(&["idle", "--for", "1s", "--json", "--max-utilization", "1"]).json();
    let mut keys = Vec::new();
    collect_keys(&document, &mut keys);
    for key in keys.iter().filter(|key| !key.starts_with("net.netfilter.")) {
        assert!(described.contains(&format!("`{key}`")), "docs/simulate.md does not describe {key}");
    }
}
