//! `plimsoll simulate --from`: recordings of which it is known what must come of them. No rights are needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;

use plimsoll_model::{Protocol, TcpState, Timeout, Zone};
use plimsoll_recording::{GapEnd, IdleGap, Life, Row, Sight, State};
use serde_json::Value;
use support::recorded::{RELEASE, Recorded, changed, counted, gaps, lives, rows, setting};
use support::recording::files;
use support::{KERNEL, Run, collect_keys, plimsoll};

const HELD: Timeout = Timeout::Tcp(TcpState::Established);

fn simulate(arguments: &[&str]) -> Run {
    plimsoll(&[&["simulate"], arguments].concat())
}

/// It must succeed, and say nothing on the side.
fn simulated(arguments: &[&str]) -> Run {
    let run = simulate(arguments);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{arguments:?}");
    run
}

/// Ten connections to port 443, each silent from 100 s to 400 s.
fn silent() -> (Vec<Life>, Vec<IdleGap>) {
    let lives: Vec<_> = (1..=10).map(|number| rows::connection(number, 5.0)).collect();
    let gaps = lives.iter().map(|life| rows::gap(life, HELD, 100.0, 400.0)).collect();
    (lives, gaps)
}

/// Every setting that all kernels have, at other values than any kernel sets by itself.
fn settings() -> Vec<Row> {
    let everywhere = plimsoll_simulate::Setup::sysctls().filter_map(|sysctl| {
        let value = sysctl.timeout().and_then(Timeout::compiled_default_secs).unwrap_or(1);
        let name = sysctl.name().trim_start_matches("nf_conntrack_").to_string();
        (!["max", "buckets", "udp_timeout"].contains(&name.as_str())).then(|| setting(&name, value))
    });
    everywhere.chain([setting("max", 5000), setting("buckets", 1024), setting("udp_timeout", 17)]).collect()
}

fn ten_silent() -> Recorded {
    let (all, silences) = silent();
    Recorded::new(settings().into_iter().chain(counted(10)).chain(gaps(&silences)).chain(lives(&all)))
}

const SWEEP: [&str; 2] = ["--sweep", "nf_conntrack_tcp_timeout_established=298,302,432000"];

/// A setting's value and where it comes from.
fn in_force<'a>(run: &'a Value, name: &str) -> (u64, &'a str) {
    let setting = &run["settings"][format!("net.netfilter.nf_conntrack_{name}")];
    (setting["value"].as_u64().unwrap(), setting["from"].as_str().unwrap())
}

#[test]
fn a_timeout_just_below_a_silence_kills_and_one_above_does_not() {
    let recorded = ten_silent();
    let document = simulated(&[&["--from", recorded.path(), "--json"], &SWEEP[..]].concat()).json();
    let runs = document["runs"].as_array().unwrap();
    let hit: Vec<_> = runs.iter().map(|run| run["false_kills"]["flows_hit"].as_u64().unwrap()).collect();
    assert_eq!(hit, [10, 0, 0]);
    assert_eq!((&document["workload"]["kind"], &document["workload"]["secs"]), (&"recording".into(), &1000.0.into()));
    assert_eq!((&document["replay"]["stands_for"], &document["skipped"]), (&1.0.into(), &Value::Null));
    let service = &runs[0]["services"][0];
    assert_eq!((&service["service"], &service["flows"]), (&"443/tcp".into(), &10.into()));
    assert_eq!((&service["silent_flows"], &service["false_kills"]["flows_hit"]), (&10.into(), &10.into()));
    assert_eq!(service["false_kills"]["picked_up"], 10);

    let text = simulated(&[&["--from", recorded.path()], &SWEEP[..]].concat()).stdout;
    let head = "  service  flows  silent > 1 min  a: flows hit  b: flows hit  c: flows hit\n";
    assert!(
        text.contains(&format!("{head}  443/tcp     10              10            10             0             0\n")),
        "{text}"
    );
    let bounded = [&["--from", recorded.path(), "--max-false-kill-rate", "1%"], &SWEEP[..]].concat();
    assert_eq!(simulated(&[&bounded[..], &["--json"]].concat()).json()["cheapest"], 1);
    let none = simulate(&[
        "--from",
        recorded.path(),
        "--max-false-kill-rate",
        "1%",
        "--set",
        "nf_conntrack_tcp_timeout_established=298",
    ]);
    assert!(none.code == 1 && none.stdout.contains("false kills hit 100.0% of the flows"), "{none:?}");
}

