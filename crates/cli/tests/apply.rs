//! `plimsoll apply`, `confirm`, `rollback`, `history` on the real kernel, in namespaces of their own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_apply::{Phase, Progress};

use support::Run;
use support::applying::{POLICY, Scene, TIME_WAIT, UDP, apply, kill_watchdogs, watchdogs, write_plan};

#[test]
fn what_nobody_confirms_is_undone_by_a_process_that_needs_no_other() {
    let scene = Scene::new();
    let arguments = apply(&scene, &["--set", "nf_conntrack_udp_timeout=20", "--confirm-within", "10s", "--json"]);
    let run = scene.plimsoll(&arguments);
    assert_eq!((run.code, scene.sysctl(UDP)), (0, 20), "{run:?}");
    assert_eq!(run.json()["outcome"], "awaiting_confirmation");

    let [watchdog] = watchdogs(&scene.folder)[..] else { panic!("one watchdog") };
    let process = Path::new("/proc").join(watchdog.as_raw_pid().to_string());
    let stat = fs::read_to_string(process.join("stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!(fields[3], watchdog.as_raw_pid().to_string(), "it leads a session of its own");
    assert_eq!(fields[4], "0", "it has no terminal");
    assert_eq!(fs::read_link(process.join("cwd")).unwrap(), Path::new("/"));
    for descriptor in ["0", "1", "2"] {
        assert_eq!(fs::read_link(process.join("fd").join(descriptor)).unwrap(), Path::new("/dev/null"));
    }
    for signal in ["-HUP", "-INT", "-PIPE"] {
        assert!(Command::new("kill").args([signal, fields[3]]).status().unwrap().success());
    }
    let check = scene.plimsoll(&["check", "--netns", scene.lab.name(), "--interval", "0"]);
    assert!(check.stderr.contains("unless `plimsoll confirm` keeps it"), "{check:?}");

    scene.await_rest();
    assert_eq!(scene.sysctl(UDP), 30);
    let late = scene.plimsoll(&["confirm"]);
    assert_eq!((late.code, late.stdout.as_str()), (3, ""), "{late:?}");
    assert!(late.stderr.contains("application 1 was undone: nobody confirmed in time"), "{late:?}");
}

#[test]
fn a_watchdog_that_is_told_to_end_undoes_first() {
    let scene = Scene::new();
    assert_eq!(scene.plimsoll(&apply(&scene, &["--set", "nf_conntrack_udp_timeout=20"])).code, 0);
    let [watchdog] = watchdogs(&scene.folder)[..] else { panic!("one watchdog") };
    assert!(Command::new("kill").arg(watchdog.as_raw_pid().to_string()).status().unwrap().success());
    scene.await_rest();
    assert_eq!(scene.sysctl(UDP), 30);
}

#[test]
fn what_is_confirmed_stays_and_goes_back_number_by_number() {
    let scene = Scene::new();
    for (value, number) in [("25", 1), ("20", 2)] {
        let run = scene.plimsoll(&apply(
            &scene,
            &[
                "--set",
                &format!("nf_conntrack_udp_timeout={value}"),
                "--set",
                "nf_conntrack_tcp_timeout_time_wait=60",
                "--json",
            ],
        ));
        assert_eq!((run.code, run.json()["application"].as_u64()), (0, Some(number)), "{run:?}");
        let run = scene.plimsoll(&["confirm", "--no-persist", "--json"]);
        assert_eq!(run.code, 0, "{run:?}");
        assert_eq!(run.json()["unproven"][0]["needed_secs"].as_u64().unwrap() % 2, 0);
    }
    let second = &scene.plimsoll(&["history", "--json"]).json()["applications"][1];
    assert_eq!(second["changes"].as_array().unwrap().len(), 1, "what is so already is no change: {second}");
    await_no_watchdog(&scene);

    // Somebody else changes one of them, and that one is left.
    scene.lab.set(TIME_WAIT, 61).unwrap();
    let run = scene.plimsoll(&["rollback", "1"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert_eq!((scene.sysctl(UDP), scene.sysctl(TIME_WAIT)), (30, 61));
    assert!(run.stdout.contains("superseded"), "{run:?}");
    assert!(scene.plimsoll(&["rollback"]).stdout.contains("Nothing to undo"));
    assert_eq!(scene.plimsoll(&["rollback", "7"]).code, 3);
}

#[test]
fn what_becomes_worse_is_undone_and_named() {
    let scene = Scene::new();
    let probe = format!("test $(cat /proc/sys/{UDP}) = 30");
    let name = scene.lab.name();
    let arguments = [
        "apply",
        "--netns",
        name,
        "--soak",
        "2s",
        "--probe",
        &probe,
        "--set",
        "nf_conntrack_tcp_timeout_time_wait=60",
        "--set",
        "nf_conntrack_udp_timeout=20",
        "--json",
    ];
    let run = scene.plimsoll(&arguments);
    assert_eq!((run.code, scene.sysctl(UDP), scene.sysctl(TIME_WAIT)), (1, 30, 120), "{run:?}");
    let because = &run.json()["because"];
    assert_eq!((&because["why"], &because["signal"]), (&"worse".into(), &"probe".into()), "{because}");
    assert!(run.stderr.contains("failures of --probe: 2 in 2.0 runs, after 0 in 2.0 runs"), "{run:?}");

    let run = scene.plimsoll(&[
        "apply",
        "--netns",
        name,
        "--soak",
        "1s",
        "--probe",
        "false",
        "--set",
        "nf_conntrack_udp_timeout=20",
    ]);
    assert!(run.code == 3 && run.stderr.contains("fails before anything is changed"), "{run:?}");
    assert_eq!(scene.sysctl(UDP), 30);
}

#[test]
fn harm_that_shows_after_apply_has_ended_is_undone_by_the_watchdog() {
    let scene = Scene::new();
    let flag = scene.folder.with_extension("flag");
    let probe = format!("test ! -e {}", flag.display());
    let name = scene.lab.name();
    let run = scene.plimsoll(&[
        "apply",
        "--netns",
        name,
        "--soak",
        "2s",
        "--probe",
        &probe,
        "--set",
        "nf_conntrack_udp_timeout=20",
    ]);
    assert_eq!(run.code, 0, "{run:?}");
    fs::write(&flag, "").unwrap();
    scene.await_rest();
    assert_eq!(scene.sysctl(UDP), 30);
    assert!(scene.plimsoll(&["history"]).stdout.contains("undone: failures of --probe"));
}

#[test]
fn a_dry_run_prints_every_write_and_writes_nothing() {
    let scene = Scene::new();
    let run = scene.plimsoll(&apply(&scene, &["--set", "nf_conntrack_udp_timeout=20", "--dry-run"]));
    assert_eq!((run.code, scene.sysctl(UDP), scene.folder.exists()), (0, 30, false), "{run:?}");
    assert!(run.stdout.contains("nf_conntrack_udp_timeout = 30, if it is still 20"), "{run:?}");
    assert!(run.stdout.contains("Not all of it would last"), "no file is for a namespace of its own: {run:?}");
    let plan = write_plan(&scene, POLICY);
    let run = scene.plimsoll(&["apply", &plan, "--netns", scene.lab.name(), "--dry-run"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.stdout.contains("ct timeout timeouts_udp_9999_1 { protocol udp; policy = { unreplied: 300 }; }"),
        "{run:?}"
    );
    assert!(run.stdout.contains(r"why: one \u{1b}[2Jservice"), "{run:?}");
    let stale = plan_of(r#"{"kind":"sysctl","sysctl":"net.netfilter.nf_conntrack_udp_timeout","from":31,"to":20}"#);
    let plan = write_plan(&scene, &stale);
    let run = scene.plimsoll(&["apply", &plan, "--netns", scene.lab.name(), "--dry-run"]);
    assert!(run.code == 3 && run.stderr.contains("is 30, and the plan was made when it was 31"), "{run:?}");
}

#[test]
fn history_says_who_in_letters_that_do_no_harm() {
    let scene = Scene::new();
    let mut command = scene.command(&apply(&scene, &["--set", "nf_conntrack_udp_timeout=20"]));
    command.env("SUDO_USER", "eve\u{1b}[2J");
    assert_eq!(Run::of(command).code, 0);
    let run = scene.plimsoll(&["history"]);
    assert!(run.stdout.contains(r"by eve\u{1b}[2J (uid 0"), "{run:?}");
    let last = scene.last().unwrap();
    assert!(matches!(last.phase, Phase::Awaiting { .. }) && matches!(last.changes[0], Progress::Written { .. }));
}

fn plan_of(edit: &str) -> String {
    format!(r#"{{"schema":"plimsoll.plan/1","changes":[{{"edit":{edit}}}]}}"#)
}

fn await_no_watchdog(scene: &Scene) {
    let until = Instant::now() + Duration::from_mins(1);
    while !watchdogs(&scene.folder).is_empty() {
        assert!(Instant::now() < until, "watchdogs of confirmed applications live");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn ctrl_c_undoes_what_was_begun() {
    let scene = Scene::new();
    let name = scene.lab.name();
    let mut command =
        scene.command(&["apply", "--netns", name, "--soak", "3s", "--set", "nf_conntrack_udp_timeout=20"]);
    command.args(["--set", "nf_conntrack_tcp_timeout_time_wait=60"]).stderr(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    told.find(|line| line.contains("Change 1 of 2")).expect("the first change");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert!(told.any(|line| line.contains("told to stop")));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!((scene.sysctl(UDP), scene.sysctl(TIME_WAIT)), (30, 120));
}

#[test]
fn a_watchdog_that_is_killed_while_the_last_change_is_watched_is_replaced() {
    let scene = Scene::new();
    let name = scene.lab.name();
    let set = "nf_conntrack_udp_timeout=20";
    let mut command =
        scene.command(&["apply", "--netns", name, "--soak", "3s", "--confirm-within", "1s", "--set", set]);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    told.find(|line| line.contains("Change 1 of 1")).expect("the change");
    kill_watchdogs(&scene.folder);
    assert!(child.wait().unwrap().success());
    scene.await_rest();
    assert_eq!(scene.sysctl(UDP), 30);
}

/// Connections come and go all the while; once the second change is in force the server resets them.
#[test]
fn connections_that_are_reset_are_counted_against_those_before() {
    let scene = Scene::new();
    let over = AtomicBool::new(false);
    let name = scene.lab.name();
    let arguments = [
        "apply",
        "--netns",
        name,
        "--soak",
        "3s",
        "--set",
        "nf_conntrack_tcp_timeout_time_wait=60",
        "--set",
        "nf_conntrack_udp_timeout=20",
        "--json",
    ];
    let run = thread::scope(|scope| {
        scope.spawn(|| scene.lab.enter(|| converse(&over)).unwrap());
        let run = scene.plimsoll(&arguments);
        over.store(true, Ordering::Relaxed);
        run
    });
    assert_eq!((run.code, scene.sysctl(UDP), scene.sysctl(TIME_WAIT)), (1, 30, 120), "{run:?}");
    let document = run.json();
    assert_eq!(document["because"]["signal"], "resets", "{document:#}");
    let journal = fs::read_to_string(scene.folder.join("000001.jsonl")).unwrap();
    assert_eq!(journal.matches("\"soaked\"").count(), 1, "the first change did no harm: {journal}");
}

fn converse(over: &AtomicBool) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    while !over.load(Ordering::Relaxed) {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"?").unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let is_changed = fs::read_to_string(Path::new("/proc/sys").join(UDP)).unwrap().trim() == "20";
        if !is_changed {
            server.read_exact(&mut [0]).unwrap();
        }
        // Closed with something unread, a connection is reset (RFC 2525, section 2.17).
        drop(server);
        drop(client);
        // So that they are some hundreds a second.
        thread::sleep(Duration::from_millis(4));
    }
}
