//! `plimsoll lab`, as its users run it. Needs root: it makes network namespaces and TUN devices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

#[path = "../../host/tests/support/names.rs"]
mod names;
mod support;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use plimsoll_lab::{Kind, entries};
use support::{PLIMSOLL, Playing, Run, ScenarioFile, finding, plimsoll};

fn is_there(namespace: &str) -> bool {
    Path::new("/run/netns").join(namespace).exists()
}

#[test]
fn a_run_that_is_interrupted_leaves_nothing() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let mut playing = Playing::begin("idle");
        assert_eq!(playing.signal(signal).code(), Some(3), "{signal}");
        assert!(!is_there(&playing.namespace), "{signal}: {}", playing.namespace);
    }
}

#[test]
fn what_a_killed_run_left_the_next_one_removes() {
    let mut killed = Playing::begin("idle");
    assert_eq!(killed.signal("-KILL").code(), None);
    assert!(is_there(&killed.namespace), "nobody could remove it");
    let mut next = Playing::begin("idle");
    assert!(!is_there(&killed.namespace));
    assert_eq!(next.signal("-INT").code(), Some(3), "it was not played to its end");
    assert!(!is_there(&next.namespace));
}

/// The processes in a namespace.
fn inside(namespace: &str) -> Vec<u32> {
    let output = Command::new("ip").args(["netns", "pids", namespace]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(|pid| pid.trim().parse().unwrap()).collect()
}

#[test]
fn servers_end_with_the_run_or_with_the_next_one() {
    let mut killed = Playing::begin("proxy-with-keepalive");
    let servers = inside(&killed.namespace);
    assert_eq!(servers.len(), 1, "an nginx");
    let is_running = |pid: &u32| Path::new("/proc").join(pid.to_string()).join("exe").read_link().is_ok();
    killed.signal("-KILL");
    assert!(servers.iter().all(is_running), "nobody could end it");
    let mut next = Playing::begin("proxy-with-keepalive");
    assert!(!servers.iter().any(is_running));
    let servers = inside(&next.namespace);
    assert_eq!(next.signal("-INT").code(), Some(3), "it was not played to its end");
    assert!(!servers.iter().any(is_running));
    for namespace in [&killed.namespace, &next.namespace] {
        assert!(!is_there(namespace) && files_of(namespace).iter().all(|file| !file.exists()), "{namespace}");
    }
}

/// A lab's lock file, and its server's folder.
fn files_of(namespace: &str) -> [PathBuf; 2] {
    [format!("{namespace}.lock"), namespace.to_string()].map(|file| Path::new("/run/plimsoll-lab").join(file))
}

/// A run that is over soon, and has swept.
fn sweep(mut command: Command) {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/idle.toml")).unwrap();
    let file = ScenarioFile::new(&text.replace("check_at_secs = 6", "check_at_secs = 0.1"));
    let swept = Run::of({
        command.args(["lab", "run", file.path(), "--check", "--on-this-host"]);
        command
    });
    assert!(swept.stdout.contains("The lab (idle"), "{swept:?}");
}

/// A `plimsoll` that sees no process but its own.
fn in_another_pid_namespace() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", PLIMSOLL]);
    command
}

#[test]
fn what_is_not_a_labs_own_stays_whatever_it_is_called() {
    let gone = u32::MAX;
    let named =
        [format!("plimsoll-lab-{}", names::own("mydemo")), format!("plimsoll-lab-{gone}-{}", std::process::id())]
            .map(Other::named);
    let folders = named.each_ref().map(|other| Path::new("/run").join(&other.0));
    for folder in &folders {
        std::fs::create_dir_all(folder).unwrap();
    }
    let mut inside = Command::new("ip").args(["netns", "exec", &named[0].0, "sleep", "600"]).spawn().unwrap();
    sweep(Command::new(PLIMSOLL));
    assert!(named.iter().all(|other| is_there(&other.0)));
    assert!(inside.try_wait().unwrap().is_none(), "it runs on");
    inside.kill().unwrap();
    inside.wait().unwrap();
    for folder in folders {
        std::fs::remove_dir(folder).unwrap();
    }
}

#[test]
fn what_is_left_is_told_from_what_lives_from_any_pid_namespace() {
    let (mut killed, mut alive) = (Playing::begin("proxy-with-keepalive"), Playing::begin("idle"));
    killed.signal("-KILL");
    sweep(in_another_pid_namespace());
    // Whoever sees no process but its own ends none: this test ends those that it left.
    let (run, _) = killed.namespace.rsplit_once('-').unwrap();
    let ended = Command::new("pkill").args(["-f", &format!("nginx .*/run/plimsoll-lab/{run}-")]).status().unwrap();
    assert!(ended.success(), "two servers");
    assert!(is_there(&alive.namespace), "it is played");
    assert!(!is_there(&killed.namespace), "nobody has it");
    assert!(files_of(&killed.namespace).iter().all(|file| !file.exists()));
    sweep(Command::new(PLIMSOLL));
    assert!(is_there(&alive.namespace) && alive.signal("-INT").code() == Some(3));
    assert!(files_of(&alive.namespace).iter().all(|file| !file.exists()));
}

