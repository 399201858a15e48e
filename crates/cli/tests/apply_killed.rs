//! `kill -9` at every step of applying, confirming and undoing: what is left is what was confirmed, or what was before.
//!
//! A process that is to be killed at an exact step is this test program itself, started again with what to do in its
//! environment ([`the_process_that_is_killed`]): it calls the library as `plimsoll` does, with an observer that kills the
//! process as soon as a given number of records is about to be written, or is on the disk. Between two records there is one
//! write to the kernel, so these are the moments at which what is known and what is done differ. The product needs no way of
//! being told to die. Watchdogs are the real `plimsoll`, and are killed at random moments.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_apply::{Lasting, Phase};

use support::applying::{Scene, kill_watchdogs};
use support::killed::TIMEOUTS;

/// What is in force in the namespace: two timeouts, and the policies of Plimsoll's.
type State = (u32, u32, bool);
const BEFORE: State = (TIMEOUTS[0].before, TIMEOUTS[1].before, false);
const AFTER: State = (TIMEOUTS[0].after, TIMEOUTS[1].after, true);

#[test]
fn an_applier_killed_at_any_step_leaves_what_was_before() {
    let scene = Scene::new();
    let ended = at_every_step(|step| {
        let killed = run(&scene, "apply briefly", step, "applier");
        // The watchdog that survives undoes it, at once or at the deadline; before there was one nothing was written.
        scene.await_rest();
        assert_before(&scene, step);
        // So that the next one has nothing to do but its own, and its steps are counted from its beginning.
        assert_eq!(scene.plimsoll(&["rollback"]).code, 0);
        killed
    });
    // Begun, writing and written thrice, applied; a moment before and after each.
    assert!(ended >= 16, "only {ended} steps were found");
    assert!(!run(&scene, "apply", u32::MAX, "nobody"));
    assert_eq!(state(&scene), AFTER);
    assert_eq!(scene.plimsoll(&["rollback"]).code, 0);
    assert_before(&scene, ended);
}

#[test]
fn when_all_are_killed_the_next_command_undoes() {
    let scene = Scene::new();
    let ended = at_every_step(|step| {
        let killed = run(&scene, "apply", step, "applier and watchdog");
        let awaits = scene.last().is_some_and(|last| matches!(last.phase, Phase::Awaiting { .. }));
        if killed && (step % 2 == 0 || awaits) {
            let run = scene.plimsoll(&["rollback"]);
            assert_eq!(run.code, 0, "{run:?}");
        } else if killed {
            // Another application undoes first what was left, and then says that its own has nothing to do.
            let run = scene.plimsoll(&["apply", "--netns", scene.lab.name(), "--set", "nf_conntrack_udp_timeout=30"]);
            assert_eq!((run.code, run.stdout.contains("Nothing to do")), (0, true), "{run:?}");
        }
        if killed {
            assert_before(&scene, step);
        }
        killed
    });
    assert!(ended >= 16, "only {ended} steps were found");
    assert_eq!(scene.plimsoll(&["rollback"]).code, 0);
}

#[test]
fn one_that_is_killed_while_it_undoes_what_another_left_leaves_the_same_to_the_next() {
    const AFTER_TWO_WRITES: u32 = 9;
    let scene = Scene::new();
    let ended = at_every_step(|step| {
        assert!(run(&scene, "apply", AFTER_TWO_WRITES, "applier and watchdog"));
        assert_eq!(state(&scene), (AFTER.0, BEFORE.1, AFTER.2), "step {step}");
        let killed = run(&scene, "apply", step, "applier and watchdog");
        // The last application, and the one before it if that is still to be undone.
        while !scene.plimsoll(&["rollback"]).stdout.contains("Nothing to undo") {}
        assert_before(&scene, step);
        killed
    });
    // Undoing, undone twice and ended, then all that is its own.
    assert!(ended >= 8 + 16, "only {ended} steps were found");
}

