//! What `plimsoll apply` does where something is missing, full, gone or in the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use plimsoll_apply::{Progress, Undone};

use support::Run;
use support::applying::{Scene, UDP, apply, kill_watchdogs};

#[test]
fn nothing_is_begun_on_a_full_disk_and_one_that_fills_up_later_stops_nothing() {
    let scene = Scene::new();
    let name = scene.lab.name();
    fs::create_dir_all(&scene.folder).unwrap();
    let script = format!(
        r#"
        mount -t tmpfs -o size=256k,mode=0700 tmpfs "$PLIMSOLL_STATE_DIR"
        fill() {{ cat /dev/zero >"$PLIMSOLL_STATE_DIR/full" 2>/dev/null || true; }}
        fill
        plimsoll apply --netns {name} --soak 0 --set nf_conntrack_udp_timeout=20 && exit 1
        echo "refused $?"
        rm "$PLIMSOLL_STATE_DIR/full"
        plimsoll apply --netns {name} --soak 0 --set nf_conntrack_udp_timeout=20 >&2
        fill
        plimsoll rollback
        plimsoll history
        "#
    );
    let run = in_mounts_of_its_own(&scene, &script, "");
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.starts_with("refused 3\n") && run.stderr.contains("make room there"), "{run:?}");
    assert!(!run.stdout.contains("could not be written") && run.stdout.contains("restored"), "{run:?}");
    assert_eq!(scene.sysctl(UDP), 30);
}

/// As after an error, where a file system is mounted with `errors=remount-ro`.
#[test]
fn what_cannot_be_written_down_any_more_is_undone_all_the_same() {
    let scene = Scene::new();
    assert_eq!(scene.plimsoll(&apply(&scene, &["--set", "nf_conntrack_udp_timeout=20"])).code, 0);
    let script = r#"
        mount --bind "$PLIMSOLL_STATE_DIR" "$PLIMSOLL_STATE_DIR"
        mount -o remount,bind,ro "$PLIMSOLL_STATE_DIR"
        plimsoll rollback
    "#;
    let run = in_mounts_of_its_own(&scene, script, "");
    assert!(run.code == 0 && run.stdout.contains("restored"), "{run:?}");
    assert!(run.stdout.contains("could not be written"), "{run:?}");
    assert_eq!(scene.sysctl(UDP), 30);
}

#[test]
fn a_container_is_told_what_to_do_on_the_host() {
    let scene = Scene::new();
    let name = scene.lab.name();
    let script = format!(
        "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys
        plimsoll apply --netns {name} --soak 0 --set nf_conntrack_udp_timeout=20"
    );
    let run = in_mounts_of_its_own(&scene, &script, "");
    assert!(run.code == 3 && run.stderr.contains("mounted read-only"), "{run:?}");
    assert!(run.stderr.contains("On the host: `plimsoll apply --netns "), "{run:?}");

    // In namespaces of a container's the host's limits cannot be set, whatever /proc/sys allows.
    let mut command = Command::new("unshare");
    command.args(["--net", "--pid", "--fork", "--mount-proc", support::PLIMSOLL]);
    command
        .args(["apply", "--soak", "0", "--set", "nf_conntrack_max=1000000"])
        .env("PLIMSOLL_STATE_DIR", &scene.folder);
    let run = Run::of(command);
    assert!(run.code == 3 && run.stderr.contains("only the host's own can set"), "{run:?}");
    assert!(scene.last().is_none());
}

#[test]
fn root_of_a_user_namespace_changes_its_own_network_namespace() {
    let scene = Scene::new();
    let script = format!(
        "ip link set lo up; {0} apply --soak 0 --set nf_conntrack_udp_timeout=20 && {0} rollback && \
        cat /proc/sys/net/netfilter/nf_conntrack_udp_timeout",
        support::PLIMSOLL
    );
    let mut command = Command::new("unshare");
    command.args(["-Urn", "sh", "-c", &script]).env("PLIMSOLL_STATE_DIR", &scene.folder);
    let run = Run::of(command);
    assert!(run.code == 0 && run.stdout.contains("is in force") && run.stdout.contains(": restored"), "{run:?}");
    assert!(run.stdout.ends_with("\n30\n"), "{run:?}");
}