#[test]
fn a_directory_is_a_recording_and_the_same_seed_gives_the_same_bytes() {
    let recorded = ten_silent();
    let named = simulated(&[&[recorded.path()], &SWEEP[..]].concat());
    assert_eq!(named.stdout, simulated(&[&["--from", recorded.path()], &SWEEP[..]].concat()).stdout);
    assert!(
        named.stdout.starts_with(&format!("{}: a recording, replayed (16 min 40 s, seed 1)\n", recorded.path())),
        "{}",
        named.stdout
    );
    let csv = simulated(&[recorded.path(), "--csv"]).stdout;
    assert!(csv.lines().count() > 50 && csv.lines().last().unwrap().contains(",5000,"), "{csv}");
    assert!(simulated(&[recorded.path(), "--svg", "-"]).stdout.contains("in force when it was recorded"));
}

#[test]
fn settings_start_from_the_recorded_ones() {
    let recorded = ten_silent();
    let of = |arguments: &[&str]| simulated(&[&["--from", recorded.path(), "--json"], arguments].concat()).json();
    let document = of(&[]);
    let base = &document["base"];
    assert_eq!(
        (&base["settings_of"], &base["kernel"], &base["known_by"]),
        (&"recording".into(), &RELEASE.into(), &"version".into())
    );
    assert_eq!((&base["ram_bytes"], &base["notes"]), (&Value::Null, &Value::Array(vec![])));
    for (name, value) in [("max", 5000), ("buckets", 1024), ("udp_timeout", 17), ("icmp_timeout", 30)] {
        assert_eq!(in_force(&document["runs"][0], name), (value, "recording"));
    }
    assert_eq!(document["runs"][0]["capacity"], 5000);
    let text = simulated(&["--from", recorded.path()]).stdout;
    assert!(text.contains(&format!("Settings: those in force when it was recorded (Linux {RELEASE})\n")), "{text}");

    let over = of(&["--set", "nf_conntrack_udp_timeout=9", "--profile", "dns"]);
    assert_eq!(in_force(&over["runs"][0], "udp_timeout"), (9, "set"));
    assert_eq!(in_force(&over["runs"][0], "udp_timeout_stream"), (60, "profile"));
    assert_eq!(in_force(&over["runs"][0], "max"), (5000, "recording"));
    // A kernel's own; with a memory alone, those of the kernel that was recorded.
    let kernel = of(&KERNEL);
    assert_eq!((&kernel["base"]["settings_of"], &kernel["base"]["kernel"]), (&"kernel_defaults".into(), &"6.1".into()));
    assert_eq!(in_force(&kernel["runs"][0], "max"), (262_144, "kernel_default"));
    assert!(of(&["--ram", "2G"])["base"]["kernel"].as_str().unwrap().starts_with("6.12"));
}

#[test]
fn what_the_recording_does_not_tell_of_settings_is_said() {
    let (all, silences) = silent();
    let more = [changed(rows::at(500.0), "udp_timeout", Some(17), 18), setting("tcp_loose", 7)];
    let recorded = Recorded::new(more.into_iter().chain(gaps(&silences)).chain(lives(&all)));
    let document = simulated(&["--from", recorded.path(), "--json"]).json();
    let notes = document["base"]["notes"].to_string();
    for told in [
        "net.netfilter.nf_conntrack_tcp_loose is 7 in the recording; taken as 1",
        "net.netfilter.nf_conntrack_udp_timeout was changed while it was recorded: its value at the end is taken",
        "not in the recording, and taken as by default: nf_conntrack_max, ",
    ] {
        assert!(notes.contains(told), "{told}: {notes}");
    }
    assert_eq!(in_force(&document["runs"][0], "udp_timeout"), (18, "recording"));
    assert_eq!(in_force(&document["runs"][0], "max"), (262_144, "kernel_default"));
    let run = simulate(&["--from", recorded.path()]);
    assert!(run.code == 0 && run.stderr.contains("was changed while it was recorded"), "{run:?}");

    let silent = Recorded::new(lives(&all));
    let document = simulated(&["--from", silent.path(), "--json"]).json();
    assert_eq!(document["base"]["settings_of"], "kernel_defaults");
    assert!(document["base"]["notes"][0].as_str().unwrap().contains("holds no settings"), "{document}");
}