#[test]
fn a_confirmation_killed_at_any_step_is_one_or_is_none() {
    let scene = Scene::new();
    let ended = at_every_step(|step| {
        assert!(!run(&scene, "apply", u32::MAX, "nobody"));
        let killed = run(&scene, "confirm", step, "confirmer");
        let application = scene.last().unwrap();
        match application.phase {
            Phase::Awaiting { .. } => assert!(killed),
            Phase::Confirmed(Lasting::ToBeWritten) => {
                assert!(killed);
                let run = scene.plimsoll(&["confirm"]);
                assert_eq!(run.code, 0, "{run:?}");
            }
            Phase::Confirmed(Lasting::Written) => {}
            other => panic!("{other:?} at step {step}"),
        }
        assert_eq!(state(&scene), AFTER, "step {step}");
        let run = scene.plimsoll(&["rollback"]);
        assert_eq!(run.code, 0, "{run:?}");
        assert_before(&scene, step);
        killed
    });
    // Confirmed, and persisted.
    assert!(ended >= 4, "only {ended} steps were found");
}

#[test]
fn a_rollback_killed_at_any_step_is_completed_by_another() {
    let scene = Scene::new();
    let ended = at_every_step(|step| {
        assert!(!run(&scene, "apply", u32::MAX, "nobody"));
        assert!(!run(&scene, "confirm", u32::MAX, "nobody"));
        let killed = run(&scene, "rollback", step, "whoever undoes");
        let run = scene.plimsoll(&["rollback", &scene.last().unwrap().begun.id.to_string()]);
        assert_eq!(run.code, 0, "{run:?}");
        assert_before(&scene, step);
        killed
    });
    // Undoing, undone thrice, ended.
    assert!(ended >= 10, "only {ended} steps were found");
}

#[test]
fn a_watchdog_killed_at_any_moment_leaves_what_another_undoes() {
    const ROUNDS: u32 = 12;
    let scene = Scene::new();
    for round in 0..ROUNDS {
        let began = Instant::now();
        assert!(!run(&scene, "apply briefly", u32::MAX, "nobody"));
        // It undoes a second after that: these moments lie before it, in it and after it.
        let moment = Duration::from_millis(940 + 15 * u64::from(round));
        let applied = scene.last().unwrap();
        let deadline = match applied.phase {
            Phase::Awaiting { deadline_ms } => Duration::from_millis(deadline_ms),
            other => panic!("{other:?} {:?} after the beginning", began.elapsed()),
        };
        while plimsoll_host::boottime_now() + Duration::from_secs(1) < deadline + moment {
            thread::yield_now();
        }
        kill_watchdogs(&scene.folder);
        let run = scene.plimsoll(&["rollback"]);
        assert_eq!(run.code, 0, "{run:?}");
        assert_before(&scene, round);
    }
}

/// Runs something that is killed at the first, second, … step, until it is not killed; returns how many steps there were.
fn at_every_step(mut is_killed_at: impl FnMut(u32) -> bool) -> u32 {
    (0..100).find(|step| !is_killed_at(*step)).expect("it ends")
}

/// Has this program do something in another process, and says whether it was killed at that step.
fn run(scene: &Scene, role: &str, step: u32, victims: &str) -> bool {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_process_that_is_killed", "--nocapture"])
        .env("KILLED_ROLE", role)
        .env("KILLED_STEP", step.to_string())
        .env("KILLED_VICTIMS", victims)
        .env("KILLED_FOLDER", &scene.folder)
        .env("KILLED_NETNS", scene.lab.name())
        .output()
        .expect("this program runs");
    let killed = output.status.signal() == Some(9);
    assert!(killed || output.status.success(), "{role} at step {step}: {output:?}");
    killed
}

fn state(scene: &Scene) -> State {
    let tables = scene.lab.run(&["nft", "list", "tables"]).unwrap();
    (scene.sysctl(TIMEOUTS[0].path), scene.sysctl(TIMEOUTS[1].path), tables.contains("table inet plimsoll"))
}

fn assert_before(scene: &Scene, step: u32) {
    assert_eq!(state(scene), BEFORE, "step {step}: {:#?}", scene.last());
    for file in fs::read_dir(&scene.folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        // `new` is what never began; the next one removes it.
        let known = ["jsonl", "watchdog", "lock", "new"].contains(&name.rsplit('.').next().unwrap());
        assert!(known, "step {step} left {name}");
    }
}
#[test]
fn an_applier_that_hangs_is_ended_and_its_changes_undone() {
    let scene = Scene::new();
    // Ctrl-Z, after the first change: half a minute is what writing may take.
    assert!(run(&scene, "apply briefly", 5, "a stopped applier"));
    scene.await_rest();
    assert_before(&scene, 5);
}

/// No test of its own: what [`run`] runs in a process that is killed.
#[test]
fn the_process_that_is_killed() {
    support::killed::be_killed();
}