#[test]
fn what_is_found_is_held_against_what_is_expected() {
    let idle = plimsoll(&["lab", "run", "idle", "--check", "--json", "--seed", "7", "--on-this-host"]);
    assert_eq!(idle.code, 0, "{idle:?}");
    let document = idle.json();
    assert_eq!(document["schema"], "plimsoll.lab/1");
    assert_eq!((&document["scenario"], &document["seed"]), (&"idle".into(), &7.into()));
    assert_eq!(document["expected"]["as_expected"], true);
    assert_eq!(document["check"]["schema"], "plimsoll.check/1");
    assert_eq!(document["check"]["namespaces"][0]["name"], document["namespace"]);
    assert!(document["packets"].as_u64().unwrap() > 10, "{document:#}");

    // The same, but expecting what is not there.
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/idle.toml")).unwrap();
    let text = text.replace("must = []", "must = [\"early-drop\"]").replace("check_at_secs = 6", "check_at_secs = 1");
    let file = ScenarioFile::new(&text);
    let surprised = plimsoll(&["lab", "run", file.path(), "--check", "--on-this-host"]);
    assert_eq!(surprised.code, 1, "{surprised:?}");
    assert!(
        surprised.stdout.contains("  missing: early-drop\n  verdict: ok, expected: ok\n  NOT as expected\n"),
        "{surprised:?}"
    );
    assert!(surprised.stderr.contains("A host with next to nothing to do"), "{surprised:?}");
}

/// A namespace that is not the lab's, removed when dropped.
struct Other(String);

impl Other {
    fn named(name: String) -> Self {
        assert!(Command::new("ip").args(["netns", "add", &name]).status().unwrap().success());
        Self(name)
    }

    fn tracking(entries_there: u32) -> Self {
        let other = Self::named(names::own("other"));
        let file = File::open(Path::new("/run/netns").join(&other.0)).unwrap();
        let make = || plimsoll_ctnetlink::create(entries(Kind::UdpUnreplied, 0, entries_there));
        plimsoll_host::in_namespace(&file, make).unwrap().unwrap();
        other
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(Command::new("ip").args(["netns", "delete", &self.0]).status());
    }
}

#[test]
fn a_host_that_tracks_for_others_is_left_alone_unless_it_is_said_otherwise() {
    let other = Other::tracking(1500);
    let refused = plimsoll(&["lab", "run", "idle"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (3, ""));
    assert!(refused.stderr.contains(&format!("{}: 1500", other.0)), "{refused:?}");
    assert!(refused.stderr.contains("--on-this-host"), "{refused:?}");
    let insisted = plimsoll(&["lab", "run", "idle", "--check", "--on-this-host"]);
    assert_eq!(insisted.code, 0, "{insisted:?}");
}

#[test]
fn what_cannot_be_played_is_refused_with_the_reason() {
    for (arguments, says) in [
        (&["chain-cap"][..], "a hash of at most 1024 buckets"),
        (&["nothing"], "there is no scenario \"nothing\": name one of healthy-web, "),
        (&["/nowhere.toml"], "reading /nowhere.toml: No such file"),
        (&["http-churn", "--size", "100"], "give a smaller --size"),
        (&["idle-established", "--size", "100", "--on-this-host"], "begins with 8000000 entries"),
        (&["idle", "--size", "0"], "must be a factor above 0"),
    ] {
        let refused = plimsoll(&[&["lab", "run"], arguments].concat());
        assert_eq!((refused.code, refused.stdout.as_str()), (3, ""), "{refused:?}");
        assert!(refused.stderr.contains(says), "{refused:?}");
    }
}

#[test]
fn only_short_regular_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let [endless, silent, long] =
        ["endless", "silent", "long"].map(|name| folder.path().join(name).with_extension("toml"));
    std::os::unix::fs::symlink("/dev/zero", &endless).unwrap();
    assert!(Command::new("mkfifo").arg(&silent).status().unwrap().success());
    std::fs::write(&long, "#".repeat((1 << 20) + 1)).unwrap();
    for (file, says) in [(&endless, "no regular file"), (&silent, "no regular file"), (&long, "1 MiB")] {
        let refused = plimsoll(&["lab", "run", file.to_str().unwrap()]);
        assert!(refused.code == 3 && refused.stderr.contains(says), "{refused:?}");
    }
}

#[test]
fn scenarios_are_listed() {
    let listed = plimsoll(&["lab", "list"]);
    assert_eq!(listed.code, 0);
    assert!(listed.stdout.contains("  syn-flood "), "{listed:?}");
    let document = plimsoll(&["lab", "list", "--json"]).json();
    let scenarios = document["scenarios"].as_array().unwrap();
    let flood = scenarios.iter().find(|scenario| scenario["name"] == "syn-flood").unwrap();
    assert_eq!(flood["must"], serde_json::json!(["syn-flood"]));
}

#[test]
fn where_nothing_is_tracked_check_points_to_the_lab() {
    let namespace = plimsoll_lab::LabNamespace::create().unwrap();
    let document = plimsoll(&["check", "--json", "--interval", "0", "--netns", namespace.name()]).json();
    let nothing = finding(&document, "nothing-tracked");
    assert_eq!(nothing["remedies"][0]["command"], "plimsoll lab run syn-flood --check", "{document:#}");
}