/// There is no systemd here: what stands in for `systemd-run` keeps the command, and the test runs it in its place.
#[test]
fn where_there_is_systemd_a_timer_undoes_what_a_killed_watchdog_would_have() {
    let scene = Scene::new();
    let name = scene.lab.name();
    let programs = scene.folder.with_extension("programs");
    fs::create_dir_all(&programs).unwrap();
    let stand_in = programs.join("systemd-run");
    fs::write(&stand_in, format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >{}/asked\n", programs.display())).unwrap();
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).unwrap();
    let script = format!(
        "mkdir -p /run/systemd; mount -t tmpfs tmpfs /run/systemd; mkdir /run/systemd/system
        plimsoll apply --netns {name} --soak 0 --confirm-within 1s --set nf_conntrack_udp_timeout=20"
    );
    let run = in_mounts_of_its_own(&scene, &script, &programs.display().to_string());
    kill_watchdogs(&scene.folder);
    assert_eq!(run.code, 0, "{run:?}");
    let asked = fs::read_to_string(programs.join("asked")).unwrap();
    let asked: Vec<_> = asked.lines().collect();
    assert!(asked[0].starts_with("--on-active=") && asked[1].starts_with("--unit=plimsoll-undo-1-"), "{asked:?}");
    let program = asked.iter().position(|word| *word == support::PLIMSOLL).expect("this program");
    for _ in 0..2 {
        let run = scene.plimsoll(&asked[program + 1..]);
        assert_eq!(run.code, 0, "{run:?}");
        assert_eq!(scene.sysctl(UDP), 30);
    }
    // What was confirmed the timer leaves.
    assert_eq!(scene.plimsoll(&apply(&scene, &["--set", "nf_conntrack_udp_timeout=20"])).code, 0);
    assert_eq!(scene.plimsoll(&["confirm", "--no-persist"]).code, 0);
    assert_eq!(scene.plimsoll(&["rollback", "--if-unconfirmed", "2"]).code, 0);
    assert_eq!(scene.sysctl(UDP), 20);
}

#[test]
fn after_a_reboot_nothing_is_undone_that_is_in_force() {
    let scene = Scene::new();
    assert_eq!(scene.plimsoll(&apply(&scene, &["--set", "nf_conntrack_udp_timeout=20"])).code, 0);
    kill_watchdogs(&scene.folder);
    // A journal of another boot: as if this one had come since.
    let journal = scene.folder.join("000001.jsonl");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let text = fs::read_to_string(&journal).unwrap();
    let other = text.replace(boot.trim(), "00000000-0000-4000-8000-000000000000");
    assert_ne!(text, other);
    fs::write(&journal, other).unwrap();
    assert_eq!(scene.plimsoll(&["confirm"]).code, 3);
    assert_eq!(scene.plimsoll(&["rollback"]).code, 0);
    assert_eq!(scene.sysctl(UDP), 20);
    assert_eq!(scene.last().unwrap().changes, [Progress::Undone(Undone::Gone)]);
}

#[test]
fn what_was_set_in_a_namespace_that_is_no_more_is_gone_with_it() {
    let scene = Scene::new();
    let other = plimsoll_lab::LabNamespace::create().unwrap();
    let run =
        scene.plimsoll(&["apply", "--netns", other.name(), "--soak", "0", "--set", "nf_conntrack_udp_timeout=20"]);
    assert_eq!(run.code, 0, "{run:?}");
    drop(other);
    assert_eq!(scene.plimsoll(&["rollback"]).code, 0);
    assert_eq!(scene.last().unwrap().changes, [Progress::Undone(Undone::Gone)]);
    assert_eq!(scene.sysctl(UDP), 30);
}

#[test]
fn two_do_not_write_at_once_and_two_are_not_watched_at_once() {
    let scene = Scene::new();
    let set = apply(&scene, &["--set", "nf_conntrack_udp_timeout=20"]);
    assert_eq!(scene.plimsoll(&set).code, 0);
    let second = scene.plimsoll(&set);
    assert!(second.code == 3 && second.stderr.contains("awaits its confirmation"), "{second:?}");
    let state = plimsoll_apply::StateDir::open(&scene.folder).unwrap().unwrap();
    let lock = state.lock(Duration::ZERO).unwrap();
    let busy = scene.plimsoll(&["rollback"]);
    assert!(busy.code == 3 && busy.stderr.contains("another `plimsoll`"), "{busy:?}");
    assert_eq!(scene.sysctl(UDP), 20);
    drop(lock);
    assert_eq!(scene.plimsoll(&["rollback"]).code, 0);
    assert_eq!(scene.sysctl(UDP), 30);
}

/// Runs a script that may mount what it likes: nobody else sees it.
fn in_mounts_of_its_own(scene: &Scene, script: &str, programs: &str) -> Run {
    let folder = Path::new(support::PLIMSOLL).parent().unwrap().display();
    let path = format!("{programs}:{folder}:{}", std::env::var("PATH").unwrap());
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-euc", script]).env("PLIMSOLL_STATE_DIR", &scene.folder).env("PATH", path);
    Run::of(command)
}