#[test]
fn it_is_told_how_true_the_replay_is_and_what_was_not_played() {
    let (mut all, mut silences) = silent();
    let sctp = State::Sctp(plimsoll_model::SctpState::Established);
    all.push(Life { weight: 5.0, ..rows::life(Protocol::SCTP, 11, 2905, &[(5.0, sctp)]) });
    silences.push(rows::gap(&rows::connection(99, 5.0), HELD, 10.0, 20.0));
    let stream = [(5.0, State::Unreplied), (5.1, State::Replied), (8.0, State::Assured)];
    all.push(rows::life(Protocol::UDP, 12, 4500, &stream));
    let recorded = Recorded::new(settings().into_iter().chain(counted(12)).chain(gaps(&silences)).chain(lives(&all)));
    // Under the recorded settings, which are not among those that are asked for.
    let asked = ["--from", recorded.path(), "--set", "nf_conntrack_tcp_timeout_established=10"];
    let document = simulated(&[&asked[..], &["--json"]].concat()).json();
    let replay = &document["replay"];
    let mean = |of: &Value| of.as_f64().unwrap();
    assert_eq!(document["runs"].as_array().unwrap().len(), 1);
    assert!((mean(&replay["recorded_mean_occupancy"]) - 12.0).abs() < 1e-9, "{replay}");
    assert!((mean(&replay["replayed_mean_occupancy"]) - 11.0).abs() < 0.2, "{replay}");
    assert!(mean(&document["runs"][0]["mean_occupancy"]) < 9.0, "{document}");
    assert_eq!((&replay["not_played"]["flows"], &replay["not_played"]["stray_gaps"]), (&5.0.into(), &1.into()));
    assert_eq!(replay["flows_taken_as_silent"], 1.0);

    let text = simulated(&asked).stdout;
    let shown = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for told in [
        "Replayed: every flow; left out: 5 flows that no packets of the model's make, 1 silences of no flow or state that is there; 1 \
         flows, of which no silence was seen nor of any like them, are taken to be silent",
        "Compared: entries on the average, under the settings in force then: 11; the kernel counted 12",
    ] {
        assert!(shown.contains(told), "{told}: {text}");
    }
}

/// Copies of a flow are told apart by zones, of which there are 65,536: with a hundred in use, a flow that stands for thousands is
/// played a few hundred times.
#[test]
fn a_smaller_replay_tells_the_numbers_of_what_was_recorded() {
    // Looked at, and never silent.
    let other = |number: u64| {
        let zone = Zone(u16::try_from(number).unwrap());
        Life { zone, sight: Sight::Looks, ..rows::connection(number, 1.0) }
    };
    let mut all: Vec<_> = (1..100).map(other).collect();
    let heavy = Life { weight: 4096.0, ..rows::connection(1000, 5.0) };
    let silences = [rows::gap(&heavy, HELD, 100.0, 400.0)];
    all.push(heavy);
    let recorded = Recorded::new(settings().into_iter().chain(counted(4195)).chain(gaps(&silences)).chain(lives(&all)));
    let asked = ["--from", recorded.path(), "--set", "nf_conntrack_tcp_timeout_established=298"];
    let document = simulated(&[&asked[..], &["--json"]].concat()).json();
    assert_eq!(document["replay"]["stands_for"], 8.0);
    let run = &document["runs"][0];
    assert_eq!((&run["capacity"], &run["services"][0]["silent_flows"]), (&5000.into(), &4096.into()));
    let number = |of: &Value| of.as_u64().unwrap();
    // Of the others each eighth is drawn.
    assert!((4096..4096 + 200).contains(&number(&run["flows"])), "{run}");
    assert_eq!(run["false_kills"]["picked_up"], 4096);
    let (peak, flows) = (number(&run["peak"]["occupancy"]), number(&run["flows"]));
    assert!(peak <= flows && peak > 4000, "{peak} of {flows}");
    assert_eq!(number(&run["memory_bytes"]["buckets"]), 1024 * 8);
    assert!((run["utilization"].as_f64().unwrap() - peak as f64 / 5000.0).abs() < 1e-9);
    let full = simulated(&[&asked[..], &["--set", "nf_conntrack_max=1000"]].concat()).stdout;
    assert!(full.contains("one flow in 8, each of which stands for 8 in all figures"), "{full}");
    assert!(full.contains("  1,000") && full.contains("100.0%") && full.contains("refused flows"), "{full}");
}

#[test]
fn its_beginning_can_be_played_alone() {
    let recorded = ten_silent();
    let document = simulated(&["--from", recorded.path(), "--json", "--for", "300s", SWEEP[0], SWEEP[1]]).json();
    let run = &document["runs"][0];
    assert_eq!((&run["lasted_secs"], &run["false_kills"]["flows_hit"]), (&300.0.into(), &0.into()));
    assert_eq!((&document["workload"]["secs"], &run["flows"]), (&300.0.into(), &10.into()));
    let text = simulated(&["--from", recorded.path(), "--for", "300s"]).stdout;
    assert!(text.contains("replayed (the first 5 min of it, seed 1)"), "{text}");
    let run = simulate(&["--from", recorded.path(), "--for", "1s"]);
    assert!(run.code == 3 && run.stderr.contains("no flow comes in the first 1 s of it"), "{run:?}");
}

#[test]
fn services_that_are_hit_most_come_first_and_there_are_not_too_many() {
    let numbers = 1..=30_u16;
    let to = |number: u16| {
        let steps = [(5.0, rows::SYN_SENT), (5.02, rows::SYN_RECV), (5.04, rows::ESTABLISHED)];
        rows::life(Protocol::TCP, u64::from(number), number / 2, &steps)
    };
    let all: Vec<_> = numbers.map(to).collect();
    let silences: Vec<_> = all.iter().skip(3).map(|life| rows::gap(life, HELD, 100.0, 400.0)).collect();
    let quiet = rows::open_gap(&all[0], HELD, 100.0, GapEnd::Expired);
    let silences = [&silences[..], &[quiet]].concat();
    let recorded = Recorded::new(settings().into_iter().chain(gaps(&silences)).chain(lives(&all)));
    let asked = ["--from", recorded.path(), "--set", "nf_conntrack_tcp_timeout_established=298"];
    let document = simulated(&[&asked[..], &["--json"]].concat()).json();
    let services = document["runs"][0]["services"].as_array().unwrap();
    assert_eq!(services.len(), 10);
    assert!(services.iter().all(|service| service["false_kills"]["flows_hit"] == 2), "{services:#?}");
    let text = simulated(&asked).stdout;
    assert!(text.contains("  and 6 more services\n"), "{text}");
}

#[test]
fn what_is_wrong_is_named_with_what_to_do() {
    let (all, _) = silent();
    let recorded = Recorded::new(lives(&all));
    let empty = Recorded::nothing();
    fs::create_dir(empty.path()).unwrap();
    let no_flow = Recorded::new(settings());
    let pcap = Recorded::nothing();
    fs::create_dir(pcap.path()).unwrap();
    let pcap_file = format!("{}/traffic.pcap", pcap.path());
    fs::write(&pcap_file, [0xd4, 0xc3, 0xb2, 0xa1]).unwrap();
    let newer = Recorded::new(lives(&all));
    for file in files(newer.path()) {
        let mut bytes = fs::read(&file).unwrap();
        let key = b"plimsoll.recording.version";
        let place = bytes.windows(key.len()).position(|window| window == key).unwrap();
        let digit = bytes[place..].iter().position(|byte| *byte == b'1').unwrap();
        bytes[place + digit] = b'7';
        fs::write(&file, bytes).unwrap();
    }
    let broken = Recorded::new(lives(&all));
    let of_lives = files(broken.path()).into_iter().find(|file| file.to_str().unwrap().contains("/lives/")).unwrap();
    let mut bytes = fs::read(&of_lives).unwrap();
    bytes.truncate(bytes.len() - 9);
    fs::write(&of_lives, bytes).unwrap();
    let inside = format!("{}/x.svg", recorded.path());
    let conflict = "cannot be used with";
    for (arguments, names, says) in [
        (&["--from", empty.path()][..], empty.path(), "holds no recording"),
        (&[empty.path()], empty.path(), "name the directory that `plimsoll record` wrote"),
        (&["--from", "/nowhere/web.rec"], "/nowhere/web.rec", "No such file"),
        (&["--from", &pcap_file], &pcap_file, "a capture or a scenario is named without --from"),
        (&["--from", no_flow.path()], no_flow.path(), "the recording holds no flow that can be played"),
        (&["--from", newer.path()], newer.path(), "is of version 7 of the format, and this Plimsoll reads version 1"),
        (&["--from", broken.path()], of_lives.to_str().unwrap(), "it is no Parquet file, or its end is missing"),
        (&["--from", recorded.path(), "--svg", &inside], &inside, "name a file elsewhere"),
        (&[recorded.path(), "--size", "2"], "--size", "a recording is played as it was recorded"),
        (&[recorded.path(), "--new-per-sec", "2"], "--new-per-sec", "not both"),
        (&["--from", recorded.path(), "--size", "2"], "--size", conflict),
        (&["--from", recorded.path(), "--new-per-sec", "2"], "--new-per-sec", conflict),
        (&["--from", recorded.path(), "idle"], "--from", conflict),
        (&["--from", recorded.path(), "--list"], "--list", conflict),
    ] {
        let run = simulate(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(names) && run.stderr.contains(says), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn the_help_says_what_a_recording_is_and_that_its_name_alone_suffices() {
    let help = simulated(&["--help"]).stdout;
    let shown = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for told in ["--from <RECORDING>", "the directory that `plimsoll record` wrote", "`plimsoll simulate web.rec`"] {
        assert!(shown.contains(told), "{told}: {help}");
    }
}

#[test]
fn the_documents_keys_are_described() {
    let described = include_str!("../../../docs/simulate.md");
    let recorded = ten_silent();
    let document = simulated(&[&["--from", recorded.path(), "--json"], &SWEEP[..]].concat()).json();
    let mut keys = Vec::new();
    collect_keys(&document, &mut keys);
    for key in keys.iter().filter(|key| !key.starts_with("net.netfilter.")) {
        assert!(described.contains(&format!("`{key}`")), "docs/simulate.md does not describe {key}");
    }
}
